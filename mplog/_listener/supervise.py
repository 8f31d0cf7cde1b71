"""The listener's process, and the small process that restarts it. `launch` starts them.

    any process --sh--> supervisor --fork--> listener

The supervisor imports next to nothing, restarts a listener that was killed at once, and kills one that is stuck. If
the supervisor is gone, too, a process that logs or closes finds the listener's lock free, or its holder stuck, and
starts them again. Runs in the listener.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

from mplog._shared import lock
from mplog._shared.spool import Spool
from mplog._shared.stuck import SUPERVISED, Watch

LOOK_EVERY = 2.0
"""Seconds between two looks at a listener that does not end."""
MOST_FAILURES, FORGET_AFTER = 10, 60.0
"""Times a listener may end by itself with an error, within so many seconds, before it is given up."""
TAKEN = 3
"""Exit code of a listener process that found another one listening."""


def main(path: str, second: str = "") -> None:
    """Be the supervisor: fork the listener, and fork it again when it was killed."""
    # A program that ignores SIGCHLD passes that on, and then nobody's `waitpid` learns how a child ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Not up to the limit of today: what was opened under a higher one is open still.
    os.closerange(3, 1 << 16)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE):
        # Ctrl-C and a hang-up go to the whole group; the listener ends when the last worker has.
        signal.signal(number, signal.SIG_IGN)
    spool = Spool(path, second or None)
    config = (spool.read_session() or {}).get("config", {})
    if config.get("console") != "stdout" and not config.get("handlers"):
        # Else whoever reads what a program prints would wait for the last program of the session.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
    failures: list[float] = []
    while True:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = listen(spool)
            except BaseException as error:
                with contextlib.suppress(Exception):
                    if len(failures) < 3:
                        sys.stderr.write(f"mplog: the listener ended with {type(error).__name__}: {error}\n")
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        code = _watch(pid, spool)
        if code in (0, TAKEN):
            return
        # One that was killed is replaced at once; one that fails by itself would fail again.
        now = time.monotonic()
        failures = [moment for moment in failures if now - moment < FORGET_AFTER] + [now] if code > 0 else []
        if not os.path.isdir(path) or len(failures) >= MOST_FAILURES:
            return
        time.sleep(0.1 * len(failures))


def listen(spool: Spool) -> int:
    """Be the listener until the session's last process has ended; return the exit code."""
    fd = lock.acquire(spool.listener_lock)
    if fd is None:
        return TAKEN
    with contextlib.suppress(OSError):
        os.unlink(spool.file("starting"))
    os.truncate(fd, 0)
    os.write(fd, b"%d\n" % os.getpid())
    session = spool.read_session()
    if session is None:
        return 0
    if session.get("tz"):
        os.environ["TZ"] = session["tz"]
        time.tzset()
    from mplog._listener.sweep import sweep
    from mplog._shared import clock
    from mplog.config import Config
    from mplog.listener import Listener

    clock.share(int(session.get("offset") or clock.offset))
    listener = Listener(spool, Config.from_json(json.dumps(session["config"])))
    listener.chores.append(lambda: sweep(spool))
    listener.run()
    return 0


def _watch(pid: int, spool: Spool) -> int:
    """Wait for the listener to end; kill it when it is stuck. A stopped one is left alone."""
    watch = Watch(spool, SUPERVISED)
    while True:
        if hasattr(signal, "sigtimedwait"):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                signal.sigtimedwait([signal.SIGCHLD], LOOK_EVERY)
                found, status = os.waitpid(pid, os.WNOHANG)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        else:
            time.sleep(0.25)
            found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if watch.is_stuck(pid):
            with contextlib.suppress(OSError):
                sys.stderr.write("mplog: the listener was stuck; it is killed, and another one goes on.\n")
                sys.stderr.flush()
            os.kill(pid, signal.SIGKILL)
