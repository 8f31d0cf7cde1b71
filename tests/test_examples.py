"""Each example of the tutorial runs under every start method and writes what its docstring says."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
TUTORIAL = {
    "apply_async",
    "doubling",
    "implicit_join",
    "lock",
    "log_to_stderr",
    "names",
    "one_file",
    "pool_map",
    "producer_consumer",
}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="not run from a checkout")


def promised(path: Path) -> list[str]:
    """Return the indented lines of a program's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


def plain(text: str) -> list[str]:
    """Return lines without what differs from run to run: pids, the numbers of workers, who was first."""
    text = re.sub(r"\b(Fork|Spawn|ForkServer)?PoolWorker(-\d+)?", "PoolWorker", text)
    text = re.sub(r"\b(process|child of) \d+", r"\1 PID", text)
    return text.splitlines()


def test_the_whole_tutorial_is_there():
    """One program for each part of the `multiprocessing` tutorial."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} >= TUTORIAL


@pytest.mark.parametrize("name", sorted(TUTORIAL))
def test_an_example_writes_what_it_says(name, program, start_method, tmp_path):
    """It ends well, its lines are those of its docstring, whole, and its log file holds the same."""
    done = program(EXAMPLES / f"{name}.py", start_method)
    text, other = (done.err, done.out) if name == "log_to_stderr" else (done.out, done.err)
    shown = plain(text)
    # A forkserver's own directory is something multiprocessing speaks of.
    shown = [line for line in shown if "created temp directory" not in line]
    assert Counter(shown) == Counter(plain("\n".join(promised(EXAMPLES / f"{name}.py"))))
    assert other == ""
    file = tmp_path / f"{name}.log"
    assert not file.exists() or file.read_text() == text


@pytest.mark.parametrize("name", ["names", "apply_async", "log_to_stderr"])
def test_cause_comes_before_effect(name, program, start_method):
    """Records of several processes come in time order."""
    done = program(EXAMPLES / f"{name}.py", start_method)
    shown = plain(done.err if name == "log_to_stderr" else done.out)
    wanted = plain("\n".join(promised(EXAMPLES / f"{name}.py")))
    assert (shown[0], shown[-1]) == (wanted[0], wanted[-1])
    if name == "apply_async":
        assert shown == wanted
