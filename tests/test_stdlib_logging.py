"""CPython's own tests of `logging`, run in a process in which mplog is set up."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

LEFT_OUT = {
    # It asserts that a logger has no handler all the way up; with mplog set up, the root logger has one.
    "LoggerAdapterTest.test_has_handlers",
}

PROGRAM = """
import json, logging, sys, unittest
import mplog
from mplog._worker import fastpath

session = mplog.setup(sys.argv[1], console=False)
import test.test_logging as suite

stock = suite.BaseTest.setUp

def set_up(self):
    # Each test begins by asserting that no logger has a handler, and by placing its own.
    logging.root.handlers[:] = []
    fastpath._handler.was_closed = False
    stock(self)

suite.BaseTest.setUp = set_up
result = unittest.TextTestRunner(sys.stderr, verbosity=0).run(unittest.defaultTestLoader.loadTestsFromModule(suite))
bad = [case.id().split("test_logging.")[-1] for case, _ in result.failures + result.errors]
print(json.dumps({"ran": result.testsRun, "bad": bad}))
"""


@pytest.mark.skipif(importlib.util.find_spec("test.test_logging") is None, reason="this Python has no test package")
def test_cpython_tests_of_logging_pass(tmp_path: Path) -> None:
    """CPython's own `test_logging` passes with mplog set up in the process, but for the cases named here."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "app.log")],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    last = [line for line in done.stdout.splitlines() if line.startswith('{"ran"')]
    assert last, done.stderr[-3000:]
    result = json.loads(last[-1])
    assert result["ran"] > 200
    assert set(result["bad"]) <= LEFT_OUT, done.stderr[-6000:]
