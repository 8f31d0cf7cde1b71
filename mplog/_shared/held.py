"""Descriptors that are kept, in a program that may close them: who becomes a daemon closes all it finds.

Their numbers then belong to files of the application. So a kept descriptor knows which file it is, and is asked
before it is read, written or closed. Runs in every process.
"""

from __future__ import annotations

import contextlib
import os
import stat

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
        found = os.fstat(fd)
        self.key: Key = (found.st_dev, found.st_ino)

    def is_intact(self) -> bool:
        """Tell whether the descriptor still is the file it was."""
        return is_file(self.fd, self.key)

    def close(self) -> None:
        """Close the descriptor, unless it is somebody else's by now."""
        if self.is_intact():
            os.close(self.fd)


def make_directory(path: str, mode: int) -> None:
    """Make a directory of this mode, whatever the umask takes away.

    Raises:
        OSError: it exists, or cannot be made.
    """
    os.mkdir(path, mode)
    given = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
    if given & 0o777 != mode:
        os.chmod(path, given & 0o7000 | mode)


def open_private(path: str, flags: int) -> int:
    """Open one of mplog's own files; where that makes it, its mode is 0600 whatever the umask takes away."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):  # somebody else's, if root may write it: its mode stays
        os.fchmod(fd, 0o600)
    return fd


def is_file(fd: int, key: Key) -> bool:
    """Tell whether a descriptor still is the file it was: an application may have closed it, and opened another."""
    with contextlib.suppress(OSError):
        found = os.fstat(fd)
        return (found.st_dev, found.st_ino) == key
    return False
