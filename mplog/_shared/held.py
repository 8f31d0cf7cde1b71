"""Descriptors that are kept, in a program that may close them: who becomes a daemon closes all it finds.

Their numbers then belong to files of the application. So a kept descriptor knows which file it is, and is asked
before it is read, written or closed. Runs in every process.
"""

from __future__ import annotations

import contextlib
import os

Key = tuple[int, int]
"""Device and inode."""


class Held:
    """A descriptor, and the file it stands for.

    Args:
        fd: the descriptor, just opened.
    """

    __slots__ = ("fd", "key")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        stat = os.fstat(fd)
        self.key: Key = (stat.st_dev, stat.st_ino)

    def is_intact(self) -> bool:
        """Tell whether the descriptor still is the file it was."""
        return is_file(self.fd, self.key)

    def close(self) -> None:
        """Close the descriptor, unless it is somebody else's by now."""
        if self.is_intact():
            os.close(self.fd)


def is_file(fd: int, key: Key) -> bool:
    """Tell whether a descriptor still is the file it was: an application may have closed it, and opened another."""
    with contextlib.suppress(OSError):
        stat = os.fstat(fd)
        return (stat.st_dev, stat.st_ino) == key
    return False
