"""Send SIGURG to the processes of a session: levels were changed.

Runs where one changes them, and in the listener. SIGURG is ignored by default, so it does no harm to
whoever does not expect it.
"""

from __future__ import annotations

import contextlib
import os
import signal

from mplog._shared import lock
from mplog._shared.owner import SUFFIX, read_owner
from mplog._shared.spool import Spool


def announce(spool: Spool, *, own: bool = False) -> None:
    """Send SIGURG to the processes of a session that obey it; to this one only with `own`."""
    pids = set()
    for directory in spool.journal_directories:
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if name.endswith(SUFFIX):
                    with contextlib.suppress(OSError):
                        pids.add(_obedient(os.path.join(directory, name)))
    pids.discard(0)
    for pid in _with_children(pids):
        if (own or pid != os.getpid()) and _expects(pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGURG)


def _obedient(path: str) -> int:
    """Return the pid of a live owner that obeys SIGURG, or 0."""
    holder = lock.holder(path)
    if holder is None:
        return 0
    if lock.is_ours(path):
        return os.getpid()  # To open it would give up the lock.
    with open(path, "rb", buffering=0) as file:
        return holder.pid if read_owner(file.fileno()).identity.get("obeys") else 0


def _with_children(pids: set[int]) -> set[int]:
    """Add the descendants that run the same interpreter: they have owner files only once they have logged."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    parent = int(_read(f"/proc/{entry}/stat").rpartition(b")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry))
    found = set(pids)
    todo = [(pid, _program(pid)) for pid in pids]
    while todo:
        pid, program = todo.pop()
        for child in children.get(pid, ()):
            if child not in found:
                if program and _program(child) == program:
                    found.add(child)
                todo.append((child, program))
    return found


def _expects(pid: int) -> bool:
    """Tell whether a process has a handler for SIGURG (proc(5), status, SigCgt); True where nobody tells."""
    try:
        caught = _read(f"/proc/{pid}/status").partition(b"SigCgt:")[2].split()
    except OSError:
        return not os.path.isdir("/proc/self")
    return bool(caught) and bool(int(caught[0], 16) >> (signal.SIGURG - 1) & 1)


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return ""


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(8192)
