"""Write-once journals: how one process hands its lines to the listener without a lock between them.

A journal is a sequence of segment files. A mapped segment is created at its full size, all zeros, and every
byte of it goes from zero to its final value once::

    0             committed          read           used                    size
    |-- consumed --|-- in a batch ---|-- complete ---|........ zeros ........|
                                          ^ claimed, not yet copied: a hole of zeros, never a torn line

A line is complete when its newline is visible and no byte before it is zero. So the reader needs no head
pointer, no checksum and no memory fence: it takes the bytes up to the first zero, of these the bytes up to the
last newline, and asks again later. A dead writer's last half line is discarded: its call never returned.

An appended segment (`os.write` to an O_APPEND file) is the fall-back where nothing can be mapped. It looks the
same to the reader, and ends with the line ``-``.

This module knows bytes, not records. The writer runs in a worker, the reader in the listener.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MIN_SEGMENT = 64 * 1024
MAX_SEGMENT = 1024 * 1024
PAGE = 4096
MAPPED = ".mapped"
APPENDED = ".appended"
END_LINE = b"-\n"
GIVE_UP_AFTER = 3
"""Time-outs in a row after which a writer stops waiting until a write succeeds."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


_DIGITS = tuple(b"%d" % number for number in range(1000))
_PADDED = tuple(b"%03d" % number for number in range(1000))


class Policy(NamedTuple):
    """What a writer does when the listener is behind. Sizes in bytes, times in seconds."""

    quota: int = 64 * 1024 * 1024
    overflow: str = "block"
    block_timeout: float = 2.0
    urgent_timeout: float = 10.0
    """How long a record of level ERROR or above waits."""


class Drops(NamedTuple):
    """Records of one process that were not written. `first` and `last` are wall clock nanoseconds."""

    count: int
    seq_first: int
    seq_last: int
    first: int
    last: int
    reason: str


def segment_name(journal: str, number: int, suffix: str) -> str:
    """Return the file name of a segment, for example ``5f0c..9a.000001.mapped``."""
    return f"{journal}.{number:06d}{suffix}"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """Return the journal and the number in a segment's file name, or None if it is another file."""
    stem, dot, suffix = name.rpartition(".")
    journal, _, number = stem.rpartition(".")
    if not dot or "." + suffix not in (MAPPED, APPENDED) or not number.isdigit():
        return None
    return journal, int(number)


