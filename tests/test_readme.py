"""The README keeps its word: its commands are the real ones, its first program prints what it says."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", README, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not run from a checkout")


def test_readme_fits():
    """README has at most 150 lines."""
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", ["pip install . && mplog demo", "pip install '.[test]' && pytest"])
def test_readme_has_the_two_commands(command: str):
    """One command shows mplog, one tests it; both stand in a block of their own line."""
    assert [line for _, block in BLOCKS for line in block.splitlines() if line.removeprefix("$ ").strip() == command]


def test_the_rivals_are_pinned_once():
    """The dependency group of the benchmarks is the list that they install."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text().splitlines()
    assert groups["benchmarks"] == [line for line in lines if line and not line.startswith("#")]


def plain(text: str) -> Counter[str]:
    """Return a program's lines without what differs from run to run: times, pids, who was first."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?", "TIME", text)
    text = re.sub(r"\d\d:\d\d:\d\d([.,]\d+)?", "TIME", text)
    text = re.sub(r"\[\d+\]|\bpid[ =:]+\d+", "PID", text)
    text = re.sub(r"\b(\w*(?:Worker|Process))-[\d:]+", r"\1-N", text)
    return Counter(" ".join(line.split()) for line in text.splitlines() if line.strip())


def first_program() -> tuple[str, str]:
    for index, (language, block) in enumerate(BLOCKS):
        if language == "python":
            assert index + 1 < len(BLOCKS), "the first python block has no output block after it"
            return block, BLOCKS[index + 1][1]
    pytest.skip("README has no python block yet")


def test_the_first_program_prints_what_readme_says(tmp_path: Path):
    """The first python block runs as it stands, and its output is the block after it."""
    program, expected = first_program()
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
    (tmp_path / "program.py").write_text(program)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("MPLOG_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert plain(done.stdout) == plain(re.sub(r"^\$ .*\n", "", expected, flags=re.MULTILINE)), done.stdout
