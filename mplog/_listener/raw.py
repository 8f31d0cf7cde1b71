"""Make records of captured output: raw files of descriptors 1 and 2, and lines that were begun and never ended.

Runs in the listener. A raw file is only appended to, so it is a journal of another kind: which bytes of it a batch
holds stands in the commit log, and a killed listener's batch is made again from the same bytes. What is written there
has no time of its own; it gets that of the file's last change when the listener read it, a few milliseconds late.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from typing import Any

from mplog._listener.commit import Progress
from mplog._listener.merge import Range
from mplog._listener.reader import Position
from mplog._shared.pending import read_header
from mplog._shared.record import quote, timestamp
from mplog._shared.values import cut

RAW = {".fd1": 1, ".fd2": 2}
STREAMS = {1: ("stdout", 20, "INFO"), 2: ("stderr", 30, "WARNING")}
QUIET, QUIET_BAR = 1_000_000_000, 10_000_000_000
"""Nanoseconds after which an unfinished line becomes a record, without and with a carriage return in it."""
LONGEST = 64 * 1024
"""Bytes of an unfinished line above which it becomes a record at once."""
LIMIT = 256 * 1024
"""Bytes read of one file in one step."""
PUNCH_ABOVE = 1 << 18
"""Bytes of a raw file that are in the log, above which their room is given back."""
PAGE = 4096

Settings = tuple[dict[str, int], Callable[[str], str], int]
"""Levels by logger, the function that takes secrets out, and the most bytes of a record."""


class OutputChunk:
    """Lines made of one read, in the form that `merge.take` knows."""

    __slots__ = ("_ends", "end", "lines", "start")

    def __init__(self, start: int, end: int, lines: list[bytes], ends: list[int]) -> None:
        self.start, self.end = Position(0, start), Position(0, end)
        self.lines, self._ends = lines, ends

    def position(self, index: int) -> Position:
        """Return the position behind the first `index` lines."""
        return self.start if not index else Position(0, self._ends[index - 1])

    def drop(self, index: int) -> Position:
        """Forget the first `index` lines and return the position behind them."""
        self.start = self.position(index)
        del self.lines[:index], self._ends[:index]
        return self.start


class OutputFile:
    """One file of output: a raw one, or the one that says who took which unfinished line."""

    def __init__(self, path: str, name: str, progress: Progress) -> None:
        self.path, self.name = path, name
        self.journal, _, suffix = name.rpartition(".")
        self.is_raw = "." + suffix in RAW
        self.offset = progress.position.offset
        self.floor = progress.floor
        self.chunk: OutputChunk | None = None
        self.wall = 0
        self.undone = 0
        self.through = False
        """Read to its end after its owner's death."""
        self.more = False
        """There was more to read than one chunk holds."""
        self.asleep = False
        """Of the files that say who took a line: read, and nothing claimed by this listener since."""
        self.size = -1
        """The file's size when its end was found to be an unfinished line."""
        self.punched = PAGE
        self.identity: dict[str, Any] = {}
        self.body = 0

    def meet(self, fd: int) -> None:
        """Read the first line, which says whose output it is."""
        if not self.body:
            self.identity, self.body = read_header(fd)
            self.offset = max(self.offset, self.body)

    def poll(self, settings: Settings, now: int, written: int, *, dead: bool) -> bool:
        """Take in what is new as one chunk, with keys above `written`; return whether there was anything."""
        if self.chunk is not None:
            return True
        if self.asleep and not dead:
            return False
        self.asleep = not self.is_raw
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except OSError:
            self.through = dead
            return False
        if found.st_size <= self.offset and self.body:
            self.through = dead
            return False
        wall = time.time_ns()
        age = max(0, wall - found.st_mtime_ns)
        if found.st_size == self.size and age < QUIET and not dead:
            return False
        fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.meet(fd)
            data = os.pread(fd, min(LIMIT, max(0, found.st_size - self.offset)), self.offset)
        finally:
            os.close(fd)
        end = data.rfind(b"\n") + 1
        if not end and data:
            quiet = QUIET_BAR if b"\r" in data else QUIET
            if dead or len(data) >= LONGEST or (self.is_raw and age > quiet):
                end = len(data)
        self.size = -1 if end else found.st_size
        self.through = dead and not data
        self.more = bool(end) and len(data) == LIMIT
        if not end:
            return False
        # Of a backlog the beginning is older than the file's last change tells.
        first = max(0 if self.more else now - age, written + 1, self.floor + 1)
        self.wall = min(wall, found.st_mtime_ns)
        self.chunk = self._make(data[:end], self.offset, first, self.wall, settings)
        self.offset += end
        if self.chunk.lines:
            self.floor = first + len(self.chunk.lines) - 1
        return True

    def again(self, taken: Range, settings: Settings) -> list[bytes]:
        """Return the lines of an interrupted batch once more."""
        with open(self.path, "rb", buffering=0) as file:
            self.meet(file.fileno())
            start = max(taken.start.offset, self.body)
            data = os.pread(file.fileno(), taken.end.offset - start, start)
        return self._make(data, start, taken.last - taken.count + 1, taken.wall, settings).lines

    def release(self, end: int) -> None:
        """Give back the room of what is in the log, if it is much."""
        end -= end % PAGE
        if self.is_raw and end - self.punched >= PUNCH_ABOVE:
            with contextlib.suppress(OSError, AttributeError, ImportError):
                _punch(self.path, self.punched, end - self.punched)
            self.punched = end

    def is_held(self) -> bool:
        """Tell whether some process, a child program perhaps, can still write into a raw file."""
        if not self.is_raw:
            return False
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            finally:
                os.close(fd)
        return False

    def _make(self, data: bytes, start: int, first: int, wall: int, settings: Settings) -> OutputChunk:
        lines: list[bytes] = []
        ends: list[int] = []
        at = start
        for part in _split(data):
            line = self._raw_line(part, wall, settings) if self.is_raw else self._said_line(part, at)
            at += len(part)
            if line:
                lines.append(b"%016x " % (first + len(lines)) + line)
                ends.append(at)
        return OutputChunk(start, start + len(data), lines, ends)

    def _raw_line(self, part: bytes, wall: int, settings: Settings) -> bytes:
        shown = part.rstrip(b"\r\n")
        if b"\r" in shown:
            shown = next((state for state in reversed(shown.split(b"\r")) if state), b"")
        text = shown.decode("utf-8", "backslashreplace")
        number = self.identity.get("fd", 1)
        return output_line(self.identity, number, text, wall, settings, number) if text else b""

    def _said_line(self, part: bytes, at: int) -> bytes:
        """Return the record of a line that the listener took, if nobody had taken it before."""
        words = part.split(b" ", 3)
        if words[0] != b"C" or len(words) < 4 or not words[3].endswith(b"}\n") or words[3] == b"{}\n":
            return b""
        with open(self.path, "rb", buffering=0) as file:
            window = min(at, 1 << 16)
            file.seek(at - window)
            before = file.read(window)
        entry = b" ".join(words[1:3])
        if b"\nD %b\n" % entry in before or b"\nC %b {" % entry in before:
            return b""
        return words[3].rstrip(b"\n")


