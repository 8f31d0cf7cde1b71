"""The examples of live levels, progress and the pytest plugin run and print what they say."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="not run from a checkout")


def promised(name):
    text = ast.get_docstring(ast.parse((EXAMPLES / name).read_text()), clean=False)
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("name", ["level_at_run_time.py", "progress_track.py", "progress_tqdm.py"])
def test_an_example_prints_what_it_says(program, name, start_method):
    """Each example runs under every start method, and prints what its docstring shows."""
    if "tqdm" in name:
        pytest.importorskip("tqdm")
    shown = program(EXAMPLES / name, start_method).out
    assert re.sub(r"\w*PoolWorker-\d+", "PoolWorker", shown).splitlines() == promised(name)


def test_the_example_for_pytest(tmp_path):
    """The example's tests pass."""
    installed = {entry.value for entry in importlib.metadata.entry_points(group="pytest11")}
    plugin = [] if "mplog.pytest_plugin" in installed else ["-p", "mplog.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, EXAMPLES / "pytest_records.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert promised("pytest_records.py")[0] in done.stdout, done.stdout
