"""The ledger of `mplog check`: which `seq` of which process life is there. Runs in `mplog`; no I/O."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

_MOST_SEQ = 1 << 62  # no process logs so often; larger ones do not fit into 8 bytes
_SHOWN_GAPS = 100  # gaps per life whose neighbouring times are kept for the report


class LedgerLine(msgspec.Struct, gc=False):
    """The fields of a log line that the ledger needs; decoding only these is the fast part."""

    time: str
    level: str
    logger: str = ""
    process: str = ""
    pid: int | None = None
    seq: int | None = None
    event: Any = None
    dropped: Any = None
    reason: Any = None
    seq_first: Any = None
    seq_last: Any = None
    died_pid: Any = None
    died_process: Any = None
    exitcode: Any = None
    signal: Any = None
    last_seq: Any = None
    records: Any = None
    started: Any = None


class Drop(NamedTuple):
    """What one drop record says: `size` records between the two seqs were dropped."""

    first: int
    last: int
    size: int


class Account(NamedTuple):
    """The books of one life; produced == written + dropped + missing, unless `surplus` is not zero."""

    produced: int
    written: int
    dropped: int
    missing: int
    surplus: int
    head: int
    ranges: list[tuple[int, int]]


class Life:
    """Follow the seqs of one process from its start to its end; a reused pid has several lives."""

    __slots__ = (
        "_ends", "_starts", "birth", "disorder", "drops", "duplicates", "end", "first_seq", "first_time", "is_listener",
        "last_time", "next", "pid", "process", "started", "tail", "times", "written",
    )  # fmt: skip

    def __init__(self, process: str, pid: int, time: str) -> None:
        self.process = process
        self.pid = pid
        self.first_time = self.last_time = time
        self.first_seq: int | None = None
        self.birth = ""
        self.next = 1
        self.written = self.duplicates = self.disorder = 0
        self.drops: list[Drop] = []
        self.end: str | None = None
        self.is_listener = False
        """Whether it is mplog's own: nobody reports its end, and what it had not written its successor writes."""
        self.started: str | None = None
        self.tail: int | None = None
        # Two arrays of 8-byte numbers: also a file with a million gaps fits into memory.
        self._starts, self._ends = array("q"), array("q")
        self.times: dict[int, tuple[str, str]] = {}

    def see(self, seq: int, time: str) -> None:
        """Enter a record that is not simply the next one."""
        if self.first_seq is None:
            self.first_seq, self.first_time = seq, time
        if seq == 1:
            self.birth = time
        if seq >= self.next:
            if seq > self.next:
                if len(self.times) < _SHOWN_GAPS:
                    self.times[self.next] = (self.last_time if self.written else "", time)
                self._starts.append(self.next)
                self._ends.append(seq - 1)
            self.next = seq + 1
            self.written += 1
            self.last_time = time
        elif self._fill(seq):
            self.written += 1
            self.disorder += 1
        else:
            self.duplicates += 1

    def lacks(self, seq: int) -> bool:
        """Tell whether this seq lies in a gap."""
        at = bisect_right(self._starts, seq) - 1
        return at >= 0 and seq <= self._ends[at]

    def _fill(self, seq: int) -> bool:
        at = bisect_right(self._starts, seq) - 1
        if at < 0 or seq > self._ends[at]:
            return False
        first, last = self._starts[at], self._ends[at]
        if first == last:
            del self._starts[at], self._ends[at]
        elif seq == first:
            self._starts[at] = seq + 1
            if first in self.times:
                self.times[seq + 1] = self.times.pop(first)
        elif seq == last:
            self._ends[at] = seq - 1
        else:
            self._ends[at] = seq - 1
            self._starts.insert(at + 1, seq + 1)
            self._ends.insert(at + 1, last)
        return True

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Yield what is absent: first and last seq of each gap, also the tail a certificate tells of."""
        yield from zip(self._starts, self._ends, strict=True)
        if self.top >= self.next:
            yield self.next, self.top

    @property
    def top(self) -> int:
        """Return the last seq that was used: seen, certified, or dropped."""
        return max(self.next - 1, self.tail or 0, *(drop.last for drop in self.drops), 0)

    def account(self, *, rotated: bool, since: str) -> Account:
        """Close the books.

        Args:
            rotated: older records may have been rotated away, so a life may begin in the middle.
            since: time of the first record of all; a life known to have started later has lost its head.
        """
        gaps = list(self.gaps())
        explained, surplus, rest = _explain(gaps, self.drops)
        head_end = (self.first_seq or self.next) - 1 if self.written else self.top
        head = 0
        if rotated and not (self.started and since and self.started >= since):
            head = sum(last - first + 1 for first, last in rest if last <= head_end)
            rest = [gap for gap in rest if gap[1] > head_end]
        absent = sum(last - first + 1 for first, last in gaps)
        return Account(
            produced=self.written + absent - head,
            written=self.written,
            dropped=explained,
            missing=absent - explained - head,
            surplus=surplus,
            head=head,
            ranges=rest,
        )


def _explain(gaps: list[tuple[int, int]], drops: list[Drop]) -> tuple[int, int, list[tuple[int, int]]]:
    """Return how many absent seqs the drops explain, how many they claim beyond, and the gaps left."""
    explained = surplus = 0
    left = gaps
    for first, last, count in _merged(drops):
        inside = [gap for gap in left if gap[1] >= first and gap[0] <= last]
        absent = sum(min(b, last) - max(a, first) + 1 for a, b in inside)
        explained += min(absent, count)
        surplus += max(0, count - absent)
        if count >= absent:
            left = [piece for gap in left for piece in _without(gap, first, last)]
    return explained, surplus, left


def _merged(drops: list[Drop]) -> list[Drop]:
    merged: list[Drop] = []
    for drop in sorted(drops):
        if merged and drop.first <= merged[-1].last:
            top = merged.pop()
            merged.append(Drop(top.first, max(top.last, drop.last), top.size + drop.size))
        else:
            merged.append(drop)
    return merged


def _without(gap: tuple[int, int], first: int, last: int) -> Iterator[tuple[int, int]]:
    a, b = gap
    if b < first or a > last:
        yield gap
        return
    if a < first:
        yield a, first - 1
    if b > last:
        yield last + 1, b


class Ledger:
    """Enter the lines of one log, oldest file first, and keep the lives of its processes."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.records = 0
        self.unnumbered: dict[str, int] = {}
        self.output = 0
        """Lines of captured output, which nobody numbered: their `seq` is 0."""
        self.first_time = self.last_time = ""
        self.first_seq: int | None = None
        self.notes: dict[str, int] = {}
        self._current: dict[int, Life] = {}
        # Lives without a known end of pids that were used again.
        self._former: dict[int, list[Life]] = {}

    def enter(self, lines: list[LedgerLine]) -> None:
        """Enter a block of lines in the order of the file."""
        if not lines:
            return
        if not self.records:
            self.first_time, self.first_seq = lines[0].time, lines[0].seq
        current = self._current
        for line in lines:
            life = current.get(line.pid)  # type: ignore[arg-type]
            if life is not None and life.next == line.seq:
                life.next += 1
                life.written += 1
                life.last_time = line.time
            else:
                self._odd(line)
            if line.logger == "mplog" and line.event is not None:
                self._event(line)
        self.records += len(lines)
        self.last_time = lines[-1].time

    def _odd(self, line: LedgerLine) -> None:
        pid, seq = line.pid, line.seq
        if seq == 0 and line.logger in ("stdout", "stderr"):
            self.output += 1
            return
        if pid is None or seq is None or not 0 < seq < _MOST_SEQ:
            self.unnumbered[line.process] = self.unnumbered.get(line.process, 0) + 1
            return
        life = self._current.get(pid)
        if life is None or _is_new(life, line, seq):
            life = self._begin(line.process, pid, line.time)
            life.is_listener = line.logger == line.process == "mplog"
        elif seq != life.next and not life.lacks(seq):
            life = self._resumed(life, seq) or life
        life.see(seq, line.time)

    def _begin(self, process: str, pid: int, time: str) -> Life:
        former = self._current.get(pid)
        if former is not None and former.end is None:
            self._former.setdefault(pid, []).append(former)
        life = Life(process, pid, time)
        self._current[pid] = life
        self.lives.append(life)
        return life

    def _resumed(self, life: Life, seq: int) -> Life | None:
        """Return an older, unfinished life that this seq continues: two interpreters share a pid."""
        for other in self._former.get(life.pid, ()):
            if other.next == seq:
                self._former[life.pid].remove(other)
                self._former[life.pid].append(life)
                self._current[life.pid] = other
                return other
        return None

    def _event(self, line: LedgerLine) -> None:
        if line.event == "dropped":
            self._dropped(line)
        elif line.event in ("died", "ended"):
            self._ended(line)
        elif isinstance(line.event, str) and len(self.notes) < 1000:
            self.notes[line.event] = self.notes.get(line.event, 0) + 1

    def _dropped(self, line: LedgerLine) -> None:
        count, first, last = line.dropped, line.seq_first, line.seq_last
        # The worker says so itself, or the listener for one that died before it could.
        other = type(line.died_pid) is int
        pid = line.died_pid if other else line.pid
        if type(count) is not int or pid is None or count < 1:
            return
        life = self._current.get(pid)
        if life is None or (other and life.end is not None):
            life = self._begin(_text(line.died_process) if other else line.process, pid, line.time)
        if type(first) is not int or type(last) is not int:
            first, last = 1, max(life.next, line.seq or 1)
        life.drops.append(Drop(first, last, count))

    def _ended(self, line: LedgerLine) -> None:
        pid, tail = line.died_pid, line.last_seq
        if type(pid) is not int:
            return
        life = self._certified(pid, tail) or self._begin(_text(line.died_process), pid, line.time)
        life.end = ending(line.event, line.exitcode, line.signal)
        life.started = line.started if isinstance(line.started, str) else None
        life.tail = tail if type(tail) is int else None

    def _certified(self, pid: int, tail: object) -> Life | None:
        """Return the life that a certificate is about; where a pid is used again at once, the one that fits."""
        former = self._former.get(pid, [])
        for life in former:
            if life.next - 1 == tail:
                former.remove(life)
                return life
        current = self._current.get(pid)
        return current if current is not None and current.end is None else None


def _is_new(life: Life, line: LedgerLine, seq: int) -> bool:
    """Tell whether this record begins another life of the pid; else it repeats or mends the known one."""
    if seq == 1:
        if life.birth:
            return line.time != life.birth
        return life.first_seq is not None and line.time > life.first_time
    if life.end is None or life.lacks(seq):
        return False
    return (seq >= life.next and (life.tail is None or seq > life.tail)) or line.time > life.last_time


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def ending(event: object, exitcode: object, signal: object) -> str:
    """Return how a process ended, in two words: "SIGKILL", "exit 3", "died"."""
    if isinstance(signal, str) and signal:
        return signal
    if type(exitcode) is int:
        return f"exit {exitcode}"
    return "died" if event == "died" else "ended"
