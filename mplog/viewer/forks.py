"""A few forked processes that work through the blocks of one file. Runs in the command `mplog`."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Self

from mplog.viewer import layouts
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.walk import pread

LARGE = 16 << 20
"""A file from this size on is worth more than one process."""


def workers() -> int:
    """Return how many processes read: one a core, MPLOG_JOBS if it is set."""
    wanted = os.environ.get("MPLOG_JOBS", "")
    if wanted.isascii() and wanted.isdigit():
        return max(1, min(64, int(wanted)))
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def line_start(fd: int, at: int, end: int, *, text: bool = False) -> int:
    """Return where the first record begins that starts at an offset or behind it; `text`: in mplog's text layout."""
    at -= 1
    while at < end:
        piece = pread(fd, 1 << 14, at)
        newline = piece.find(b"\n")
        while newline >= 0 and text and not layouts.begins(piece, newline + 1):
            newline = piece.find(b"\n", newline + 1)
        if newline >= 0:
            return min(end, at + newline + 1)
        # A header that lies across two pieces must be seen whole.
        at += max(1, len(piece) - 32) if text else len(piece)
        if not piece or len(piece) < 64:
            break
    return end


class Team(ABC):
    """Forked processes; number i takes the blocks i, i + n, i + 2n, and answers through its own pipe.

    A process waits in `write` while its pipe is full, so memory is bounded and the order is the file's.

    Args:
        fd: the file.
        path: its name.
        begin: the first byte, where a record begins.
        end: behind the last byte.
        block: how many bytes a block has, whole records apart.
    """

    def __init__(self, fd: int, path: str, begin: int, end: int, block: int) -> None:
        self.fd, self.path, self.begin, self.end = fd, path, begin, end
        self.block = block
        self.blocks = -(-(end - begin) // block)
        self.text = False
        self._within = (0, 0)  # of a long line: nothing begins in it
        self._pipes: list[int] = []
        self._pids: list[int] = []

    def start(self) -> Self:
        """Fork."""
        count = max(1, min(workers(), self.blocks))
        for number in range(count):
            reading, writing = os.pipe()
            with suppress(OSError, AttributeError, ImportError):
                import fcntl

                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
            pid = os.fork()
            if pid == 0:
                self._run(range(number, self.blocks, count), reading, writing)
            os.close(writing)
            self._pipes.append(reading)
            self._pids.append(pid)
        return self

    def prepare(self) -> None:  # noqa: B027  # not everybody has to
        """Get ready. Runs in each forked process, once."""

    @abstractmethod
    def answer(self, number: int) -> Sequence[bytes]:
        """Return the answer for a block in pieces. Runs in a forked process."""

    def _run(self, numbers: range, reading: int, writing: int) -> NoReturn:
        """Answer for the blocks of one process. Runs in the forked process and never returns."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for pipe in (*self._pipes, reading):
                os.close(pipe)
            self.prepare()
            for number in numbers:
                for part in self.answer(number):
                    view = memoryview(part)
                    while view:
                        view = view[os.write(writing, view) :]
            code = 0
        except BrokenPipeError:
            code = 0
        except BaseException as error:  # A forked process must end here, whatever happens in it.
            with suppress(BaseException):
                os.write(2, f"mplog: a reading process failed: {error!r}\n".encode("utf-8", "backslashreplace"))
        finally:
            os._exit(code)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return where the records begin that start in a block, and where they end."""
        return self._start_of(number), self._start_of(number + 1)

    def _start_of(self, number: int) -> int:
        at = self.begin + number * self.block
        if number == 0 or at >= self.end:
            return self.begin if number == 0 else self.end
        low, high = self._within
        if not low <= at <= high:
            self._within = (at, line_start(self.fd, at, self.end, text=self.text))
        return self._within[1]

    def receive(self, number: int, size: int) -> bytes:
        """Return so many bytes of the answer for a block.

        Raises:
            ViewerError: the process died.
        """
        pipe = self._pipes[number % len(self._pipes)]
        parts = []
        while size:
            part = os.read(pipe, min(size, 1 << 20))
            if not part:
                raise ViewerError(f"{self.path}: a process that read it died; MPLOG_JOBS=1 reads in one")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def dismiss(self) -> None:
        """Close the pipes and wait for the processes."""
        for pipe in self._pipes:
            os.close(pipe)
        for pid in self._pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
