"""Tier Q of the fault suite: each row with the small N, two rows at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="module")
def result_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Return what waits for a row's result; all rows that were asked for begin to run, two at a time."""
    items = [item for item in request.session.items if getattr(item, "originalname", "") == "test_row"]
    rows = [item.callspec.params["row"] for item in items]
    shared = "PYTEST_XDIST_WORKER" in os.environ  # Others run most of them.
    found: dict[str, dict[str, Any]] = {}
    running: list[subprocess.Popen[str]] = []

    def begin(names: list[str]) -> None:
        command = [sys.executable, str(HERE / "__main__.py"), "--quick", "--json", *names]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

    def result(row: str) -> dict[str, Any]:
        if shared:
            begin([row])
        while row not in found:
            line = running[-1].stdout.readline()
            assert line, "the runner of the rows ended early"
            one = json.loads(line)
            found[one["row"]] = one
        if shared:
            running[-1].communicate()
        return found[row]

    if not shared:
        begin([row for row in rows if not (ROWS[row].root and os.geteuid() != 0)])
    yield result
    for process in running:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.quick])
def test_row(result_of: Callable[[str], dict[str, Any]], row: str):
    """Nothing lost, twice, torn or out of order. The figures of the long run are in docs/guarantees.md."""
    if ROWS[row].root and os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    result = result_of(row)
    assert result["held"], result["said"]


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
