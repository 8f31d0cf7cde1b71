"""Tier Q of the fault suite: each row with the small N, most of them beside the other tests."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_plants import PLANTS
from chaos_rows import ROWS

pytestmark = [pytest.mark.chaos, pytest.mark.skipif(sys.platform != "linux", reason="uses /proc and mounts")]
HERE = Path(__file__).parent
QUICK_PLANTS = ("publish before copy", "commit before write", "uncounted drop")


def run(row: str, n: int, plant: str = "", timeout: float = 100) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CHAOS_PLANT": plant}
    command = [sys.executable, str(HERE / "chaos_plants.py"), row, str(n)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)


class Runner:
    """Runs rows one after the other in a process of its own, and tells how each of them ended."""

    def __init__(self, rows: list[str]) -> None:
        command = [sys.executable, str(HERE / "__main__.py"), "--quick", "--json", "--jobs", "1", *rows]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._found: dict[str, dict[str, Any]] = {}

    def result(self, row: str) -> dict[str, Any]:
        """Wait for a row's result."""
        assert self._process.stdout is not None
        while row not in self._found:
            line = self._process.stdout.readline()
            assert line, "the runner of the rows ended early"
            one = json.loads(line)
            self._found[one["row"]] = one
        return self._found[row]

    def end(self) -> None:
        """End it, whether or not it is through."""
        self._process.terminate()
        self._process.communicate()


@contextlib.contextmanager
def begin(tests: list[pytest.Item], directory: Path) -> Iterator[Runner]:
    """Begin with the rows that need not be alone."""
    rows = [test.callspec.params["row"] for test in tests]  # type: ignore[attr-defined]
    runner = Runner([row for row in rows if ROWS[row].is_sociable and not (ROWS[row].root and os.geteuid() != 0)])
    yield runner
    runner.end()


@pytest.mark.beside
@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.quick and row.is_sociable])
def test_row(beside: dict[str, Any], row: str):
    """Nothing lost, twice, torn or out of order. The figures of the long run are in docs/guarantees.md."""
    if ROWS[row].root and os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    result = beside[__name__].result(row)
    assert result["held"], result["said"]


@pytest.mark.beside
@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.quick and not row.is_sociable])
def test_row_alone(row: str):
    """The same, in rows that want the machine for themselves."""
    done = run(row, ROWS[row].quick)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("plant", QUICK_PLANTS)
def test_the_suite_can_fail(plant: str):
    """A bug that was planted is found."""
    row, n = PLANTS[plant][:2]
    done = run(row, n, plant, timeout=60)
    assert done.returncode != 0, done.stdout


@pytest.mark.long
@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant not in QUICK_PLANTS])
def test_the_suite_can_fail_in_every_way(plant: str):
    """Each planted bug is found within a minute."""
    row, n = PLANTS[plant][:2]
    try:
        done = run(row, n, plant, timeout=60)
    except subprocess.TimeoutExpired:
        return  # The row hangs where it ended before: found.
    assert done.returncode != 0, done.stdout


def test_the_standard_library_loses_records():
    """The same deaths against QueueHandler and multiprocessing.Queue lose records: the rows measure something."""
    done = subprocess.run([sys.executable, str(HERE / "chaos_control.py")], capture_output=True, text=True, timeout=60)
    assert max(json.loads(done.stdout).values()) > 0.05, done.stdout
