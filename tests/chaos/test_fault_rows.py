"""Tier Q of the fault suite: each row with the small N."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.quick])
def test_row(row: str):
    """Nothing lost, twice, torn or out of order. The figures of the long run are in docs/guarantees.md."""
    if ROWS[row].root and os.geteuid() != 0:
        pytest.skip("mounts a small file system")
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
