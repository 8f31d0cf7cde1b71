"""The summaries in a narrow window: no row is longer than the window is wide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sample_log import SampleLog
from viewer_command import GOLDEN, mplog

from mplog.viewer.tables import columns, cut, cut_middle

SENTENCE = re.compile("^(not known: |NOT COMPLETE|2026-11-22, local time)|damaged lines?: ")


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Return a log with long names, wide letters, large numbers, gaps and deaths."""
    sample = SampleLog()
    for number in range(60):
        name = "数据工作进程-数据工作进程" if number % 3 else f"a-very-long-name-of-a-process-pool-{number % 2}"
        level = "ERROR" if number % 7 else "INFO"
        sample.add("文字 " * 30, process=name, pid=number % 3 + 7, logger="a.logger." * 9, level=level)
    return sample.write(tmp_path / "app.json")


@pytest.mark.parametrize("width", [20, 27, 40, 61, 80, 100, 140])
@pytest.mark.parametrize("command", ["stats", "ps", "check", "errors"])
def test_no_row_is_wrapped(command: str, width: int, wide: Path) -> None:
    """At 20 or 40 columns tables leave columns out and cut texts; sentences are broken at words."""
    for path in (GOLDEN / "shop.json", GOLDEN / "text.log", GOLDEN / "damaged.json", wide):
        for tb in ([], ["--tb", "line"]) if command == "errors" else ([],):
            result = mplog(command, path.name, *tb, cwd=path.parent, env={"COLUMNS": str(width)})
            assert result.code in (0, 1)
            rows = result.out.splitlines()
            sentences = [row for row in rows if SENTENCE.search(row)]
            assert len(rows) > 2 or command == "errors"
            assert [row for row in rows if columns(row) > width and row not in sentences] == []
            assert width >= 60 or all(columns(row) <= width for row in sentences)


def test_what_matters_is_kept() -> None:
    """In a narrow window there is still who and how much."""
    env = {"COLUMNS": "40"}
    assert "ForkPoolWorker-2  SIGKILL" in mplog("ps", "shop.json", cwd=GOLDEN, env=env).out
    assert "missing" in mplog("check", "shop.json", cwd=GOLDEN, env=env).out
    stats = mplog("stats", "shop.json", cwd=GOLDEN, env=env).out
    assert "ForkPoolWorker-1" in stats
    assert "errors" in stats


def test_a_pipe_has_no_width(wide: Path) -> None:
    """Where nobody looks no column is left out: COLUMNS is not set and the output is no terminal."""
    out = mplog("check", wide, env={"COLUMNS": ""}).out
    assert "a-very-long-name-of-a-process-pool-0" in out
    assert "disorder" in out


@pytest.mark.parametrize("shorten", [cut, cut_middle])
@pytest.mark.parametrize("text", ["", "a", "abcdefghij", "数据工作进程", "a数b据c工d", "e\u0301" * 9])
def test_cut_to_any_width(shorten: object, text: str) -> None:
    """Whatever the width, a text cut to it is no wider, and whole if it fits."""
    assert callable(shorten)
    for width in range(-2, 30):
        shown = shorten(text, width)
        assert columns(shown) <= max(width, 0)
        assert shown == text or columns(text) > width
