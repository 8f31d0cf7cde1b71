"""What mplog adds to the start of a process: its import in a worker, attach, and setup. In milliseconds.

`measure` runs in a fresh process.
"""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, report

_PATIENCE = 30
_IN_PARENT = "\n".join(
    (
        "import logging, multiprocessing, sys, time",
        "began = time.perf_counter()",
        "import mplog",
        "session = mplog.setup(sys.argv[1], console=False)",
        "print(1000 * (time.perf_counter() - began))",
        "session.close()",
    )
)


def measure() -> Result:
    """Return the milliseconds of each step, in processes that have imported logging and multiprocessing.

    `setup` includes the import of mplog in the parent.
    """
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-c", _IN_PARENT, str(Path(directory) / "parent.jsonl")]
        parent = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE)
        mplog: Any = importlib.import_module("mplog")
        # Without auto_attach, so that the worker's own call is the one that attaches.
        with mplog.setup(Path(directory) / "app.jsonl", console=False, auto_attach=False) as session:
            worker = subprocess.run(
                [sys.executable, "-m", "benchmarks.startup_worker"],
                input=pickle.dumps(session.attach),
                stdout=subprocess.PIPE,
                check=True,
                timeout=_PATIENCE,
            )
    steps: Result = json.loads(worker.stdout)
    return {"setup": float(parent.stdout), **steps}


if __name__ == "__main__":
    report(measure)