class JournalWriter:
    """Append lines to this process's own journal. Runs in a worker; any thread, any signal handler.

    Args:
        journal: the journal's id, the first part of its segments' names.
        directories: where segments may be created, best first.
        policy: quota and overflow policy.
        drop_line: renders a `Drops` as the two halves of a line.
        on_drop: told what was dropped and is not reported yet, and how many were dropped in all; must not raise.
        on_wait: called while the writer waits for room (to wake or to start the listener); must not raise.
        on_missing: called when a directory has vanished; creates it again.
        on_segment: called after a new segment is in use.
    """

    __slots__ = (
        "_backlog",
        "_directories",
        "_drop_line",
        "_drops",
        "_fd",
        "_grow",
        "_lock",
        "_nested",
        "_number",
        "_on_drop",
        "_on_missing",
        "_on_segment",
        "_on_wait",
        "_policy",
        "_timeouts",
        "_waiting",
        "base",
        "dropped",
        "high",
        "journal",
        "limit",
        "low",
        "memory",
        "seq",
        "size",
        "used",
        "width",
    )

    def __init__(
        self,
        journal: str,
        directories: Sequence[str],
        policy: Policy,
        *,
        drop_line: Callable[[Drops], tuple[bytes, bytes]],
        on_drop: Callable[[Drops | None, int], None] = lambda drops, total: None,
        on_wait: Callable[[], None] = lambda: None,
        on_missing: Callable[[str], None] = lambda directory: None,
        on_segment: Callable[[], None] = lambda: None,
    ) -> None:
        self.journal = journal
        self.seq = 0
        self.base, self.limit, self.width = 0, 10, 1
        self.high, self.low = b"", _DIGITS
        self.memory: mmap.mmap | None = None
        self.used = self.size = 0
        self.dropped = 0
        self._directories = tuple(directories)
        self._policy = policy
        self._drop_line, self._on_drop = drop_line, on_drop
        self._on_wait, self._on_missing, self._on_segment = on_wait, on_missing, on_segment
        self._lock = threading.RLock()
        self._nested = 0
        self._number = 0
        self._grow = MIN_SEGMENT
        self._fd = -1
        self._backlog: list[tuple[str, int]] = []
        self._drops: Drops | None = None
        self._timeouts = 0
        self._waiting = ""

    def write(self, head: bytes, tail: bytes, levelno: int = 20) -> bool:
        """Write one line: `head`, the decimal `seq`, `tail`. Return False if it was dropped and counted.

        When it returns True the line is in the page cache and survives the process. It waits only for room, as
        the policy says, and never raises for want of it.
        """
        length = len(head) + len(tail)
        # Claim first, copy second. From here to the copy there is no call and no backward jump, so no signal
        # handler, finalizer or other thread runs in between: whoever logs lands behind, never on top. Nor is an
        # int turned into decimal: `long_to_decimal_string_internal` looks for signals (SIGCHECK) on its way.
        seq = self.seq + 1
        start = self.used
        end = start + length + self.width
        if end <= self.size and seq < self.limit:
            self.seq = seq
            self.used = end
            try:
                self.memory[start:end] = head + self.high + self.low[seq - self.base] + tail  # type: ignore[index]
            except BaseException:
                self._blank(start, end, seq)
                return False
            return True
        return self._write_slow(head, tail, levelno)

    def report_drops(self) -> None:
        """Write the record about dropped lines now, if there is one to write. For the end of a process."""
        with self._lock:
            if self._drops is not None and self.size == 0 and self._fd < 0:
                self._next_segment(0)
            self._write_drops()

    def close(self) -> None:
        """Give back the mapping and the descriptor. The segment files stay for the listener."""
        with self._lock:
            self._finish_segment()
            self.memory = None

    def _write_slow(self, head: bytes, tail: bytes, levelno: int) -> bool:
        with self._lock:
            self._nested += 1
            try:
                if self.seq + 1 >= self.limit:
                    self._next_digits()
                    return self.write(head, tail, levelno)
                length = len(head) + len(tail) + self.width + 1
                if self.used + length <= self.size:
                    return self.write(head, tail, levelno)
                if self._fd >= 0:
                    return self._append(head, tail)
                self._finish_segment()
                reason = self._wait_for_segment(length, levelno)
                if reason:
                    self._drop(reason)
                    return False
                self._timeouts = 0
                self._write_drops()
            finally:
                self._nested -= 1
        return self.write(head, tail, levelno)

    def _next_digits(self) -> None:
        """Prepare the decimal digits of the next up to thousand `seq`, see `write`."""
        limit = self.limit
        base, low = (limit, _PADDED) if limit >= 1000 else (0, _DIGITS)
        high = b"%d" % (limit // 1000) if base else b""
        width = len(high) + 3 if base else len(str(limit))
        if limit == self.limit and self.seq + 1 >= limit:  # else a signal handler that logged has been here
            self.base, self.low, self.high, self.width = base, low, high, width
            self.limit = limit + 1000 if base else limit * 10

    def _wait_for_segment(self, length: int, levelno: int) -> str:
        """Open a segment for `length` more bytes, or return the reason why there is none."""
        policy = self._policy
        timeout = policy.urgent_timeout if levelno >= 40 else policy.block_timeout
        if _in_event_loop():
            timeout = min(timeout, 0.05)
        # A call inside a call is a signal handler or a finalizer: what it waits for may be beneath it.
        patient = policy.overflow == "block" and self._nested == 1 and self._timeouts < GIVE_UP_AFTER
        if self._nested > 1 and self._waiting:
            return self._waiting
        deadline = time.monotonic() + timeout
        pause = 0.001
        while True:
            reason = "quota of the spool reached" if self._over_quota() else self._next_segment(length)
            self._waiting = reason
            if not reason:
                return ""
            self._on_wait()
            if not patient or time.monotonic() >= deadline:
                self._timeouts += patient
                return reason
            time.sleep(pause)
            pause = min(pause * 2, 0.02)

    def _over_quota(self) -> bool:
        total = 0
        for entry in tuple(self._backlog):  # A signal handler may open a segment in the middle of this.
            if os.path.exists(entry[0]):
                total += entry[1]
            else:
                with contextlib.suppress(ValueError):
                    self._backlog.remove(entry)
        return total >= self._policy.quota

    def _next_segment(self, length: int) -> str:
        """Create the next segment and make it the current one; return the reason if that fails."""
        needed = length + 600
        reason = ""
        for suffix in (MAPPED, APPENDED):
            for directory in self._directories:
                size = max(self._grow, -(-needed // PAGE) * PAGE)
                while size >= needed:
                    try:
                        self._create(directory, suffix, size)
                        return ""
                    except OSError as error:
                        reason = os.strerror(error.errno or 0).lower()
                        if error.errno == errno.ENOENT:
                            self._on_missing(directory)
                        if error.errno not in _NO_ROOM or suffix == APPENDED:
                            break
                        size //= 2
        return reason

    def _create(self, directory: str, suffix: str, size: int) -> None:
        if self.size or self._fd >= 0:
            return  # A signal handler that logged meanwhile has opened one.
        number = self._number + 1
        self._number = number
        path = os.path.join(directory, segment_name(self.journal, number, suffix))
        flags = _CREATE if suffix == MAPPED else _CREATE | os.O_APPEND
        fd = os.open(path, flags, 0o600)
        memory = None
        try:
            if suffix == MAPPED:
                # A sparse file would give SIGBUS on a full tmpfs; this gives ENOSPC here.
                os.posix_fallocate(fd, 0, size)
                memory = mmap.mmap(fd, size)
        except (OSError, ValueError) as error:
            os.unlink(path)
            os.close(fd)
            raise OSError(getattr(error, "errno", errno.EINVAL), str(error)) from error
        if memory is not None:
            os.close(fd)
            if hasattr(mmap, "MADV_DONTDUMP"):
                memory.madvise(mmap.MADV_DONTDUMP)
        entry = (path, size)
        # A signal handler that logged since the number was taken has opened a later segment: this one is
        # withdrawn unused, so a reader never waits for it.
        if self._number != number:
            os.unlink(path)
            if memory is None:
                os.close(fd)
            return
        self.memory = memory
        self.used = 0
        self.size = size if memory is not None else 0
        self._fd = -1 if memory is not None else fd
        self._backlog.append(entry)
        self._grow = min(max(self._grow * 2, MIN_SEGMENT), MAX_SEGMENT)
        self._on_segment()

    def _finish_segment(self) -> None:
        """Fill the rest of the current segment, which tells the reader that no more comes in it."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.write(fd, END_LINE)
            except OSError:
                pass  # The reader moves on as well when a later segment exists and this file stopped growing.
            os.close(fd)
            return
        memory, start, end = self.memory, self.used, self.size
        self.used = self.size
        if memory is not None and start < end:
            memory[start:end] = b" " * (end - start - 1) + b"\n"
        self.used = self.size = 0

    def _append(self, head: bytes, tail: bytes) -> bool:
        fd, write = self._fd, os.write
        seq = self.seq + 1
        self.seq = seq
        line = head + self.high + self.low[seq - self.base] + tail
        written = 0
        try:
            while written < len(line):
                written += write(fd, line[written:])
        except OSError as error:
            if written:
                self._fd = -1
                os.close(fd)
            self._count_drop(seq, os.strerror(error.errno or 0).lower())
            return False
        self.used += len(line)
        if self.used >= MAX_SEGMENT:
            self._finish_segment()
            self.used = 0
        return True

    def _blank(self, start: int, end: int, seq: int) -> None:
        """Turn a claim whose copy failed (out of memory) into an empty line."""
        memory = self.memory
        if memory is not None:
            for position in range(start, end - 1):
                memory[position] = 32
            memory[end - 1] = 10
        with self._lock:
            self._count_drop(seq, "out of memory")

    def _drop(self, reason: str) -> None:
        seq = self.seq + 1
        self.seq = seq
        self._count_drop(seq, reason)

    def _count_drop(self, seq: int, reason: str) -> None:
        now = time.time_ns()
        drops = self._drops
        self.dropped += 1
        if drops is None:
            self._drops = Drops(1, seq, seq, now, now, reason)
        else:
            self._drops = drops._replace(count=drops.count + 1, seq_last=seq, last=now)
        self._on_drop(self._drops, self.dropped)

    def _write_drops(self) -> None:
        drops = self._drops
        if drops is None:
            return
        head, tail = self._drop_line(drops)
        if self._fd >= 0:
            written = self._append(head, tail)
        elif self.used + len(head) + len(tail) + self.width + 1 <= self.size:
            written = self.write(head, tail)
        else:
            return
        if written:
            self._drops = None
            self._on_drop(None, self.dropped)


def _in_event_loop() -> bool:
    """Tell whether the calling thread runs an asyncio event loop, which must not be held up."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


class Position(NamedTuple):
    """A place in a journal: segment number (1, 2, 3 ..) and byte offset in that segment."""

    segment: int
    offset: int


START = Position(0, 0)


class JournalReader:
    """Read complete lines of one journal, while it is written or after its owner died. Runs in the listener.

    `segments` maps the numbers of the segments that exist to their paths; who owns the reader adds to it. Reads go
    through `pread` into private memory: a truncated file gives a short read, not SIGBUS, and a hostile writer
    cannot change what was checked.
    """

    __slots__ = ("_fd", "_finished", "journal", "position", "segments")

    def __init__(self, journal: str, position: Position = START) -> None:
        self.journal = journal
        self.position = position
        self.segments: dict[int, str] = {}
        self._fd = -1
        self._finished = False

    @property
    def is_open(self) -> bool:
        """Tell whether the reader holds a descriptor."""
        return self._fd >= 0

    def read(self, limit: int, *, dead: bool = False) -> tuple[bytes, bool]:
        """Return the next complete lines, about `limit` bytes, and whether there may be more to read now.

        With `dead` the owner is known to be gone: holes are stepped over and the last half line is given too,
        for `split_lines` to discard. `position` advances over what is returned, which never spans two segments.
        """
        while self._fd >= 0 or self._open_next():
            data = self._take(limit, dead=dead)
            if self._finished:
                self.close()
            if data:
                return data, self._finished or len(data) >= limit // 2
            if not self._finished:
                break
        return b"", False

    def read_range(self, start: Position, end: Position) -> list[bytes]:
        """Return again, segment by segment, the bytes between two positions: to recover an interrupted batch."""
        parts = []
        for number in sorted(number for number in self.segments if start.segment <= number <= end.segment):
            first = start.offset if number == start.segment else 0
            with open(self.segments[number], "rb", buffering=0) as file:
                file.seek(first)
                parts.append(file.read(end.offset - first) if number == end.segment else file.read())
        return parts

    def close(self) -> None:
        """Close the descriptor; the next read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_next(self) -> bool:
        """Open the segment at `position`, or the first one behind it."""
        number = self.position.segment
        while True:
            chosen = min((n for n in self.segments if n > number or (n == number and not self._finished)), default=0)
            if not chosen:
                return False
            try:
                self._fd = os.open(self.segments[chosen], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
                del self.segments[chosen]
                continue
            if chosen != number:
                self.position = Position(chosen, 0)
            self._finished = False
            return True

    def _take(self, limit: int, *, dead: bool) -> bytes:
        """Read complete lines of the open segment and note whether it is finished."""
        number, offset = self.position
        fd = self._fd
        appended = self.segments[number].endswith(APPENDED)
        if not dead and os.pread(fd, 1, offset) in (b"\0", b""):
            self._finished = self._is_over(number, offset, appended=appended)
            return b""
        while True:
            data = os.pread(fd, limit, offset)
            full = len(data) == limit
            if not dead:
                zero = data.find(b"\0")
                if zero >= 0:
                    data, full = data[:zero], False
            cut = data.rfind(b"\n") + 1
            if cut or not full:
                break
            limit *= 4  # One line longer than the limit: go on until its end.
        if full or not dead:
            data = data[:cut]
        offset += len(data)
        self.position = Position(number, offset)
        if dead:
            self._finished = not data
        elif appended:
            self._finished = data.endswith(b"\n" + END_LINE) or data == END_LINE
        else:
            self._finished = bool(data) and offset >= os.fstat(fd).st_size
        return data

    def _is_over(self, number: int, offset: int, *, appended: bool) -> bool:
        """Tell whether a segment with nothing at `offset` will never have more."""
        stat = os.fstat(self._fd)
        if not appended and 0 < stat.st_size <= offset:
            return True
        # Given up by its writer: an appended one whose last line could not be written, a withdrawn mapped one.
        later = any(n > number for n in self.segments)
        return later and (appended or (offset == 0 and stat.st_nlink == 0))


def split_lines(data: bytes) -> list[bytes]:
    """Split what `JournalReader.read` returned into lines without newline.

    Blank lines (filled rests and failed claims) and the end line are left out, and so is what holes of zeros tore
    apart: the call that would have filled them never returned.
    """
    lines = data.split(b"\n")
    if b"\0" in data:
        # The half line before a hole goes; a whole line may begin directly behind the hole.
        lines = [line[line.rfind(b"\0") + 1 :] for line in lines[:-1]]
    elif lines[-1]:
        lines.pop()
    return [line for line in lines if line and line != b"-" and not line.isspace()]
