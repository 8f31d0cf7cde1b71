"""The commands on logs that real sessions have written, with a worker killed in the middle."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mplog.__main__ import main
from mplog.viewer.html import write_html
from mplog.viewer.reading import read_records

PROGRAM = """
import logging, multiprocessing, os, signal, sys
import mplog

log = logging.getLogger("app.jobs")

def work(number):
    for step in range(50):
        log.info("step %d of job %d", step, number, extra={"dur_ms": step * 1.5})
    try:
        int(f"x{number}")
    except ValueError:
        log.exception("job %d failed: <script>\\x1b[2J", number)

def die():
    for step in range(30):
        log.info("last breath %d", step)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    with mplog.setup(sys.argv[1], console=False):
        with multiprocessing.Pool(3) as pool:
            pool.map(work, range(6))
        process = multiprocessing.Process(target=die)
        process.start()
        process.join()
        log.info("end")
"""
RECORDS = 6 * 51 + 30 + 1 + 1  # and the death certificate


@pytest.fixture
def log(program: Callable[..., Any], tmp_path: Path) -> Path:
    path = tmp_path / "app.json"
    program(PROGRAM, path)
    return path


def answer(capsys: pytest.CaptureFixture[str], *command: str | Path) -> Any:
    assert main([*map(str, command), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_summaries(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check, ps, errors and stats agree on what a session wrote, and on who died."""
    ledger = answer(capsys, "check", log)
    assert (ledger["records"], ledger["produced"], ledger["missing"], ledger["without_seq"]) == (RECORDS, RECORDS, 0, 0)
    (dead,) = answer(capsys, "ps", log, "--died")["processes"]
    assert (dead["signal"], dead["records"], dead["last_msg"]) == ("SIGKILL", 30, "last breath 29")
    (group,) = answer(capsys, "errors", log)
    assert (group["type"], group["count"], group["func"]) == ("ValueError", 6, "work")
    stats = answer(capsys, "stats", log)
    assert (stats["records"], stats["exceptions"], stats["deaths"]) == (RECORDS, 6, 1)
    assert stats["templates"][0]["template"] == "step <n> of job <n>"
    assert stats["templates"][0]["records"] == 300


def test_each_missing_line_is_found(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever line is taken out, `mplog check` exits 1, as long as its process wrote another one later."""
    lines = log.read_text().splitlines(keepends=True)
    last = {json.loads(line)["pid"]: number for number, line in enumerate(lines)}
    victims = [number for number in range(1, len(lines), 23) if number not in last.values()]
    assert len(victims) > 10
    for victim in victims:
        log.write_text("".join(lines[:victim] + lines[victim + 1 :]))
        assert main(["check", str(log)]) == 1, lines[victim]
        capsys.readouterr()


def test_text_log(program: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A text log tells the same, but for seq."""
    path = tmp_path / "app.log"
    program(PROGRAM, path)
    ledger = answer(capsys, "check", path)
    assert (ledger["records"], ledger["without_seq"]) == (RECORDS, RECORDS)
    dead = next(p for p in ledger["processes"] if p["end"] == "SIGKILL")
    assert (dead["records"], dead["certified"]) == (30, 30)
    (process,) = answer(capsys, "ps", path, "--died")["processes"]
    assert (process["signal"], process["records"], process["last_msg"]) == ("SIGKILL", 30, "last breath 29")
    (group,) = answer(capsys, "errors", path)
    assert (group["type"], group["count"], group["func"]) == ("ValueError", 6, "work")
    assert answer(capsys, "stats", path)["records"] == RECORDS


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq(log: Path) -> None:
    """The JSON is read by jq unchanged."""
    done = subprocess.run(["jq", "-c", ".", str(log)], capture_output=True, text=True, check=True)
    written = [json.loads(line) for line in log.read_text().splitlines()]
    assert [json.loads(line) for line in done.stdout.splitlines()] == written
    assert len(written) == RECORDS


def test_duckdb(log: Path) -> None:
    """The JSON is read by DuckDB unchanged, without our reader."""
    duckdb = pytest.importorskip("duckdb")
    query = f"select count(*), sum(dur_ms), max(exc.type) from read_json('{log}')"
    assert duckdb.sql(query).fetchall() == [(RECORDS, 6 * sum(step * 1.5 for step in range(50)), "ValueError")]


def test_page(log: Path) -> None:
    """The page holds every record, and no tag and no control character of one."""
    out = io.StringIO()
    assert write_html(read_records([str(log)]), out, title="real") == RECORDS
    assert out.getvalue().count("<script") == 2
    assert "\x1b" not in out.getvalue()
