"""CPython's own tests of `logging`, run in a process in which mplog is set up."""

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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


class Running(NamedTuple):
    """CPython's tests, and where they write."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path


@contextlib.contextmanager
def begin(tests: list[pytest.Item], directory: Path) -> Iterator[Running]:
    """Run them, in a process of their own."""
    command = [sys.executable, "-c", PROGRAM, str(directory / "app.log")]
    out, err = directory / "out", directory / "err"
    with out.open("w") as to_out, err.open("w") as to_err:
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err)
    yield Running(process, out, err)
    process.kill()
    process.wait()


@pytest.mark.beside
@pytest.mark.skipif(importlib.util.find_spec("test.test_logging") is None, reason="this Python has no test package")
def test_cpython_tests_of_logging_pass(beside: dict[str, Any]) -> None:
    """CPython's own `test_logging` passes with mplog set up in the process, but for the cases named here."""
    running = beside[__name__]
    running.process.wait(timeout=110)
    out, err = running.out.read_text(), running.err.read_text()
    last = [line for line in out.splitlines() if line.startswith('{"ran"')]
    assert last, err[-3000:]
    result = json.loads(last[-1])
    assert result["ran"] > 200
    assert set(result["bad"]) <= LEFT_OUT, err[-6000:]
