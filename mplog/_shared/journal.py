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

This module knows bytes, not records. Runs in a worker; the reader's side is `reader`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from typing import TYPE_CHECKING

from mplog._shared.account import Account, Drops, Policy, in_event_loop
from mplog._shared.segments import APPENDED, END_LINE, MAPPED, NO_ROOM, abandon, map_segment, segment_name, withdraw

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Sequence

MIN_SEGMENT = 64 * 1024
MAX_SEGMENT = 1024 * 1024
PAGE = 4096
MAX_DIGITS = 20
"""Room for a line's `seq`."""
GIVE_UP_AFTER = 3
"""Time-outs in a row after which a writer stops waiting until a write succeeds."""

ROOM_FOR_DROPS = 2048
"""Bytes that a new segment has for the record about dropped ones, beside the line it was made for."""

_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class JournalWriter(Account):
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
        on_slow: called before a segment is filled up; must not raise.
    """

    __slots__ = (
        "_backlog",
        "_directories",
        "_drop_line",
        "_fd",
        "_grow",
        "_lock",
        "_nested",
        "_number",
        "_on_missing",
        "_on_segment",
        "_on_slow",
        "_on_wait",
        "_policy",
        "_timeouts",
        "_unfinished",
        "_waiting",
        "journal",
        "memory",
        "size",
        "used",
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
        on_slow: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(on_drop)
        self.journal = journal
        self.memory: mmap.mmap | None = None
        self.used = self.size = 0
        self._directories = tuple(directories)
        self._policy = policy
        self._drop_line = drop_line
        self._on_wait, self._on_missing, self._on_segment = on_wait, on_missing, on_segment
        self._on_slow = on_slow
        self._lock = threading.RLock()
        self._nested = 0
        self._number = 0
        self._grow = MIN_SEGMENT
        self._fd = -1
        self._backlog: list[tuple[str, int]] = []
        self._unfinished: tuple[str, ...] = ()
        self._timeouts = 0
        self._waiting = ""

    def write(self, head: bytes, tail: bytes, levelno: int = 20) -> bool:
        """Write one line: `head`, the decimal `seq`, `tail`. Return False if it was dropped and counted.

        When it returns True the line is in the page cache and survives the process. It waits only for room, as
        the policy says, and never raises for want of it.
        """
        seq = self.seq + 1
        line = b"%b%d%b" % (head, seq, tail)
        length = len(line)
        # Claim first, copy second. From here to the copy there is no call and no backward jump, so no signal
        # handler, finalizer or other thread runs in between: whoever logs lands behind, never on top. One that
        # came while the line was made has taken its `seq`. The hot paths write this out, too.
        start = self.used
        end = start + length
        if self.seq + 1 == seq and end <= self.size:
            self.seq = seq
            self.used = end
            try:
                self.memory[start:end] = line  # type: ignore[index]
            except BaseException:
                self.blank(self.memory, start, end, seq)
                return False
            return True
        return self._write_slow(head, tail, levelno)

    def lose(self, count: int, reason: str) -> None:
        """Count lines as dropped that came before there was a journal."""
        with self._lock:
            for _ in range(count):
                self._drop(reason)

    def report_drops(self) -> None:
        """Write the record about dropped lines now, if there is one to write. For the end of a process."""
        with self._lock:
            self._nested += 1
            try:
                self._write_drops()
                if self._drop_count:
                    self._finish_segment()
                    if not self._next_segment(0):
                        self._write_drops()
            finally:
                self._nested -= 1

    def close(self) -> None:
        """Give back the mapping and the descriptor. The segment files stay for the listener."""
        with self._lock:
            self._finish_segment()

    def lose_descriptors(self) -> None:
        """Note that the application has closed all descriptors: their numbers are not ours any more."""
        abandon(self.memory)
        self._fd = -1

    def _write_slow(self, head: bytes, tail: bytes, levelno: int) -> bool:
        arrived = time.monotonic()
        with self._lock:
            self._nested += 1
            try:
                self._on_slow()
                if self._fd >= 0 and not self._append(head, tail):
                    return True
                if self._fd < 0 and self.used + len(head) + len(tail) + MAX_DIGITS > self.size:
                    self._finish_segment()
                    reason, written = self._find_room(head, tail, levelno, arrived)
                    if reason:
                        self._drop(reason)
                        return False
                    self._timeouts = 0
                    self._write_drops()
                    if written:
                        return True
            finally:
                self._nested -= 1
        return self.write(head, tail, levelno)

    def _find_room(self, head: bytes, tail: bytes, levelno: int, arrived: float) -> tuple[str, bool]:
        """Open a segment; return the reason why there is none, and whether the line is written already."""
        policy = self._policy
        timeout = policy.urgent_timeout if levelno >= 40 else policy.block_timeout
        if in_event_loop():
            timeout = min(timeout, 0.05)
        # A call inside a call is a signal handler or a finalizer: what it waits for may be beneath it.
        if self._nested > 1 and self._waiting:
            return self._waiting, False
        patient = policy.overflow == "block" and self._nested == 1 and self._timeouts < GIVE_UP_AFTER
        length = len(head) + len(tail) + MAX_DIGITS
        pause = 0.001
        while True:
            reason = "quota of the spool reached" if self._over_quota() else self._next_segment(length)
            written = False
            if not reason and self._fd >= 0:
                reason = self._append(head, tail)
                written = not reason
            self._waiting = reason
            if not reason:
                return "", written
            self._on_wait()
            # Measured from the call: who waited for another thread's turn has waited, too.
            if not patient or time.monotonic() - arrived >= timeout:
                self._timeouts += patient
                return reason, False
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
        needed = length + ROOM_FOR_DROPS
        reason = ""
        for suffix in (MAPPED, APPENDED):
            for directory in self._directories:
                size = max(self._grow, -(-needed // PAGE) * PAGE)
                while size >= needed:
                    try:
                        self._create(directory, suffix, size)
                        return ""
                    except OSError as error:
                        if not reason or error.errno != errno.ENOENT:
                            reason = os.strerror(error.errno or 0).lower()
                        if error.errno == errno.ENOENT:
                            self._on_missing(directory)
                        if error.errno not in NO_ROOM or suffix == APPENDED:
                            break
                        size //= 2
        return reason

    def _create(self, directory: str, suffix: str, size: int) -> None:
        if self._nested <= 1:
            self._withdraw()
        if self.size or self._fd >= 0:
            return  # A signal handler that logged meanwhile has opened one; no call until the number is taken.
        number = self._number + 1
        self._number = number
        path = os.path.join(directory, segment_name(self.journal, number, suffix))
        self._unfinished = (*self._unfinished, path)
        fd = os.open(path, _CREATE if suffix == MAPPED else _CREATE | os.O_APPEND, 0o600)
        memory = None
        try:
            if suffix == MAPPED:
                memory = map_segment(fd, size)
            else:
                os.fchmod(fd, 0o600)  # whatever the umask; `map_segment` does it for the other kind
        except BaseException as error:
            withdraw(path)
            os.close(fd)
            if isinstance(error, (OSError, ValueError)):
                raise OSError(getattr(error, "errno", None) or errno.EINVAL, str(error)) from error
            raise
        if memory is not None:
            os.close(fd)
            fd = -1
        # A signal handler that logged since the number was taken has opened a later segment: this one is
        # withdrawn unused, so a reader never waits for it.
        if self._number != number:
            if fd >= 0:
                os.close(fd)
            os.unlink(path)
            return
        # No call since the number was compared, see `write`.
        self.memory = memory
        self.used = 0
        self.size = size if memory is not None else 0
        self._fd = fd
        self._unfinished = ()
        self._backlog.append((path, size))
        self._grow = min(max(self._grow * 2, MIN_SEGMENT), MAX_SEGMENT)
        self._on_segment()

    def _withdraw(self) -> None:
        """Remove segments whose creation an exception out of a signal handler ended half way."""
        while self._unfinished:
            withdraw(self._unfinished[-1])
            self._unfinished = self._unfinished[:-1]

    def _finish_segment(self) -> None:
        """Fill the rest of the current segment, which tells the reader that no more comes in it."""
        if self._fd >= 0:
            fd = self._fd
            self._fd = -1
            self.used = 0
            try:
                os.write(fd, END_LINE)
            except OSError:
                pass  # The reader moves on as well once a later segment exists.
            os.close(fd)
            return
        # Claimed as a whole before it is filled: a finalizer that logs in between opens the next segment.
        memory = self.memory
        start = self.used
        end = self.size
        self.used = 0
        self.size = 0
        self.memory = None
        if memory is not None and start < end:
            memory[start:end] = b" " * (end - start - 1) + b"\n"

    def _append(self, head: bytes, tail: bytes) -> str:
        """Append a line to an unmapped segment; return why that failed, after which the segment is closed."""
        fd = self._fd
        seq = self.seq + 1
        line = b"%b%d%b" % (head, seq, tail)
        path = self._backlog[-1][0] if self._backlog else ""
        # The segment is put away while it is written: a signal handler that logs behind half a line opens one of its
        # own, and the reader may leave this one for it, so nobody comes back here.
        number = self._number
        used = self.used
        length = missing = len(line)
        if fd < 0 or self._fd != fd or self.seq + 1 != seq:
            return "interrupted"
        self.seq = seq
        self._fd = -1
        self.used = 0
        reason = "interrupted"
        try:
            while missing and self._number == number:
                missing -= os.write(fd, line[-missing:])
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
        except BaseException:  # out of a signal handler, which does not say how much was written
            missing = used + length - os.lseek(fd, 0, os.SEEK_CUR)
            raise
        finally:
            # No call between this question and the answer, see `write`.
            if not missing and self._number == number:
                self._fd = fd
                self.used = used + length
            else:
                self._leave_appended(fd, seq if missing else 0, reason)
                if missing == length and not used:
                    withdraw(path)
        if self.used >= MAX_SEGMENT and self._fd == fd:
            self._finish_segment()
        return reason if missing else ""

    def _leave_appended(self, fd: int, seq: int, reason: str) -> None:
        """Close an unmapped segment; `seq` is that of a line that is not in it as a whole, or 0."""
        if seq and self.seq == seq:
            self.seq = seq - 1
        elif seq:
            self._count_drop(seq, reason)
        os.close(fd)

    def _write_drops(self) -> None:
        """Write the record about what was dropped, if it fits; a drop that comes in between stays for the next."""
        count = self._drop_count
        if not count:
            return
        seq_first = self._drop_seq_first
        seq_last = self._drop_seq_last
        first = self._drop_first
        last = self._drop_last
        self._drop_count = 0
        drops = Drops(count, seq_first, seq_last, first, last, self._drop_reason)
        written = False
        try:
            head, tail = self._drop_line(drops)
            if self._fd >= 0:
                written = not self._append(head, tail)
            elif self.used + len(head) + len(tail) + MAX_DIGITS <= self.size:
                written = self.write(head, tail)
        finally:
            if not written:
                self._take_back(drops)
        if written:
            self._tell_drops()
