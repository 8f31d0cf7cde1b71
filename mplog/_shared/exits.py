"""Note how children end, where their parent sees it: the listener may look too late. Runs in every attached process.

`multiprocessing` learns of a child's end by `poll` of its Popen object, and ends it on purpose by `terminate`. Both
leave a line in the spool's file ``exits``: pid, wall clock in ns, and the exit code or ``T`` for "was told to end".
Read in the listener.
"""

import contextlib
import os
import sys
import time
from typing import Any, NamedTuple

from mplog._shared.held import open_private

FILE = "exits"
TOLD = "T"

_path = ""
_watched: set[type] = set()
_start: Any = None


class Exit(NamedTuple):
    """How a process ended: `code` as in `Process.exitcode`, or None; whether it was told to end; `wall` in ns."""

    code: int | None
    told: bool
    wall: int


def watch(path: str) -> None:
    """Note the ends of this process's children in a session's directory from now on."""
    global _path, _start
    _path = os.path.join(path, FILE)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and _start is None:
        _start = process.BaseProcess.start
        process.BaseProcess.start = _noticed_start


def unwatch() -> None:
    """Note nothing any more."""
    global _path
    _path = ""


def read(data: bytes, found: dict[int, Exit]) -> int:
    """Enter the lines of an ``exits`` file by pid; return how many bytes of `data` were whole lines."""
    end = data.rfind(b"\n") + 1
    for line in data[:end].split(b"\n"):
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            pid, wall = int(words[0]), int(words[1])
            if words[2] == TOLD.encode():
                found[pid] = Exit(None, True, wall)
            else:
                before = found.get(pid)
                told = before is not None and before.told and before.code is None
                found[pid] = Exit(int(words[2]), told, wall)
    return end


def _noticed_start(self: Any) -> None:
    _start(self)
    with contextlib.suppress(Exception):  # another implementation of processes: its ends are not noted
        _watch_class(type(self._popen))


def _watch_class(kind: Any) -> None:
    if kind in _watched or not _path:
        return
    _watched.add(kind)
    poll, terminate = kind.poll, kind.terminate

    def noticed_poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        known = self.returncode
        code = poll(self, *args, **kwargs)
        if known is None and code is not None:
            _write(self.pid, str(code))
        return code

    def noticed_terminate(self: Any) -> None:
        if self.returncode is None:
            _write(self.pid, TOLD)
        terminate(self)

    kind.poll, kind.terminate = noticed_poll, noticed_terminate


def _write(pid: int, what: str) -> None:
    if not _path:
        return
    with contextlib.suppress(OSError):
        fd = open_private(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(fd, b"%d %d %s\n" % (pid, time.time_ns(), what.encode()))
        finally:
            os.close(fd)
