"""The one log file: opened with care, appended to, never truncated, followed when others move it.

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time

from mplog._listener import rotation
from mplog._shared.held import Key as Identity
from mplog._shared.held import is_file, make_directory
from mplog.exceptions import ConfigError

LONGEST_COMPRESSION = 10.0
"""Seconds for which a rotation waits until an earlier file is compressed; longer would look as if it were stuck."""
ROTATE_AGAIN = 5.0
"""Seconds after which a rotation that failed is tried again."""


class LogFile:
    """Append batches to the log file. Nothing here raises `OSError`: what fails is in `error`, and tried again.

    Args:
        path: the log file.
        mode: permission bits, whatever the umask.
        durable: sync after every batch, and the directory after a rotation.
        max_bytes: size in bytes above which the file is rotated; 0 = never.
        backup_count: rotated files to keep; 0 = all.
        rotate_every: see `rotation.next_rollover`.
        compress: gzip rotated files.
    """

    def __init__(
        self,
        path: str,
        *,
        mode: int = 0o600,
        durable: bool = False,
        max_bytes: int = 0,
        backup_count: int = 0,
        rotate_every: float | str = 0.0,
        compress: bool = False,
    ) -> None:
        self.path = path
        self.error: OSError | None = None
        self.replaced = False
        """Whether the file was found gone or exchanged since this was last set to False."""
        self._mode = mode
        self._durable = durable
        self._max_bytes = max_bytes
        self._keep = backup_count
        self._every = rotate_every
        self._compressor = rotation.Compressor(path, mode=mode) if compress else None
        self._fd = -1
        self._identity: Identity = (0, 0)
        self._rollover = float("inf")
        self._rotate_at = 0.0
        """When to try again a rotation that failed (monotonic)."""

    def ready(self) -> bool:
        """Open the file, or open it anew if its name now belongs to another file. False: `error` says why."""
        try:
            if self._fd >= 0 and not self.is_lost and self._is_current():
                return True
            if self._fd >= 0:
                self.replaced = self.replaced or not self._is_current()
                self.close()
            self._open()
        except OSError as error:
            self.error = error
            return False
        self.error = None
        return True

    @property
    def identity(self) -> Identity:
        """Device and inode of the open file."""
        return self._identity

    @property
    def is_lost(self) -> bool:
        """Whether the application has closed the file's descriptor."""
        return self._fd >= 0 and not is_file(self._fd, self._identity)

    def size(self) -> int:
        """Return the size of the open file in bytes.

        Raises:
            OSError: the application has closed the descriptor, and perhaps opened a file of its own by that number.
        """
        found = os.fstat(self._fd)
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), self.path)
        return found.st_size

    def seal(self) -> None:
        """End somebody else's half line, which must not swallow our first record.

        Raises:
            OSError: it cannot be written.
        """
        size = self.size()
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    @property
    def is_gone(self) -> bool:
        """Whether the open file has no name any more: what is written to it is lost."""
        return self._fd < 0 or os.fstat(self._fd).st_nlink == 0

    def write(self, data: bytes, base: int) -> int:
        """Append the rest of a batch that begins at file offset `base`; return how much of `data` is there now.

        The file itself tells how much that is, so a short write or an I/O error resumes at the exact byte.
        """
        there = 0
        try:
            there = min(max(self.size() - base, 0), len(data))
            view = memoryview(data)
            while there < len(data):
                there += os.write(self._fd, view[there:])
            self.error = None
        except OSError as error:
            self.error = error
            with contextlib.suppress(OSError):
                there = min(max(self.size() - base, 0), len(data))
        return there

    def common(self, data: bytes, offset: int) -> tuple[int, bool]:
        """Return how much of `data` stands at `offset`, and whether something else stands behind that.

        Raises:
            OSError: the file cannot be read.
        """
        found = b""
        while len(found) <= len(data):
            more = os.pread(self._fd, len(data) + 1 - len(found), offset + len(found))
            if not more:
                break
            found += more
        if data.startswith(found):
            return len(found), False
        differs = (index for index, (here, there) in enumerate(zip(found, data, strict=False)) if here != there)
        return next(differs, len(data)), True

    def sync(self) -> bool:
        """Sync the file in durable mode. False: the kernel may have dropped the pages; a second try would lie."""
        if not self._durable:
            return True
        try:
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)
        except OSError as error:
            self.error = error
            return False
        return True

    def due(self, length: int) -> bool:
        """Tell whether the file is to be rotated before `length` more bytes.

        Raises:
            OSError: the file's size cannot be told.
        """
        if time.monotonic() < self._rotate_at:
            return False
        if self._max_bytes:
            size = self.size()
            if size and size + length > self._max_bytes:
                return True
        if time.time() >= self._rollover:
            if self.size():
                return True
            self._rollover = rotation.next_rollover(self._every, time.time())
        return False

    def rotate(self, identity: Identity) -> bool:
        """Rotate the file of this identity, unless its name belongs to another file by now; open a new one.

        Completes a rotation that was interrupted anywhere. False: `error` says why, and the old file goes on.
        """
        try:
            if self._compressor is not None and not self._compressor.wait(LONGEST_COMPRESSION):
                raise OSError(errno.EBUSY, "the file before it is still being compressed", self.path)
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(self.path, follow_symlinks=False)
                if (found.st_dev, found.st_ino) == identity:
                    rotation.rotate(self.path, keep=self._keep)
            self.close()
            self._open()
            if self._durable:
                self._sync_directory()
        except OSError as error:
            self.error = error
            self._rotate_at = time.monotonic() + ROTATE_AGAIN
            return False
        self.compress()
        return True

    def compress(self) -> None:
        """Begin to compress rotated files that are plain, if they are to be compressed."""
        if self._compressor is not None:
            self._compressor.start()

    def find(self, identity: Identity) -> LogFile | None:
        """Return the file of this identity, opened, if it is still in the directory: the log under another name."""
        directory = os.path.dirname(self.path) or "."
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.inode() != identity[1]:
                    continue
                other = LogFile(entry.path, mode=self._mode, durable=self._durable)
                if other.ready() and other.identity == identity:
                    return other
                other.close()
        return None

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            if not self.is_lost:
                os.close(self._fd)
            self._fd = -1

    @property
    def is_compressing(self) -> bool:
        """Whether a rotated file is just being compressed."""
        return self._compressor is not None and not self._compressor.wait(0.0)

    def _is_current(self) -> bool:
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _open(self) -> None:
        try:
            self._fd, self._identity = open_log(self.path, self._mode)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(os.path.dirname(self.path)), 0o700, exist_ok=True)
            make_log_directory(self.path, self._mode)
            self._fd, self._identity = open_log(self.path, self._mode)
        try:
            # A second listener, of another spool, waits: two would mix their batches. Who only reads is not held up.
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                self.close()
                raise OSError(errno.EBUSY, "another listener writes to it", self.path) from error
        self._rollover = rotation.next_rollover(self._every, self._opened())

    def _opened(self) -> float:
        """Return since when the file is filled: a file that exists goes on with its period."""
        found = os.fstat(self._fd)
        return found.st_mtime if found.st_size else time.time()

    def _sync_directory(self) -> None:
        fd = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def open_log(path: str, mode: int) -> tuple[int, Identity]:
    """Open a log file for appending and return descriptor and identity; follow no link, take no fifo.

    Raises:
        OSError: it cannot be opened, or is no regular file of one name.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
        os.fchmod(fd, mode)
    except FileExistsError:
        fd = os.open(path, flags)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        what = "has a second name (hard link)" if stat.S_ISREG(found.st_mode) else "is no regular file"
        raise OSError(errno.EINVAL, f"{what}; give mplog a file of its own", path)
    return fd, (found.st_dev, found.st_ino)


def make_log_directory(path: str, mode: int) -> None:
    """Make the directory of a log file: 0700, and whom the file's mode lets read may look into it.

    Raises:
        OSError: it exists, or cannot be made.
    """
    readers = mode & 0o044
    make_directory(os.path.dirname(path), 0o700 | readers | readers >> 2)


def check_log(path: str, mode: int) -> None:
    """Open and close the log file, so that what is wrong with it is said in the caller of `setup`.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        fd, _ = open_log(path, mode)
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"`file` is {path!r}, which cannot be written ({reason}); name another file.") from error
    os.close(fd)
