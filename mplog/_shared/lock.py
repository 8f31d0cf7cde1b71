"""POSIX record locks, by which processes see that another one lives. Runs in every process.

A lock of this kind ends with its process, however it dies; a forked child does not keep it (with `flock` it
would); and it needs no pid that can be reused and no time-out. Its trap (POSIX, fcntl, "closing any file
descriptor"): a process that closes *any* descriptor of the file loses the lock. So a lock lives on a file of its
own, and this module never opens a file that this process holds.
"""

import contextlib
import errno
import fcntl
import os
import struct
import sys
import threading
from typing import NamedTuple

from mplog._shared.held import Key, is_file, open_private

if sys.platform == "darwin":
    _FLOCK, _TYPE, _PID = "qqihh", 3, 2
else:
    _FLOCK, _TYPE, _PID = "hhqqi", 0, 4

_QUERY = struct.pack(_FLOCK, *(fcntl.F_WRLCK if field == _TYPE else 0 for field in range(5)))

_held: dict[Key, int] = {}
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
        fd = open_private(path, os.O_RDWR | os.O_CREAT)
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


def take_again(key: Key, path: str) -> int | None:
    """Take the lock on a file of this identity anew, whose descriptor the application has closed; return the new one.

    None: the file at `path` is another one, or somebody else has the lock by now. Meanwhile the lock counts as
    held: no other thread of this process looks at its file, and so drops it.
    """
    with _guard:
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            _held.pop(key, None)
            return None
        try:
            if not is_file(fd, key):
                raise FileNotFoundError(path)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            _held.pop(key, None)
            return None
        _held[key] = fd
        return fd


def release(fd: int, *, remove: str | None = None) -> None:
    """Release a lock; with `remove` unlink its file first, so that nobody else gets the name of a lost lock."""
    if remove is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(remove)
    with _guard:
        keys = [key for key, held in _held.items() if held == fd]
        # The number of a lock whose descriptor the application has closed may be that of a later one.
        ours = [key for key in keys if is_file(fd, key)]
        for key in ours or keys:
            del _held[key]
    if ours:
        os.close(fd)


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
    answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, _QUERY))
    return None if answer[_TYPE] == fcntl.F_UNLCK else Holder(max(answer[_PID], 0))


def is_ours(path: str) -> bool:
    """Tell whether this process holds the lock on `path`, without opening it.

    One whose descriptor the application has closed counts as held: who lost it takes it again.
    """
    return _entry(path) is not None


def held(path: str) -> int | None:
    """Return the descriptor by which this process holds the lock on `path`, to read from, or None."""
    found = _entry(path)
    return found[1] if found is not None and is_file(found[1], found[0]) else None


def _entry(path: str) -> tuple[Key, int] | None:
    try:
        stat = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    key = stat.st_dev, stat.st_ino
    with _guard:
        fd = _held.get(key)
    return None if fd is None else (key, fd)


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
