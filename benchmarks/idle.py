"""What a session costs while nothing is logged: 200 attached processes, the listener's CPU, the spool's size.

`measure` runs in a fresh process.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.measure import Result, cpu_of, found_records, report, wait_for

_SETTLE = 1.0


def measure(*, processes: int = 200, seconds: float = 5.0) -> Result:
    """Attach `processes` workers that log one record each, then watch the listener for `seconds`.

    Returns:
        `listener_share`: the listener's CPU seconds a second; `spool_kib`: KiB of the spool's files, as
        allocated, a process; `parent_share`: the CPU of mplog's threads in the parent.
    """
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory(dir=_memory()) as spool:
        path = Path(directory) / "app.jsonl"
        mplog: Any = importlib.import_module("mplog")
        session = mplog.setup(path, console=False, spool=spool)
        done = context.Event()
        workers = [context.Process(target=_idle, args=(session.attach, done, n)) for n in range(processes)]
        for worker in workers:
            worker.start()
        pattern = contenders.Mplog.pattern
        attached = wait_for(lambda: len(found_records(path, pattern)) == processes, timeout=60, interval=0.05)
        listener = _listener(session)
        time.sleep(_SETTLE)
        began, cpu, parent = time.perf_counter(), cpu_of(listener) or 0.0, time.process_time()
        time.sleep(seconds)
        passed = time.perf_counter() - began
        cpu, parent = (cpu_of(listener) or 0.0) - cpu, time.process_time() - parent
        allocated = _allocated(Path(spool))
        done.set()
        for worker in workers:
            worker.join()
        session.close()
    return {
        "attached": attached,
        "listener_share": cpu / passed,
        "parent_share": parent / passed,
        "spool_kib": allocated / 1024 / processes,
    }


def _idle(attach: Any, done: Any, worker: int) -> None:
    contenders.Mplog.attach(attach)(1, f"w{worker}")
    done.wait()


def _listener(session: Any) -> int:
    pid: int = session.stats()["listener"]["pid"]
    return pid


def _memory() -> str | None:
    """Return the tmpfs where a spool lives by default, if there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _allocated(directory: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


if __name__ == "__main__":
    report(measure)
