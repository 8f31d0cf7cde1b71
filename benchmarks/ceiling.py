"""What `logging` itself leaves room for: workers that call a handler that does nothing, and write no log at all.

No log of the standard library's loggers can be faster than this for all processes together: a contender's worker has
to build and write its records on top, and its listener shares the cores.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from typing import Any

from benchmarks.caller import NoOp
from benchmarks.contenders import LOGGER, PERCENT_TEMPLATE
from benchmarks.measure import Result, report


def measure(*, workers: int = 4, records: int = 20_000) -> Result:
    """Let `workers` forked processes call the no-op `records` times each; runs in a fresh process.

    Returns:
        `rate`, calls/s of all of them together, from the common start until the last one has ended, as in
        `throughput`.
    """
    context = multiprocessing.get_context("fork")
    logging.basicConfig(level=logging.INFO, handlers=[NoOp()])
    barrier = context.Barrier(workers + 1)
    processes = [context.Process(target=_work, args=(barrier, n, records)) for n in range(workers)]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    return {"rate": workers * records / (time.perf_counter() - began)}


def _work(barrier: Any, worker: int, records: int) -> None:
    log, name = logging.getLogger(LOGGER), f"w{worker}"
    log.info(PERCENT_TEMPLATE, 0, name)
    barrier.wait()
    for i in range(1, records + 1):
        log.info(PERCENT_TEMPLATE, i, name)


if __name__ == "__main__":
    report(measure)
