"""One clock for key and time of a record. Runs in every process.

The merge goes by the monotonic clock, people read the wall clock. Two readings, one after the other, may be a time
slice apart, and files would go back in time where they do not. So there is one reading, and a session's processes
share the distance between the two clocks. They measure it again only when the wall clock was set or has run away.
"""

import time

TOLERANCE = 1_000_000
"""Nanoseconds by which the time of a record may differ from the wall clock before the distance is measured again."""

offset = time.time_ns() - time.monotonic_ns()
"""Nanoseconds from the monotonic to the wall clock, in this process's session."""


def measure() -> int:
    """Return the distance in nanoseconds: of a few readings the one that was interrupted least."""
    readings = []
    for _ in range(3):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, wall - (before + after) // 2))
    return min(readings)[1]


def share(distance: int) -> None:
    """Take over the distance of a session, unless the wall clock has been set since."""
    global offset
    offset = distance
    check()


def check() -> None:
    """Measure again if the wall clock is no longer where it should be."""
    global offset
    measured = measure()
    if abs(measured - offset) > TOLERANCE:
        offset = measured


def key_of(created: float) -> int:
    """Return the key of a record made at `created` (seconds since 1970), or of now if that is not just now."""
    now = time.monotonic_ns()
    try:
        key = round(created * 1e6) * 1000 - offset if 0 < created < 1e10 else 0
    except TypeError:  # somebody's idea of a record
        return now
    return key if now - OLDEST < key <= now else now


OLDEST = 15_000_000
"""Nanoseconds by which a key may lie back: less than the listener holds records back."""
