"""What syncing costs: a record and a `flush()` that waits for it, with and without `durable=True`; and a burst.

`measure` runs in a fresh process. The log lies where temporary files lie, which should be a disk.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, percentiles, report


def measure(*, durable: bool = True, flushes: int = 200, records: int = 100_000) -> Result:
    """Log and flush `flushes` times, then log `records` at once and flush.

    Returns:
        `flush_p50_ms`, `flush_p99_ms`: a record and its `flush()`; `call_p99_us`: a call of the burst, which waits for
        no disk; `rate`: records a second from the first call to the return of `flush()`.
    """
    mplog: Any = importlib.import_module("mplog")
    log = logging.getLogger("bench")
    flushed, called = [], []
    with tempfile.TemporaryDirectory() as directory:
        session = mplog.setup(Path(directory) / "app.jsonl", console=False, durable=durable)
        log.info("warm")
        session.flush()
        for number in range(flushes):
            began = time.perf_counter_ns()
            log.info("request %d done", number)
            session.flush()
            flushed.append(time.perf_counter_ns() - began)
        started = time.perf_counter()
        for number in range(records):
            began = time.perf_counter_ns()
            log.info("request %d done", number)
            called.append(time.perf_counter_ns() - began)
        session.flush()
        passed = time.perf_counter() - started
        session.close()
    return {
        "flush_p50_ms": percentiles(flushed)["p50"] / 1e6,
        "flush_p99_ms": percentiles(flushed)["p99"] / 1e6,
        "call_p99_us": percentiles(called)["p99"] / 1e3,
        "rate": records / passed,
    }


if __name__ == "__main__":
    report(measure)
