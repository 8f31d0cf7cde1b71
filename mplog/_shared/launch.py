"""Start a session's listener process from any process of the session. Runs in every process.

    any process --sh--> supervisor --fork--> listener     see `supervise`

The supervisor is no child of the process that started it (the shell between them has ended), so nobody's
`os.wait` meets it and nobody has to reap it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

from mplog._shared import descriptors, lock
from mplog._shared.spool import Spool
from mplog._shared.stuck import ALONE, Watch

STARTING = 5.0
"""Seconds for which others trust that a listener that was started will take its lock."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the listener is stuck, at least."""

_watches: dict[str, Watch] = {}

_BOOT = (
    "import sys,json;sys.path[:]=json.loads(sys.argv[1]);from mplog._listener.supervise import main;main(*sys.argv[2:])"
)


def look(spool: Spool, session: bytes, pid: int | None) -> None:
    """Start a listener process for a session if none lives, and replace one that is stuck.

    The supervisor of a listener that is stuck does that earlier, if it lives. Cheap where there is nothing to do.

    Args:
        spool: the session's directory.
        session: content for `session.json` where it is missing.
        pid: what `Spool.listener_pid` says.
    """
    if pid is None or _watch(spool).is_stuck(pid, every=LOOK_EVERY):
        ensure(spool, session, stuck=pid)


def ensure(spool: Spool, session: bytes, *, locked: bool = False, stuck: int | None = None) -> bool:
    """Start a listener process for a session if none lives; return whether one lives or is about to.

    Args:
        spool: the session's directory; made again if somebody removed it.
        session: content for `session.json` where it is missing.
        locked: whether the caller holds the session's lock already.
        stuck: the pid of a listener that is stuck, and is killed first.
    """
    if not locked and spool.listener_pid() not in (None, stuck):
        return True
    fd = None
    try:
        if not locked:
            if not os.path.isdir(os.path.dirname(spool.lock_path)):
                spool.create()
            fd = lock.acquire(spool.lock_path)
            if fd is None and stuck and lock.holder(spool.lock_path) == lock.Holder(stuck) and _watch(spool).end(stuck):
                fd = lock.acquire(spool.lock_path)
            if fd is None:
                return True  # Another process is at it, or the session is just ending; the next look tells.
        # Locked first: who else has found it stuck sees the new one from now on.
        pid = spool.listener_pid()
        if (pid is not None and not (pid == stuck and _watch(spool).end(pid))) or _is_starting(spool):
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
            lock.release(fd, remove=None if os.path.isdir(spool.path) else spool.lock_path)


def launch(spool: Spool) -> bool:
    """Start supervisor and listener, with this process's stdout and stderr, detached from it."""
    executable = _python()
    if executable is None:
        return False
    home = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    path = [str(entry) for entry in sys.path]
    if home not in path:
        path.append(home)
    command = [executable, "-c", _BOOT, json.dumps(path), spool.path, spool.second or ""]
    # `&` makes it a child of the shell, which ends at once: it is adopted by init. Importing `subprocess` would cost
    # `setup` too much; the descriptors it would close are closed by `main`.
    shell = ["/bin/sh", "-c", '"$@" &', "mplog", *command]
    actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    for number in (1, 2):
        fd = descriptors.original(number)
        if _is_raw(fd, spool):
            # A captured process started this one. What a listener writes there it would read again.
            actions.append((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0))
        elif fd != number:
            actions.append((os.POSIX_SPAWN_DUP2, fd, number))
    try:
        pid = os.posix_spawn(shell[0], shell, os.environ, file_actions=actions, setsigmask=())
    except OSError:
        return False
    with contextlib.suppress(ChildProcessError):  # somebody's handler of SIGCHLD was faster
        os.waitpid(pid, 0)
    return True


def _watch(spool: Spool) -> Watch:
    if spool.path not in _watches:
        _watches.clear()
        _watches[spool.path] = Watch(spool, ALONE)
    return _watches[spool.path]


def _python() -> str | None:
    """Return the interpreter's program, or None: in a program that embeds Python `sys.executable` is that one."""
    if getattr(sys, "frozen", False):
        return None
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    installed = os.path.join(sys.exec_prefix, "bin", name)
    for path in (sys.executable, installed):
        if path and "py" in os.path.basename(path).lower() and os.access(path, os.X_OK):
            return path
    return None


def _is_starting(spool: Spool) -> bool:
    try:
        with open(spool.file("starting"), "rb", buffering=0) as file:
            age = time.monotonic_ns() - int(file.read(32))
    except (OSError, ValueError):
        return False
    return 0 <= age < STARTING * 1e9


def _is_raw(fd: int, spool: Spool) -> bool:
    """Tell whether a descriptor leads into a raw file of captured output."""
    with contextlib.suppress(OSError):
        found = os.fstat(fd)
        return any(
            os.stat(entry.path).st_ino == found.st_ino
            for directory in spool.journal_directories
            if os.path.isdir(directory)
            for entry in os.scandir(directory)
            if entry.name.endswith((".fd1", ".fd2"))
        )
    return False
