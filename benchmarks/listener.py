"""How fast the listener empties full journals, on one core. `measure` runs in a fresh process.

The listener is stopped (SIGSTOP) while workers fill their journals, then pinned to one core and continued.
The rate is records in the file by the seconds until `flush` returned, and by the listener's own CPU seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.measure import Result, cpu_of, found_records, report, wait_for

VARIANTS = {
    "JSON file": ("mplog", "json"),
    "text file": ("mplog", "text"),
    "JSON file and a user handler": ("mplog + user handler", "json"),
}


def measure(variant: str = "JSON file", *, workers: int = 4, records: int = 50_000) -> Result:
    """Fill the journals with `workers` x `records` records, then let the listener write them.

    Args:
        variant: a key of `VARIANTS`.
        workers: number of journals.
        records: records in each; 50,000 take 12 MB, well below the quota at which a worker would wait.
    """
    contender, file_format = VARIANTS[variant]
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.log"
        listening = contenders.create(contender, path, file_format, context)
        handle = listening.start()
        fillers = [context.Process(target=_fill, args=(type(listening), handle, n, records)) for n in range(workers)]
        listener = listening.pids()[0]
        pattern = listening.pattern
        _warm_up(listening, handle)
        os.kill(listener, signal.SIGSTOP)
        for worker in fillers:
            worker.start()
        for worker in fillers:
            worker.join()
        before = found_records(path, pattern).total()
        os.sched_setaffinity(listener, {min(os.sched_getaffinity(0))})
        began, cpu = time.perf_counter(), cpu_of(listener) or 0.0
        os.kill(listener, signal.SIGCONT)
        listening.drain()
        seconds, cpu = time.perf_counter() - began, (cpu_of(listener) or 0.0) - cpu
        written = found_records(path, pattern).total() - before
        listening.close()
    return {
        "records": workers * records,
        "found": written,
        "lost": workers * records - written,
        "seconds": seconds,
        "rate": written / seconds,
        "rate_cpu": written / cpu if cpu > 0 else None,
    }


def _warm_up(listening: contenders.Contender, handle: Any) -> None:
    """Wait until a record of the parent's is in the file: the listener runs."""
    listening.attach(handle)(0, "w999")
    wait_for(lambda: bool(found_records(listening.path, listening.pattern)), timeout=15)


def _fill(kind: type[contenders.Contender], handle: Any, worker: int, records: int) -> None:
    log, name = kind.attach(handle), f"w{worker}"
    for i in range(1, records + 1):
        log(i, name)


if __name__ == "__main__":
    report(measure)
