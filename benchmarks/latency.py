"""How long a logging call takes: p50, p99, p99.9 and max in one worker, idle or beside a CPU-bound thread.

`measure` runs in a fresh process and the worker is another one, so that no contender's listening thread
shares its interpreter.
"""

from __future__ import annotations

from benchmarks import throughput
from benchmarks.measure import Result, report


def measure(
    contender: str = "stdlib recipe", *, records: int = 20_000, busy: bool = False, pace: float | None = None
) -> Result:
    """Time every call of one worker that logs `records` records, in microseconds.

    Args:
        contender: its name in `contenders.ALL`.
        records: number of calls.
        busy: a thread computes without pause in the worker.
        pace: records a second; None is a burst.
    """
    return throughput.measure(contender, workers=1, records=records, timed=True, busy=busy, pace=pace)


if __name__ == "__main__":
    report(measure)
