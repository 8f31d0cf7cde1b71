"""The files of a journal: their names, and how they are mapped. Runs in every process."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys

MAPPED = ".mapped"
APPENDED = ".appended"
END_LINE = b"-\n"
"""The last line of an appended segment."""
LONGEST_NUMBER = 18
"""Digits of a segment's number, at most."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a file system says that is full, or full for this user, or for a file of this size."""


def segment_name(journal: str, number: int, suffix: str) -> str:
    """Return the file name of a segment, for example ``5f0c..9a.000001.mapped``."""
    return f"{journal}.{number:06d}{suffix}"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """Return the journal and the number in a segment's file name, or None if it is another file."""
    stem, dot, suffix = name.rpartition(".")
    journal, _, number = stem.rpartition(".")
    # Others may leave files here, too: a superscript two is a digit, and no number; a longer one fits in no position.
    if not dot or "." + suffix not in (MAPPED, APPENDED) or not (number.isascii() and number.isdigit()):
        return None
    return (journal, int(number)) if journal and len(number) <= LONGEST_NUMBER and int(number) else None


def withdraw(path: str) -> None:
    """Remove a segment that was made and not used; never raises."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def map_file(fd: int, size: int) -> mmap.mmap:
    """Map a file, without a descriptor of its own where Python can (3.13)."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)
    return mmap.mmap(fd, size)


def abandon(memory: mmap.mmap | None) -> None:
    """Never unmap a mapping whose descriptor the application has closed.

    Before 3.13 a mapping closes a descriptor of its own at its end, whose number may be another file's by now. The
    interpreter keeps hooks of `fork` longer than any module.
    """
    if memory is not None and sys.version_info < (3, 13):
        os.register_at_fork(after_in_child=memory.__len__)


def map_segment(fd: int, size: int) -> mmap.mmap:
    """Reserve a segment's room and map it.

    Raises:
        OSError: there is no room, or nothing can be mapped here.
    """
    os.fchmod(fd, 0o600)
    # A sparse file would give SIGBUS on a full tmpfs; this gives ENOSPC here.
    os.posix_fallocate(fd, 0, size)
    memory = map_file(fd, size)
    if hasattr(mmap, "MADV_DONTDUMP"):
        memory.madvise(mmap.MADV_DONTDUMP)
    return memory
