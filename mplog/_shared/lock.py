"""POSIX record locks, by which processes see that another one lives. Runs in every process.

A lock of this kind ends with its process, however it dies; a forked child does not keep it (with `flock` it
would); and it needs no pid that can be reused and no time-out. Its trap (POSIX, fcntl, "closing any file
descriptor"): a process that closes *any* descriptor of the file loses the lock. So a lock lives on a file of its
own, and this module never opens a file that this process holds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import sys
import threading
from typing import NamedTuple

if sys.platform == "darwin":
    _FLOCK, _TYPE, _PID = "qqihh", 3, 2
else:
    _FLOCK, _TYPE, _PID = "hhqqi", 0, 4

_held: dict[tuple[int, int], int] = {}
_guard = threading.RLock()


class Holder(NamedTuple):
    """Who holds a lock. `pid` is 0 where the kernel does not say (another pid namespace)."""

    pid: int


def acquire(path: str, *, wait: bool = False) -> int | None:
    """Lock the file at `path`, creating it with mode 0600, and return its descriptor, or None if it is held.

    With `wait` it blocks. A file that was removed while it was waited for is created anew.
    """
    while True:
        if is_ours(path):
            return None
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            same = _same_file(fd, path)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return None
            raise
        if same:
            adopt(fd)
            return fd
        os.close(fd)


def adopt(fd: int) -> None:
    """Note that this process holds a lock on `fd`."""
    stat = os.fstat(fd)
    with _guard:
        _held[stat.st_dev, stat.st_ino] = fd


def release(fd: int, *, remove: str | None = None) -> None:
    """Release a lock; with `remove` unlink its file first, so that nobody else gets the name of a lost lock."""
    if remove is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(remove)
    ours = False
    with _guard:
        for key, held in list(_held.items()):
            if held == fd:
                ours = is_file(fd, key)
                del _held[key]
    if ours:
        os.close(fd)


def is_file(fd: int, key: tuple[int, int]) -> bool:
    """Tell whether a descriptor still is the file it was: an application may have closed it, and opened another."""
    with contextlib.suppress(OSError):
        stat = os.fstat(fd)
        return (stat.st_dev, stat.st_ino) == key
    return False


def holder(path: str) -> Holder | None:
    """Return who holds the lock on `path`, or None if it is free or there is no such file. Takes nothing."""
    if is_ours(path):
        return Holder(os.getpid())
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return holder_of(fd)
    finally:
        os.close(fd)


def holder_of(fd: int) -> Holder | None:
    """Return who else holds the lock on an open file, or None. The caller knows that this process does not."""
    query = [0] * 5
    query[_TYPE] = fcntl.F_WRLCK
    answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_FLOCK, *query)))
    return None if answer[_TYPE] == fcntl.F_UNLCK else Holder(max(answer[_PID], 0))


def is_ours(path: str) -> bool:
    """Tell whether this process holds the lock on `path`, without opening it."""
    return held(path) is not None


def held(path: str) -> int | None:
    """Return the descriptor by which this process holds the lock on `path`, to read from, or None."""
    try:
        stat = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    with _guard:
        return _held.get((stat.st_dev, stat.st_ino))


def _same_file(fd: int, path: str) -> bool:
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), named)


def _forget() -> None:
    """Close what a forked child inherited: the locks are the parent's, closing does not touch them."""
    global _guard
    _guard = threading.RLock()
    for key, fd in _held.items():
        if is_file(fd, key):
            os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
