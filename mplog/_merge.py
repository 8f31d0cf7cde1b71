"""Merge the journals' lines by time, up to a watermark. Pure: bytes in, bytes out. Runs in the listener.

A line is ``<16 hex digits of monotonic ns> {...}``. Within one journal the order is the journal's, whatever the
clocks say: a key that goes back is lifted to just above the one before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from operator import lt
from typing import NamedTuple

from mplog._journal import Position, split_lines

KEY = 16
PREFIX = KEY + 1


class Range(NamedTuple):
    """What a batch takes of one journal: from `start` to `end`, `count` lines, keys above `floor` and up to `last`."""

    start: Position
    end: Position
    floor: int
    last: int
    count: int


class Chunk:
    """The complete lines of one read, in order, with the place of each in its segment."""

    __slots__ = ("_ends", "damaged", "end", "lines", "start")

    def __init__(self, data: bytes, start: Position, end: Position, floor: int) -> None:
        self.start, self.end = start, end
        lines = split_lines(data)
        whole = [line for line in lines if line[PREFIX - 1 : PREFIX + 1] == b" {" and line[-1] == 125]
        torn = b"\0" in data
        self.damaged = 0 if torn else len(lines) - len(whole)
        self._ends: list[int] | None = None
        if torn or len(whole) != data.count(b"\n"):
            self._ends = _line_ends(data, whole, start.offset)
        self.lines = ascending(whole, floor)

    def position(self, index: int) -> Position:
        """Return the position behind the first `index` lines."""
        if index == len(self.lines):
            return self.end
        if self._ends is not None:
            return Position(self.end.segment, self._ends[index - 1]) if index else self.start
        return Position(self.end.segment, self.start.offset + sum(map(len, self.lines[:index])) + index)

    def drop(self, index: int) -> None:
        """Forget the first `index` lines."""
        start = self.position(index)
        del self.lines[:index]
        if self._ends is not None:
            del self._ends[:index]
        self.start = start


def _line_ends(data: bytes, lines: list[bytes], offset: int) -> list[int]:
    ends = []
    at = 0
    for line in lines:
        at = data.index(line, at) + len(line) + 1
        ends.append(offset + at)
    return ends


def key_of(line: bytes) -> int:
    """Return a line's key in ns; 0 where it is not hexadecimal."""
    try:
        return int(line[:KEY], 16)
    except ValueError:
        return 0


def ascending(lines: list[bytes], floor: int) -> list[bytes]:
    """Return the lines with keys lifted where they go back, so that sorting keeps their order."""
    if not lines or (key_of(lines[0]) >= floor and all(map(lt, lines, islice(lines, 1, None)))):
        return lines
    lifted = []
    for line in lines:
        key = key_of(line)
        if key <= floor:
            key = min(floor + 1, 0xFFFF_FFFF_FFFF_FFFF)
            line = b"%016x" % key + line[KEY:]
        floor = key
        lifted.append(line)
    return lifted


def take(chunks: list[Chunk], watermark: int, now: int, floor: int) -> tuple[list[bytes], Range | None]:
    """Take the lines of one journal with keys up to `watermark` off its chunks.

    Keys in the future (another boot, a damaged clock, a hostile writer) are taken at once: nothing can be waited for.
    """
    if not chunks:
        return [], None
    start = chunks[0].start
    end = start
    taken: list[bytes] = []
    limit = b"%016x\xff" % watermark
    while chunks:
        chunk = chunks[0]
        lines = chunk.lines
        if not lines or lines[-1] <= limit or key_of(lines[-1]) > now:
            taken += lines
            end = chunk.end
            del chunks[0]
            continue
        index = bisect_right(lines, limit)
        if index:
            taken += lines[:index]
            end = chunk.position(index)
            chunk.drop(index)
        break
    if end == start:
        return taken, None
    return taken, Range(start, end, floor, key_of(taken[-1]) if taken else floor, len(taken))


def retake(parts: list[bytes], taken: Range) -> list[bytes]:
    """Return again the lines of a range from its bytes, segment by segment: for recovery."""
    lines: list[bytes] = []
    floor = taken.floor
    for data in parts:
        chunk = Chunk(data, taken.start, taken.end, floor)
        lines += chunk.lines
        if chunk.lines:
            floor = key_of(chunk.lines[-1])
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
    return b"\n".join([line[PREFIX:] for line in lines]) + b"\n" if lines else b""
