"""How far a loop has come: one small file a loop in the spool, written by the worker, read by the listener.

<spool>/progress.<journal>.<number>    one JSON line, rewritten in place
<spool>/bars                           made by a listener whose console is a terminal: somebody looks
"""

import contextlib
import itertools
import json
import os
from typing import NamedTuple

from mplog._shared import lock
from mplog._shared.held import open_private
from mplog._shared.owner import SUFFIX
from mplog._shared.spool import Spool

BARS = "bars"
_PREFIX = "progress."
SIZE = 1024
_numbers = itertools.count(1)


class Progress(NamedTuple):
    """How far one loop has come."""

    process: str
    pid: int
    description: str
    done: int
    total: int | None
    started: int
    """Monotonic ns."""


class Slot:
    """One loop's file. Runs in the worker.

    Args:
        spool: the session's directory.
        journal: the id of this process's journal, by which the listener sees that the process lives.

    Raises:
        OSError: nobody looks.
    """

    def __init__(self, spool: Spool, journal: str) -> None:
        os.stat(spool.file(BARS))
        self._path = spool.file(f"{_PREFIX}{journal}.{next(_numbers)}")
        self._fd = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._pid = os.getpid()

    def show(self, progress: Progress) -> None:
        """Tell how far it is."""
        short = progress._replace(process=progress.process[:100], description=progress.description[:200])
        text = json.dumps(short, separators=(",", ":")).encode()
        if len(text) >= SIZE:
            text = json.dumps(short._replace(process="", description="")).encode()
        os.pwrite(self._fd, text.ljust(SIZE - 1) + b"\n", 0)

    def close(self) -> None:
        """Take the file away; a forked child leaves it to its parent."""
        os.close(self._fd)
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def read_slots(spool: Spool) -> list[Progress]:
    """Return the loops of all live processes; files of the dead are removed. Runs in the listener."""
    found = []
    try:
        names = sorted(name for name in os.listdir(spool.path) if name.startswith(_PREFIX))
    except OSError:
        return []
    for name in names:
        path = spool.file(name)
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
            if not _lives(spool, name.split(".")[1]):
                os.unlink(path)
                continue
            with open(path, "rb", buffering=0) as file:
                values = json.loads(file.read(SIZE))
            if isinstance(values[3], int) and isinstance(values[5], int):
                found.append(Progress(*values))
    return sorted(found, key=lambda progress: (str(progress.process), progress.started))


def _lives(spool: Spool, journal: str) -> bool:
    """Tell whether the owner of a journal lives."""
    paths = [os.path.join(directory, journal + SUFFIX) for directory in spool.journal_directories]
    return any(lock.holder(path) is not None for path in paths)
