"""What mplog adds to the start of a process: its import in a worker, attach, and setup. In milliseconds.

`measure` runs in a fresh process.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.spawn
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, report


def measure(*, with_get_logger: bool = False) -> Result:
    """Return the milliseconds of each step; whatever a spawned worker has imported anyway is imported before.

    Args:
        with_get_logger: also time the first `mplog.get_logger()`, which imports structlog.
    """
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
        worker = context.Process(target=_measure_worker, args=(_Unopened(session.attach), in_worker, with_get_logger))
        worker.start()
        worker.join()
        steps = in_worker.get() if not in_worker.empty() else {}
        session.close()
    return {"setup": 1000 * (ready - imported), "import_parent": 1000 * (imported - began), **steps}


class _Unopened:
    """Carry the session's handle into the worker as bytes, so that the worker can time what unpickling imports."""

    def __init__(self, attach: Callable[[], object]) -> None:
        self.attach = attach

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        import pickle

        return bytes, (pickle.dumps(self.attach),)


def _measure_worker(handle: bytes, answers: Any, with_get_logger: bool) -> None:
    import pickle

    if "mplog" in sys.modules:
        raise RuntimeError("The worker has imported mplog before its import could be timed.")
    marks = [time.perf_counter()]
    attach = pickle.loads(handle)  # imports mplog
    marks.append(time.perf_counter())
    attach()
    marks.append(time.perf_counter())
    logging.getLogger("app").info("the first record of %s", "a worker")
    marks.append(time.perf_counter())
    names = ["import", "attach", "first_record"]
    if with_get_logger:
        import mplog

        mplog.get_logger("app").info("the first event", of="a worker")
        marks.append(time.perf_counter())
        names.append("get_logger")
    answers.put({name: 1000 * (after - before) for name, before, after in zip(names, marks, marks[1:], strict=False)})


if __name__ == "__main__":
    # Under spawn this file is imported again as __mp_main__; the worker's function must come from its real name.
    from benchmarks import startup

    report(startup.measure)
