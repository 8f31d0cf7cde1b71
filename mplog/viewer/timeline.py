"""Counts over time in buckets that widen with the log; drawn in block characters. Runs in `mplog`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mplog.viewer.tables import Page, columns

_MOST = 20_000
# Milliseconds. Each bucket width divides the next, so that a wider bucket is a sum of narrower ones.
_WIDTHS = (
    1, 10, 100, 1000, 5000, 15_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
    21_600_000, 43_200_000, 86_400_000, 604_800_000, 2_419_200_000, 29_030_400_000,
)  # fmt: skip
_STEPS = (
    1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10_000, 15_000, 20_000, 30_000,
    60_000, 90_000, 120_000, 180_000, 300_000, 600_000, 900_000, 1_200_000, 1_800_000, 2_700_000, 3_600_000,
    5_400_000, 7_200_000, 10_800_000, 14_400_000, 21_600_000, 28_800_000, 43_200_000, 86_400_000, 172_800_000,
    259_200_000, 604_800_000, 1_209_600_000, 2_419_200_000, 4_838_400_000, 9_676_800_000, 29_030_400_000,
)  # fmt: skip
_UPWARD = " ▁▂▃▄▅▆▇█"
_KINDS = 3


class Timeline:
    """Count records, warnings and errors over time; nothing need be known of the span beforehand.

    Args:
        most: how many buckets it may have.
        width: of a bucket, in milliseconds, to begin with; one of `_WIDTHS`.
    """

    def __init__(self, most: int = _MOST, width: int = 1) -> None:
        self._most = most
        self.width = width
        self.first = float("inf")
        self.last = float("-inf")
        self._buckets: dict[int, list[int]] = {}

    def add(self, time: float, levelno: int) -> None:
        """Count a record: a warning from 30, an error from 40."""
        if time < self.first:
            self.first = time
        if time > self.last:
            self.last = time
        self._count(milliseconds(time), 2 if levelno >= 40 else 1 if levelno >= 30 else 0, 1)

    def _count(self, millis: int, kind: int, count: int) -> None:
        at = millis // self.width
        bucket = self._buckets.get(at)
        if bucket is None:
            bucket = self._buckets[at] = [0] * _KINDS
        bucket[kind] += count
        if len(self._buckets) > self._most:
            self._widen(self._most)

    def add_counts(self, counts: Iterable[tuple[int, int, int]], ends: Iterable[float]) -> None:
        """Count records by milliseconds, kind and number; `ends` are the first and the last time."""
        for time in ends:
            self.first, self.last = min(self.first, time), max(self.last, time)
        for millis, kind, count in counts:
            self._count(millis, kind, count)

    def packed(self) -> object:
        """Return all of it as lists and numbers."""
        ends = (self.first, self.last) if self._buckets else ()
        return self.width, ends, [(at, *counts) for at, counts in self._buckets.items()]

    def merge(self, packed: Any) -> None:
        """Add what another one counted, which began at a width that this one reaches in the end."""
        width, ends, buckets = packed
        while self.width < width:
            self._widen(0)
        self.add_counts(
            ((at * width, kind, count) for at, *counts in buckets for kind, count in enumerate(counts) if count), ends
        )

    def _widen(self, most: int) -> None:
        """Widen the buckets until there are at most so many; once if that is none."""
        while len(self._buckets) > most or not most:
            width = next((w for w in _WIDTHS if w > self.width), self.width * 10)
            factor, self.width = width // self.width, width
            wider: dict[int, list[int]] = {}
            for at, counts in self._buckets.items():
                into = wider.setdefault(at // factor, [0] * _KINDS)
                for kind, count in enumerate(counts):
                    into[kind] += count
            self._buckets = wider
            if not most:
                return

    def spread(self, first: float, last: float, count: int) -> list[int]:
        """Return the counts in `count` equal parts of the span from `first` to `last`."""
        found = [0] * count
        part = max((last - first) / count, 1e-9)
        for at, counts in self._buckets.items():
            middle = (at + 0.5) * self.width / 1000
            found[max(0, min(count - 1, int((middle - first) / part)))] += sum(counts)
        return found

    @property
    def seconds(self) -> float:
        """Return the span from the first record to the last."""
        return max(0.0, self.last - self.first)

    def columns(self, count: int) -> tuple[float, float, list[list[int]]]:
        """Return start, width in seconds, and the counts of at most `count` columns of a round width."""
        if not self._buckets:
            return 0.0, 1.0, []
        first, last = min(self._buckets) * self.width, max(self._buckets) * self.width
        steps = (step for step in _STEPS if step % self.width == 0 and last // step - first // step < count)
        step = next(steps, self.width * (1 + (last - first) // self.width // max(count - 1, 1)))
        origin = first // step
        found = [[0] * _KINDS for _ in range(last // step - origin + 1)]
        for at, counts in self._buckets.items():
            into = found[at * self.width // step - origin]
            for kind, number in enumerate(counts):
                into[kind] += number
        return origin * step / 1000, step / 1000, found


def milliseconds(time: float) -> int:
    """Return whole milliseconds; the addend is above what binary fractions take from microseconds, until 2100."""
    return int(time * 1000 + 0.0005)


def draw(timeline: Timeline, page: Page, *, height: int = 6) -> None:
    """Draw a histogram over time that fits the page, with a line of its own for warnings and errors."""
    label = 9 if page.width > 40 else 7
    start, step, found = timeline.columns(page.width - label - 2)
    if not found:
        return
    spread = max(1, min(8, (page.width - label - 2) // len(found)))
    top = max(sum(counts) for counts in found)
    for row in range(height, 0, -1):
        name = (f"{top:,}" if top < 1_000_000 else f"{top}") if row == height else "0" if row == 1 else ""
        page.line(page.paint(f"{name:>{label}} ", "dim") + _bars(found, row, height, top, spread, page))
    for kind, word, colour in ((1, "warning", "yellow"), (2, "error", "red")):
        most = max(counts[kind] for counts in found)
        if most:
            marks = "".join(_mark(counts[kind] / most, page.blocks) * spread for counts in found)
            page.line(page.paint(f"{word:>{label}} ", "dim") + page.paint(marks.rstrip(), colour))
    _axis(start, step, len(found) * spread, len(found), label, page)


def _bars(found: list[list[int]], row: int, height: int, top: int, spread: int, page: Page) -> str:
    parts: list[tuple[str, str]] = []
    for counts in found:
        _, warnings, errors = counts
        level = sum(counts) / top * height
        share = min(1.0, max(0.0, level - (row - 1)))
        if row == 1 and level:
            share = max(share, 0.125)
        middle = (row - 0.5) / height * top
        colour = "red" if errors >= middle else "yellow" if errors + warnings >= middle else "green"
        parts.append((_mark(share, page.blocks) * spread, colour if share else ""))
    text, run, last = "", "", ""
    for mark, colour in parts:
        if colour != last:
            text, run, last = text + page.paint(run, last), "", colour
        run += mark
    return (text + (page.paint(run, last) if last else "")).rstrip()


def _mark(share: float, blocks: bool) -> str:
    if not blocks:
        return "#" if share >= 0.5 else "." if share > 0 else " "
    return _UPWARD[max(1, round(share * 8))] if share > 0 else " "


def spark(counts: list[int], *, blocks: bool = True) -> str:
    """Return counts as one line of block characters."""
    most = max(counts, default=0)
    return "".join(_mark(count / most, blocks) if count else "·" if blocks else "." for count in counts)


def _axis(start: float, step: float, width: int, count: int, label: int, page: Page) -> None:
    left = page.stamp(start, seconds=step >= 1)
    right = page.stamp(start + count * step, seconds=step >= 1)[11:]
    unit = f"{step:g} s" if step < 60 else f"{step / 60:g} min" if step < 3600 else f"{step / 3600:g} h"
    if step >= 86400:
        right, unit = page.stamp(start + count * step, seconds=True)[:10], f"{step / 86400:g} d"
    middle = f"a column: {unit}"
    if page.known and len(left) + len(right) + 2 > page.width - label - 2:
        left = left[11:] if step < 86400 else left[:10]
    room = width - columns(left) - columns(right)
    gap = middle.center(room) if room >= len(middle) + 2 else " " * max(room, 2)
    both = f"{left}{gap}{right}"
    page.row((" " * (label + 1), ""), (both if len(both) < page.width - label else left, "dim"))
