"""The listener's process, and the small process that restarts it. Started from any process of the session.

    any process --sh--> supervisor --fork--> listener

The supervisor is no child of the process that started it (the shell in between has ended), so nobody's `os.wait`
meets it and nobody has to reap it. It imports next to nothing and restarts a listener that was killed at once. If
both are killed, a process that logs or closes finds the listener's lock free and starts them again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

from mplog import _lock
from mplog._spool import Spool

STARTING = 5.0
"""Seconds for which others trust that a listener that was started will take its lock."""
STUCK_AFTER = 30.0
"""Seconds without a step after which a listener that is not stopped counts as stuck, and is killed."""
TAKEN = 3
"""Exit code of a listener process that found another one listening."""

_BOOT = "import sys,json;sys.path[:]=json.loads(sys.argv[1]);from mplog._supervise import main;main(*sys.argv[2:])"


def ensure(spool: Spool, session: bytes, *, locked: bool = False) -> bool:
    """Start a listener process for a session if none lives; return whether one lives or is about to.

    Args:
        spool: the session's directory; made again if somebody removed it.
        session: content for `session.json` where it is missing.
        locked: whether the caller holds the session's lock already.
    """
    if not locked and spool.listener_pid() is not None:
        return True
    fd = None
    try:
        if not locked:
            if not os.path.isdir(os.path.dirname(spool.lock_path)):
                spool.create()
            fd = _lock.acquire(spool.lock_path)
            if fd is None:
                return True  # Another process is at it, or the session is just ending; the next look tells.
        if spool.listener_pid() is not None or _is_starting(spool):
            return True
        spool.create()
        if spool.read_session() is None:
            spool.write_file("session.json", session)
        spool.write_file("starting", b"%d\n" % time.monotonic_ns())
        return launch(spool)
    except OSError:
        return False
    finally:
        if fd is not None:
            _lock.release(fd)


def launch(spool: Spool) -> bool:
    """Start supervisor and listener, with this process's stdout and stderr, detached from it."""
    if not sys.executable or getattr(sys, "frozen", False):
        return False
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = [entry for entry in sys.path if isinstance(entry, str)]
    if home not in path:
        path.append(home)
    command = [sys.executable, "-c", _BOOT, json.dumps(path), spool.path, spool.second or ""]
    # `&` makes it a child of the shell, which ends at once: it is adopted by init. What importing `subprocess` costs
    # is too much for `setup`, and the descriptors it would close are closed by `main`.
    shell = ["/bin/sh", "-c", '"$@" &', "mplog", *command]
    nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    try:
        pid = os.posix_spawn(shell[0], shell, os.environ, file_actions=nothing, setsigmask=())
    except OSError:
        return False
    with contextlib.suppress(ChildProcessError):  # somebody's handler of SIGCHLD was faster
        os.waitpid(pid, 0)
    return True


def main(path: str, second: str = "") -> None:
    """Be the supervisor: fork the listener, and fork it again when it was killed."""
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE):
        # Ctrl-C and a hang-up go to the whole group; the listener ends when the last worker has.
        signal.signal(number, signal.SIG_IGN)
    spool = Spool(path, second or None)
    failures: list[float] = []
    while True:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = listen(spool)
            except BaseException as error:
                with contextlib.suppress(Exception):
                    sys.stderr.write(f"mplog: the listener ended with {type(error).__name__}: {error}\n")
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        code = _watch(pid, spool)
        if code in (0, TAKEN):
            return
        now = time.monotonic()
        failures = [moment for moment in failures if now - moment < 10.0] + [now]
        if len(failures) > 5:
            time.sleep(min(1.0, 0.1 * len(failures)))
        if not os.path.isdir(path) or (code == 1 and len(failures) > 20):
            return


def listen(spool: Spool) -> int:
    """Be the listener until the session's last process has ended; return the exit code."""
    fd = _lock.acquire(spool.listener_lock)
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
    from mplog.config import Config
    from mplog.listener import Listener

    Listener(spool, Config.from_json(json.dumps(session["config"]))).run()
    return 0


def _watch(pid: int, spool: Spool) -> int:
    """Wait for the listener to end; kill it when it is stuck. A stopped one is left alone."""
    began = time.monotonic()
    while True:
        if hasattr(signal, "sigtimedwait"):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                signal.sigtimedwait([signal.SIGCHLD], 2.0)
                found, status = os.waitpid(pid, os.WNOHANG)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        else:
            time.sleep(0.25)
            found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - began > STUCK_AFTER and _is_stuck(pid, spool):
            os.kill(pid, signal.SIGKILL)


def _is_stuck(pid: int, spool: Spool) -> bool:
    status = spool.status()
    if status is None or status.pid != pid or time.monotonic_ns() - status.beat < STUCK_AFTER * 1e9:
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            state = file.read(2048).rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    # Stopped or traced: somebody did that on purpose, and will let it go on. A second one would write twice.
    return state not in (b"T", b"t", b"D")


def _is_starting(spool: Spool) -> bool:
    try:
        with open(spool.file("starting"), "rb", buffering=0) as file:
            age = time.monotonic_ns() - int(file.read(32))
    except (OSError, ValueError):
        return False
    return 0 <= age < STARTING * 1e9
