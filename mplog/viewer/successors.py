"""The files that took a log's name after the one that is open, found while they may still move on.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import time
import zlib
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

from mplog.viewer.archives import is_compressed
from mplog.viewer.cursors import HEAD, fingerprint
from mplog.viewer.reading import open_source, rotations

_TRIES = 200
_PAUSE = 0.005

Listing = list[tuple[str, int, int]]


class Successors(NamedTuple):
    """Hold what came after a file: whole rotated files, oldest first, and a descriptor of the current one."""

    between: list[tuple[str, BinaryIO]]
    current: int

    @classmethod
    def of(cls, path: str, fd: int) -> Successors | None:
        """Open the successors of an open file, all in one consistent state; None if the name is free just now.

        Names move while we look: `.1` becomes `.2`, or `.1.gz`. So they are listed before and after they are
        opened, and it counts only if nothing moved; what is open stays the same file wherever its name goes.

        Args:
            path: the log's name.
            fd: the file that had it when we last looked.
        """
        for _ in range(_TRIES):
            with ExitStack() as stack:
                before = _listing(path)
                found = _open_all(path, fd, stack)
                if found is not None and _listing(path) == before:
                    stack.pop_all()
                    return found
            if before and before[0][0] != path:
                return None
            time.sleep(_PAUSE)
        return None


def _listing(path: str) -> Listing:
    found = []
    for name in (path, *(name for _, name in rotations(path))):
        try:
            there = os.stat(name)
        except OSError:
            continue
        found.append((name, there.st_dev, there.st_ino))
    return found


def _open_all(path: str, fd: int, stack: ExitStack) -> Successors | None:
    here = os.fstat(fd)
    mark = fingerprint(fd, max(1, min(here.st_size, HEAD)))
    between: list[tuple[str, BinaryIO]] = []
    try:
        current = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, current)
        for name in _youngest_first(path):
            there = os.stat(name)
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                break
            stream = stack.enter_context(open_source(name))
            if is_compressed(name):
                if _begins_with(stream, mark):
                    break
            elif there.st_mtime < here.st_mtime:
                continue
            if there.st_mtime >= here.st_mtime:
                between.append((name, stream))
    except (OSError, EOFError):
        return None
    return Successors(between[::-1], current)


def _youngest_first(path: str) -> list[str]:
    """Return the rotated files; where `.1` and `.1.gz` stand together, the plain one: the other is in the making."""
    found: dict[int, str] = {}
    for number, name in rotations(path):
        if number not in found or not is_compressed(name):
            found[number] = name
    return list(found.values())


def _begins_with(stream: BinaryIO, mark: tuple[int, int]) -> bool:
    head = stream.read(mark[0])
    stream.seek(0)
    return len(head) == mark[0] and zlib.crc32(head) == mark[1]
