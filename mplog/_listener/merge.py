"""Merge the journals' lines by time, up to a watermark. Pure: bytes in, bytes out. Runs in the listener.

A line is ``<16 hex digits of monotonic ns> {...}``. Within one journal the order is the journal's, whatever the
clocks say: a key that goes back is lifted to just above the one before it.
"""

import re
from bisect import bisect_left, bisect_right
from itertools import islice
from operator import itemgetter, lt
from typing import NamedTuple

from mplog._listener.reader import Position, split_lines
from mplog._shared.decode import clean

KEY = 16
PREFIX = KEY + 1

FUTURE = 1_000_000_000
"""Nanoseconds behind the beginning of a round from which a key is no key of this clock: reading takes time, too."""

_CONTROLS = [bytes((code,)) for code in [*range(1, 10), *range(11, 32), 127]]
_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
_FIRST, _LAST = itemgetter(PREFIX), itemgetter(-1)
"""The bytes a line's JSON begins and ends with. To count ``}\\n`` in all of them takes ten times as long."""
_BODY = itemgetter(slice(PREFIX, None))


class Range(NamedTuple):
    """What a batch takes of one journal: from `start` to `end`, `count` lines, keys above `floor` and up to `last`."""

    start: Position
    end: Position
    floor: int
    last: int
    count: int  # type: ignore[assignment]
    wall: int = 0
    """For captured output, which has no time of its own: when it was written, in ns since 1970."""


class Chunk:
    """The complete lines of one read, in order, with the place of each in its segment.

    Args:
        data: what the reader returned.
        start: where it begins.
        end: where it ends; the beginning of the next segment if it finishes its own.
        previous: the line before, or `bound` of a key.
    """

    __slots__ = ("_ends", "damaged", "end", "lines", "start")

    def __init__(self, data: bytes, start: Position, end: Position, previous: bytes) -> None:
        self.start, self.end = start, end
        self.damaged = 0
        self._ends: list[int] | None = None
        whole = data.split(b"\n")
        last = whole.pop()
        if whole and whole[-1][-1:] == b" " and whole[-1].isspace():
            whole.pop()  # The filled rest of a segment.
        printable = is_printable(data)
        # All at once where all are as they should be, which is nearly always.
        if last or not printable or not _are_objects(whole) or b"\0" in data:
            whole = self._sift(data, printable=printable)
        self.lines = ascending(whole, previous)

    def _sift(self, data: bytes, *, printable: bool) -> list[bytes]:
        """Return the lines that are lines, made harmless; count the others."""
        lines = split_lines(data)
        whole = [line for line in lines if _are_objects([line])]
        if not printable:
            whole = [line for line in whole if is_printable(line) or key_of(line)]
        torn = b"\0" in data.rstrip(b"\0")  # A dead writer's unused room is no hole.
        self.damaged = 0 if torn else len(lines) - len(whole)
        if torn or len(whole) != data.count(b"\n"):
            self._ends = _line_ends(data, whole, self.start.offset)
        if not printable:
            whole = [line if is_printable(line) else line[:PREFIX] + clean(line[PREFIX:]) for line in whole]
        return whole

    def position(self, index: int) -> Position:
        """Return the position behind the first `index` lines."""
        if index == len(self.lines):
            return self.end
        if self._ends is not None:
            return Position(self.start.segment, self._ends[index - 1]) if index else self.start
        return Position(self.start.segment, self.start.offset + sum(map(len, self.lines[:index])) + index)

    def drop(self, index: int) -> Position:
        """Forget the first `index` lines; return the position behind them."""
        self.start = self.position(index)
        del self.lines[:index]
        if self._ends is not None:
            del self._ends[:index]
        return self.start


def _line_ends(data: bytes, lines: list[bytes], offset: int) -> list[int]:
    ends = []
    at = 0
    for line in lines:
        at = data.index(line, at) + len(line) + 1
        ends.append(offset + at)
    return ends