def _split(data: bytes) -> list[bytes]:
    """Split at newlines alone: a carriage return does not end a line."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def output_line(identity: dict[str, Any], number: int, text: str, wall: int, settings: Settings, fd: int = 0) -> bytes:
    """Return the JSON object of a line of output, or nothing where the level leaves it out. Its `seq` is 0."""
    levels, redact, most = settings
    logger, level, name = STREAMS.get(number, STREAMS[1])
    if level < levels.get(logger, levels.get("", 0)):
        return b""
    text = cut(redact(text), max(256, most // 8))  # in this order: half a secret would not be recognised
    process, pid = identity.get("process", ""), identity.get("pid", 0)
    return (
        f'{{"time":"{timestamp(wall / 1e9)}","level":"{name}","msg":{quote(text)},"logger":"{logger}",'
        f'"process":{quote(str(process))},"pid":{pid if type(pid) is int else 0},"thread":"","file":"","line":0,'
        f'"func":"","seq":0' + (f',"fd":{fd}}}' if fd else "}")
    ).encode("utf-8", "backslashreplace")


def _punch(path: str, start: int, length: int) -> None:
    """Give back the room of a part of a file, which reads as zeros afterwards (fallocate(2), Linux)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    keep_size, punch_hole = 1, 2
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        libc.fallocate(fd, keep_size | punch_hole, ctypes.c_long(start), ctypes.c_long(length))
        # That counts as a change, whose time would be taken for that of the next lines.
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        os.close(fd)
