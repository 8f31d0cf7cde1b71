"""Several logs into one, by time. Runs in the command `mplog`."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from mplog.viewer.lines import Record

_EARLY = 10_000


def merged(streams: Iterable[Iterable[Record]], *, newest_first: bool = False) -> Iterator[Record]:
    """Yield the records of several logs merged by time; the order within a log stays.

    A record without a time goes with the one above it; above the first time stamp, with the one below.

    Args:
        streams: the records of each log, in its order.
        newest_first: the streams run backward.
    """
    sign = -1.0 if newest_first else 1.0
    keyed = [_keyed(number, stream, sign) for number, stream in enumerate(streams)]
    return (item[3] for item in heapq.merge(*keyed))


def _keyed(number: int, stream: Iterable[Record], sign: float) -> Iterator[tuple[float, int, int, Record]]:
    """Give each record a key that never falls."""
    last: float | None = None
    early: list[Record] = []
    count = 0
    for record in stream:
        time = None if record.time is None else sign * record.time
        if last is None and time is None and len(early) < _EARLY:
            early.append(record)
            continue
        if last is None or (time is not None and time > last):
            last = time if time is not None else float("-inf")
        for held in early:
            count += 1
            yield last, number, count, held
        early.clear()
        count += 1
        yield last, number, count, record
    for held in early:
        count += 1
        yield float("-inf"), number, count, held
