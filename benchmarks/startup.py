"""What mplog adds to the start of a process: its import in a worker, attach, and setup. In milliseconds.

`measure` runs in a fresh process.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.spawn
import pickle
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, report


def measure() -> Result:
    """Return the milliseconds of each step; what a spawned worker has imported anyway is imported before."""
    context = multiprocessing.get_context("spawn")
    began = time.perf_counter()
    import mplog

    imported = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.jsonl"
        # Without auto_attach, so that the worker's own call is the one that attaches.
        session = mplog.setup(path, console=False, auto_attach=False)
        ready = time.perf_counter()
        in_worker: Any = context.SimpleQueue()
        worker = context.Process(target=_measure_worker, args=(pickle.dumps(session.attach), in_worker))
        worker.start()
        worker.join()
        session.close()
        if worker.exitcode != 0:
            raise RuntimeError(f"The worker that times its start ended with exit code {worker.exitcode!r}.")
        steps = in_worker.get()
    return {"setup": 1000 * (ready - imported), "import_parent": 1000 * (imported - began), **steps}


def _measure_worker(handle: bytes, answers: Any) -> None:
    if "mplog" in sys.modules:
        raise RuntimeError("The worker has imported mplog before its import could be timed.")
    marks = [time.perf_counter()]
    attach = pickle.loads(handle)  # imports mplog
    marks.append(time.perf_counter())
    attach()
    marks.append(time.perf_counter())
    logging.getLogger("app").info("the first record of %s", "a worker")
    marks.append(time.perf_counter())
    names = ("import", "attach", "first_record", "get_logger")
    sys.modules["mplog"].get_logger("app").info("the first event", of="a worker")  # imports structlog
    marks.append(time.perf_counter())
    answers.put(
        {
            name: 1000 * (after - before)
            for name, before, after in zip(names, marks[:-1], marks[1:], strict=True)
        }
    )


if __name__ == "__main__":
    # Under spawn this file is __mp_main__ in the worker; its functions must come from their real module.
    from benchmarks import startup

    report(startup.measure)
