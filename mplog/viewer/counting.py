"""What `mplog stats` counts of a part of a log, column by column. Runs in the command `mplog`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import msgspec

from mplog.viewer import levels, times
from mplog.viewer.templates import masks
from mplog.viewer.timeline import Timeline, milliseconds

_MOST = 20_000
_DIGITS = str.maketrans("023456789", "111111111")
_STAMP = "1111-11-11T11:11:11.111111Z"
NUMBER = {int, type(None)}


# How much of a time stamp tells the bucket of a timeline.
_PREFIX = {1: 23, 10: 22, 100: 21}


class _Row(msgspec.Struct, gc=False):
    time: str
    level: str
    msg: str
    logger: str = ""
    process: str = ""
    pid: Any = None
    file: str = ""
    line: Any = None
    func: str = ""
    levelno: Any = None
    exc: msgspec.Raw = msgspec.Raw(b"null")
    event: Any = None
    dropped: Any = None


class _Kinds(dict[str, int]):
    """Tell by a level's name whether it is plain (0), a warning (1) or an error (2)."""

    def __missing__(self, level: str) -> int:
        found = kind(levels.number(level))
        if len(self) < 1000:
            self[level] = found
        return found


_kinds = _Kinds()


def kind(levelno: int) -> int:
    """Return 0 for a plain record, 1 for a warning, 2 for an error."""
    return 2 if levelno >= 40 else 1 if levelno >= 30 else 0


def canonical(stamps: Sequence[str]) -> bool:
    """Say whether all times are written as mplog writes them: then their order is that of their text."""
    return "".join(stamps).translate(_DIGITS) == _STAMP * len(stamps)


def kinds_of(rows: Sequence[Any]) -> list[int]:
    """Return the kind of each decoded line; `levelno` beside a level's name has precedence."""
    numbers = [row.levelno for row in rows]
    if numbers.count(None) == len(numbers):
        return [_kinds[row.level] for row in rows]
    return [
        kind(number) if type(number) is int else _kinds[row.level] for row, number in zip(rows, numbers, strict=True)
    ]


def _millis(prefix: str) -> int | None:
    second = times.parse_utc(f"{prefix[:19]}.000000Z")
    return None if second is None else int(second) * 1000 + int(prefix[20:].ljust(3, "0"))


class StatsPart:
    """Count lines next to each other for `mplog stats`.

    Args:
        width: of the timeline's buckets, to begin with.
    """

    decoder = msgspec.json.Decoder(_Row)

    def __init__(self, width: int = 1) -> None:
        self._who: Counter[tuple[Any, ...]] = Counter()
        self._what: Counter[tuple[Any, ...]] = Counter()
        self._first: dict[tuple[Any, ...], str] = {}
        self.timeline = Timeline(width=width)
        self._size = self._records = self._untimed = self._exceptions = self._dropped = self._deaths = 0

    @property
    def full(self) -> bool:
        """Say whether so many kinds of records are kept apart that it must not grow any more."""
        return len(self._what) > _MOST

    def fits(self, rows: Sequence[_Row]) -> bool:
        """Say whether pid and line are numbers."""
        return {type(row.pid) for row in rows} <= NUMBER and {type(row.line) for row in rows} <= NUMBER

    def add(self, rows: Sequence[_Row], size: int) -> None:
        """Count decoded lines."""
        self._records += len(rows)
        self._size += size
        kinds, names, loggers = kinds_of(rows), [row.level for row in rows], [row.logger for row in rows]
        messages = [row.msg for row in rows]
        self._who.update(zip(names, kinds, loggers, [r.process for r in rows], [r.pid for r in rows], strict=True))
        places = [(row.file, row.line, row.func) for row in rows]
        keys = list(zip(places, loggers, names, kinds, masks(messages), strict=True))
        self._what.update(keys)
        deque(map(self._first.setdefault, keys, messages), maxlen=0)
        self._exceptions += sum(bytes(row.exc) != b"null" for row in rows)
        if "mplog" in loggers:
            self._events(rows)
        self._add_times([row.time for row in rows], kinds)

    def _events(self, rows: Sequence[_Row]) -> None:
        for row in rows:
            if row.logger == "mplog":
                if row.event == "dropped" and type(row.dropped) is int:
                    self._dropped += row.dropped
                elif row.event == "died":
                    self._deaths += 1

    def _add_times(self, stamps: list[str], kinds: list[int]) -> None:
        length = _PREFIX.get(self.timeline.width, 19)
        if canonical(stamps) and min(stamps) > "1970" and max(stamps) < "2100":
            counted = Counter(zip([stamp[:length] for stamp in stamps], kinds, strict=True))
            found = [(_millis(prefix), kind, count) for (prefix, kind), count in counted.items()]
            ends = [times.parse_utc(stamp) for stamp in (min(stamps), max(stamps))]
            if None not in ends and all(millis is not None for millis, _, _ in found):
                self.timeline.add_counts(found, ends)  # type: ignore[arg-type]
                return
        for stamp, kind in zip(stamps, kinds, strict=True):
            moment = times.parse_utc(stamp)
            if moment is None:
                self._untimed += 1
            else:
                self.timeline.add_counts([(milliseconds(moment), kind, 1)], [moment])

    def packed(self) -> object:
        """Return the counts as lists, text and numbers."""
        return (
            self._records, self._size, self._untimed, self._exceptions, self._dropped, self._deaths,
            [(*key, count) for key, count in self._who.items()],
            [(*key, count, self._first[key]) for key, count in self._what.items()],
            self.timeline.packed(),
        )  # fmt: skip
