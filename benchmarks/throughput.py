"""N workers x M records into one file: records/s, CPU a record, lost and duplicated.

`measure` runs in a fresh process. The clock runs from the moment all workers, attached and warm, start to
log, until `close` has returned. Only records found in the file after that count.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections import Counter
from multiprocessing.context import BaseContext
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.measure import (
    ForeignCpu,
    Result,
    become_subreaper,
    found_records,
    percentiles,
    report,
    wait_for,
)

_RECORDED = ("returned", "cpu_at_start", "cpu_at_end")
_LAST = -100  # an exit priority below that of multiprocessing's queues, which join their feeder threads at -5


class Board:
    """Shared memory in which each worker leaves what it counted; one row a worker.

    Args:
        context: the multiprocessing context of the workers.
        workers: how many.
        timed: how many calls each worker times.
    """

    def __init__(self, context: BaseContext, workers: int, timed: int) -> None:
        self.ready = context.Barrier(workers + 1)
        self.go = context.Barrier(workers + 1)
        self.rows = context.RawArray("d", workers * len(_RECORDED))
        self.calls = context.RawArray("q", workers * timed)
        self.timed = timed

    def write(self, worker: int, name: str, value: float) -> None:
        """Store a figure of `worker`."""
        self.rows[worker * len(_RECORDED) + _RECORDED.index(name)] = value

    def column(self, name: str) -> list[float]:
        """Return the figure `name` of all workers."""
        return list(self.rows[_RECORDED.index(name) :: len(_RECORDED)])


def measure(
    contender: str = "stdlib recipe",
    *,
    workers: int = 4,
    records: int = 5_000,
    method: str = "fork",
    file_format: str = "json",
    pace: float | None = None,
    timed: bool = False,
    busy: bool = False,
) -> Result:
    """Let `workers` processes log `records` each through `contender` and count what arrives.

    Args:
        contender: its name in `contenders.ALL`.
        workers: number of processes.
        records: records a worker.
        method: start method of multiprocessing.
        file_format: "json" or "text".
        pace: records a second of each worker; None is a burst.
        timed: time every call; p50, p99, p99.9 and max in microseconds are then in the result.
        busy: a thread computes without pause in each worker.
    """
    become_subreaper()
    # Also the default: multiprocessing-logging and Logbook look at it, whatever context is used.
    multiprocessing.set_start_method(method)
    context: Any = multiprocessing.get_context(method)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.log"
        listening = contenders.create(contender, path, file_format, context)
        handle = listening.start()
        board = Board(context, workers, records if timed else 0)
        kind = type(listening)
        plan = {"records": records, "pace": pace, "busy": busy}
        processes = [context.Process(target=_work, args=(kind, handle, board, n, plan)) for n in range(workers)]
        try:
            phases, others = _run(listening, processes, board)
        finally:
            # Only after a failure is one of them alive; at exit the interpreter would wait for it for ever.
            for process in processes:
                if process.pid is not None:
                    process.kill()
        found = found_records(path, kind.pattern)
    return {
        **_ledger(found, board, workers),
        **phases,
        **_cost(found, phases["seconds"], others, board),
        **(percentiles([ns / 1000 for ns in board.calls]) if timed else {}),
    }


def _run(listening: contenders.Contender, processes: list[Any], board: Board) -> tuple[Result, float]:
    """Run the workers; return the seconds of each phase, and the CPU seconds of all but the workers."""
    for process in processes:
        process.start()
    _wait_until_ready(processes, board)
    warm = len(processes)
    wait_for(lambda: found_records(listening.path, listening.pattern).total() >= warm, timeout=15)
    foreign = ForeignCpu(listening.pids())
    parent, began = time.process_time(), time.perf_counter()
    board.go.wait()
    for process in processes:
        process.join()
    logged = time.perf_counter()
    listening.drain()
    drained = time.perf_counter()
    foreign.before_close()
    listening.close()
    closed, parent = time.perf_counter(), time.process_time() - parent
    phases = {"logging": logged - began, "draining": drained - logged, "closing": closed - drained}
    return {"seconds": closed - began, **phases}, parent + foreign.after_close()


def _wait_until_ready(processes: list[Any], board: Board) -> None:
    """Meet the workers at the barrier; raise RuntimeError if one of them dies on its way there."""

    def dead() -> list[Any]:
        return [process for process in processes if process.exitcode is not None]

    wait_for(lambda: bool(dead()) or board.ready.n_waiting == len(processes), timeout=60)
    if corpses := dead():
        raise RuntimeError(f"{len(corpses)} workers died before the start, exit code {corpses[0].exitcode!r}.")
    board.ready.wait()


def _work(kind: type[contenders.Contender], handle: Any, board: Board, worker: int, plan: dict[str, Any]) -> None:
    """Log from one worker: a record numbered 0 to warm up, then 1, 2, 3 ..."""
    log, name = kind.attach(handle), f"w{worker}"
    Finalize(None, lambda: board.write(worker, "cpu_at_end", time.process_time()), exitpriority=_LAST)
    if plan["busy"]:
        threading.Thread(target=_compute, daemon=True).start()
    log(0, name)
    board.ready.wait()
    board.go.wait()
    board.write(worker, "cpu_at_start", time.process_time())
    interval = 1 / plan["pace"] if plan["pace"] else 0.0
    if board.timed:
        board.calls[worker * board.timed : (worker + 1) * board.timed] = _timed(log, name, plan["records"], interval)
    else:
        _untimed(log, name, plan["records"], interval)
    board.write(worker, "returned", plan["records"])


def _untimed(log: contenders.Log, name: str, records: int, interval: float) -> None:
    if not interval:
        for i in range(1, records + 1):
            log(i, name)
        return
    due = time.perf_counter()
    for i in range(1, records + 1):
        due = _pause(due, interval)
        log(i, name)


def _timed(log: contenders.Log, name: str, records: int, interval: float) -> list[int]:
    clock, durations, due = time.perf_counter_ns, [0] * records, time.perf_counter()
    for i in range(1, records + 1):
        due = _pause(due, interval) if interval else due
        began = clock()
        log(i, name)
        durations[i - 1] = clock() - began
    return durations


def _pause(due: float, interval: float) -> float:
    """Sleep until the next record is due; return when that is."""
    due += interval
    time.sleep(max(0.0, due - time.perf_counter()))
    return due


def _compute() -> None:
    while True:
        sum(i * i for i in range(1000))


def _ledger(found: Counter[tuple[int, int]], board: Board, workers: int) -> Result:
    """Return how many records are in the file, how many are missing, and how many are there twice."""
    due = {(worker, i) for worker, last in enumerate(board.column("returned")) for i in range(int(last) + 1)}
    return {
        "records": len(due) - workers,
        "found": len(due & found.keys()) - sum((worker, 0) in found for worker in range(workers)),
        "lost": len(due - found.keys()),
        "duplicated": found.total() - len(found),
    }


def _cost(found: Counter[tuple[int, int]], seconds: float, others: float, board: Board) -> Result:
    """Return records/s and the CPU microseconds a record of all processes; the warm-up does not count."""
    counted = sum(number > 0 for _, number in found)
    workers = sum(board.column("cpu_at_end")) - sum(board.column("cpu_at_start"))
    return {
        "rate": counted / seconds,
        "cpu_us": 1e6 * (workers + others) / counted if counted else None,
        "cpu_workers_us": 1e6 * workers / counted if counted else None,
        "cpu_others_us": 1e6 * others / counted if counted else None,
    }


if __name__ == "__main__":
    # Under spawn this file is __mp_main__ in the worker; its functions must come from their real module.
    from benchmarks import throughput

    report(throughput.measure)