def _are_objects(lines: list[bytes]) -> bool:
    """Tell whether behind each line's key something stands in braces."""
    try:
        return not bytes(map(_FIRST, lines)).strip(b"{") and not bytes(map(_LAST, lines)).strip(b"}")
    except IndexError:  # of a line without
        return False


def is_printable(data: bytes) -> bool:
    """Tell whether lines hold only what our encoder lets through: nothing that could drive a terminal.

    Thirty searches that find nothing cost half of one pass that looks at each byte.
    """
    for control in _CONTROLS:
        if control in data:
            return False
    if data.isascii():
        return True
    try:
        return not _UNSAFE.search(data.decode())
    except UnicodeDecodeError:
        return False


def key_of(line: bytes) -> int:
    """Return a line's key in ns; 0 where it is not sixteen lower-case hexadecimal digits."""
    try:
        key = int(line[:KEY], 16)
    except ValueError:
        return 0
    return key if b"%016x" % key == line[:KEY] else 0


def bound(key: int) -> bytes:
    """Return what is greater than every line with this key or a lower one, and less than all others."""
    return b"%016x\xff" % key


def ascending(lines: list[bytes], previous: bytes) -> list[bytes]:
    """Return the lines with keys lifted where they go back, so that sorting keeps their order.

    What comes out depends on the lines and on `previous` alone, not on how they were cut into chunks: recovery has
    to compute the same batch again.
    """
    if not lines or (lines[0] > previous and all(map(lt, lines, islice(lines, 1, None)))):
        return lines
    lifted = []
    for line in lines:
        if line <= previous:
            key = min(key_of(previous) + 1, 0xFFFF_FFFF_FFFF_FFFF)
            line = b"%016x" % key + line[KEY:]
        previous = line
        lifted.append(line)
    return lifted


def take(chunks: list[Chunk], watermark: int, now: int, floor: int) -> tuple[list[bytes], Range | None]:
    """Take the lines of one journal with keys up to `watermark` off its chunks.

    Keys in the future (another boot, a damaged clock, a hostile writer) are taken at once, and so are those that are
    none: nothing can be waited for. `floor` is the key of the line taken last.
    """
    if not chunks:
        return [], None
    start = chunks[0].start
    end = start
    taken: list[bytes] = []
    limit = bound(watermark)
    while chunks:
        chunk = chunks[0]
        lines = chunk.lines
        if not lines or lines[-1] <= limit or not 0 < key_of(lines[-1]) <= now + FUTURE:
            taken += lines
            end = chunk.end
            del chunks[0]
            continue
        index = bisect_right(lines, limit)
        if index:
            taken += lines[:index]
            end = chunk.drop(index)
        break
    if end == start:
        return taken, None
    if not taken:
        return taken, Range(start, end, floor, floor, 0)
    if key_of(taken[0]) <= floor:
        floor = max(0, key_of(taken[0]) - 1)  # The same key as the line before, and in order: see `retake`.
    return taken, Range(start, end, floor, key_of(taken[-1]), len(taken))


def retake(parts: list[bytes], taken: Range) -> list[bytes]:
    """Return again the lines of a range from its bytes, segment by segment: for recovery."""
    lines: list[bytes] = []
    previous = bound(taken.floor)
    for data in parts:
        if data:
            lines += Chunk(data, taken.start, taken.end, previous).lines
            previous = lines[-1] if lines else previous
    return lines


def merge(runs: list[list[bytes]]) -> list[bytes]:
    """Merge ascending runs into one; the sort finds the runs and merges them."""
    if len(runs) == 1:
        return runs[0]
    merged: list[bytes] = []
    for run in runs:
        merged += run
    merged.sort()
    return merged


def count_late(lines: list[bytes], newest: int) -> int:
    """Return how many lines of a merged batch are older than what was written before."""
    return bisect_left(lines, b"%016x" % newest) if lines else 0


def without_keys(lines: list[bytes]) -> bytes:
    """Return the lines as they stand in a JSON file."""
    bodies = list(map(_BODY, lines))
    bodies.append(b"")  # for the last newline: adding it afterwards would copy everything once more
    return b"\n".join(bodies) if lines else b""
