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

    `setup` includes the import of mplog in the parent. Each step is taken twice, for the first may compile.
    """
    in_parent = [sys.executable, "-c", _IN_PARENT]
    in_worker = [sys.executable, "-m", "benchmarks.startup_worker"]
    with tempfile.TemporaryDirectory() as directory:
        parent = [_output([*in_parent, str(Path(directory) / f"parent{turn}.jsonl")]) for turn in range(2)]
        mplog: Any = importlib.import_module("mplog")
        # Without auto_attach, so that the worker's own call is the one that attaches.
        with mplog.setup(Path(directory) / "app.jsonl", console=False, auto_attach=False) as session:
            worker = [_output(in_worker, pickle.dumps(session.attach)) for _ in range(2)]
    return {"setup": float(parent[-1]), **json.loads(worker[-1])}


def _output(command: list[str], handle: bytes = b"") -> bytes:
    return subprocess.run(command, input=handle, stdout=subprocess.PIPE, check=True, timeout=30).stdout


if __name__ == "__main__":
    report(measure)
