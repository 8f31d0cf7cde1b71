"""Four workers log, then die without saying goodbye: how many acknowledged records are in the file?

`measure` runs in a fresh process under the conductor's watchdog; `count` runs in the conductor, for a hang
must not keep the records from being counted.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.measure import Result, found_records, report, run_fresh

WORKERS = 4

DEATHS: dict[str, Callable[[], object]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "os._exit": lambda: os._exit(1),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}


def count(contender: str, *, death: str, records: int = 2_000, python: str = sys.executable) -> Result:
    """Let the workers of `contender` log `records` each and die; count what is in the file afterwards.

    Runs in the conductor.

    Args:
        contender: its name in `contenders.ALL`.
        death: a key of `DEATHS`; each worker dies by it as soon as its last call has returned.
        records: acknowledged records a worker.
        python: the interpreter.

    Returns:
        `status` ("hangs" if the parent could not close its log within 15 seconds), `acknowledged`, `found`,
        `lost` and `duplicated`.
    """
    with tempfile.TemporaryDirectory() as directory:
        log, acknowledged = Path(directory) / "app.log", Path(directory) / "acknowledged"
        plan = {"contender": contender, "death": death, "records": records, "directory": directory}
        result = run_fresh("kills", plan, python=python, timeout=15)
        found = found_records(log, contenders.ALL[contender].pattern)
        returned = memoryview(acknowledged.read_bytes()).cast("Q").tolist() if acknowledged.exists() else []
    due = {(worker, i) for worker, last in enumerate(returned) for i in range(1, last + 1)}
    return {
        **result,
        "acknowledged": len(due),
        "found": len(due & found.keys()),
        "lost": len(due - found.keys()),
        "duplicated": found.total() - len(found),
    }


def measure(contender: str, death: str, records: int, directory: str) -> Result:
    """Run the parent: start, wait for the corpses, close."""
    multiprocessing.set_start_method("fork")
    context = multiprocessing.get_context("fork")
    acknowledged = Path(directory) / "acknowledged"
    acknowledged.write_bytes(bytes(8 * WORKERS))
    listening = contenders.create(contender, Path(directory) / "app.log", "json", context)
    handle = listening.start()
    arguments = (type(listening), handle, acknowledged, death, records)
    workers = [context.Process(target=_log_and_die, args=(n, *arguments)) for n in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    began = time.perf_counter()
    listening.drain()
    listening.close()
    return {
        "closed_after": time.perf_counter() - began,
        "exit_codes": [worker.exitcode for worker in workers],
    }


def _log_and_die(
    worker: int, kind: type[contenders.Contender], handle: Any, acknowledged: Path, death: str, records: int
) -> None:
    log, name = kind.attach(handle), f"w{worker}"
    with acknowledged.open("r+b", buffering=0) as file:
        for i in range(1, records + 1):
            log(i, name)
            os.pwrite(file.fileno(), i.to_bytes(8, sys.byteorder), 8 * worker)
        _forbid_core_dump()
        DEATHS[death]()


def _forbid_core_dump() -> None:
    # A core file takes longer to write than everything else here; PR_SET_DUMPABLE is 4 (prctl(2)).
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


if __name__ == "__main__":
    report(measure)
