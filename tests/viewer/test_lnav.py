"""Interop: lnav and jq read what mplog writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sample_log import SampleLog, exception

from mplog.__main__ import main

LNAV = shutil.which("lnav")
JQ = shutil.which("jq")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sample = SampleLog().add('start – ünïcode "quoted"', dur_ms=1.5, tags=["a", None])
    sample.add("careful", level="WARNING", pid=201, process="ForkPoolWorker-1", logger="app.db")
    sample.add("custom", level="Level 15").add("noted", level="NOTICE")
    sample.add("failed", level="ERROR", pid=201, process="ForkPoolWorker-1", exc=exception())
    return sample.write(tmp_path / "app.log")


def test_format_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`mplog lnav-format` prints a format file."""
    assert main(["lnav-format"]) == 0
    formats = json.loads(capsys.readouterr().out)
    assert formats["mplog_json"]["timestamp-field"] == "time"


@pytest.mark.skipif(LNAV is None, reason="lnav is not installed")
class TestLnav:
    """What lnav itself makes of the format and of our logs."""

    @pytest.fixture
    def lnav(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
        main(["lnav-format"])
        definition = tmp_path / "mplog.json"
        definition.write_text(capsys.readouterr().out)

        def run(*arguments: str | Path) -> str:
            done = subprocess.run(
                [LNAV or "lnav", *map(str, arguments)],
                env={**os.environ, "HOME": str(tmp_path), "TERM": "dumb", "TZ": "UTC"},
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
            assert done.returncode == 0, done.stderr
            assert "error" not in done.stderr
            assert "warning" not in done.stderr
            return done.stdout

        run("-i", definition)
        return run

    def test_shows_our_json(self, lnav: Any, log: Path) -> None:
        """A format file with which lnav shows our JSON: the line as our text, the rest below."""
        shown = lnav("-n", log)
        head = "2026-11-22 11:11:11.133 INFO     MainProcess[100] app.jobs: "
        assert f'{head}start – ünïcode "quoted"\n' in shown
        assert "  dur_ms: 1.5" in shown
        assert "ERROR    ForkPoolWorker-1[201] app.jobs: failed\n" in shown
        assert "ValueError: bad value\n" in shown
        assert '"frames"' not in shown

    def test_knows_our_fields_and_levels(self, lnav: Any, log: Path) -> None:
        """Process, logger and levels are columns of lnav's SQL."""
        sql = ";select log_level, process, pid, logger, seq, log_body from mplog_json"
        rows = json.loads(lnav("-n", "-c", sql, "-c", ":write-json-to -", log))
        assert [row["log_level"] for row in rows] == ["info", "warning", "debug", "notice", "error"]
        assert rows[1] == {
            "log_level": "warning", "process": "ForkPoolWorker-1", "pid": 201, "logger": "app.db", "seq": 1,
            "log_body": "careful",
        }  # fmt: skip

    def test_knows_our_text(self, lnav: Any, tmp_path: Path) -> None:
        """The text format is known as well, continuation lines included."""
        path = tmp_path / "text.log"
        path.write_text(
            "2026-11-22 11:11:11.123 WARNING  ForkPoolWorker-3[12345] app.jobs: slow\n    more\n"
            "2026-11-22 11:11:12.123 INFO     MainProcess[1] app.jobs: done n=1\n"
        )
        sql = ";select log_level, process, pid, logger, log_body from mplog_text"
        rows = json.loads(lnav("-n", "-c", sql, "-c", ":write-json-to -", path))
        assert [row["log_level"] for row in rows] == ["warning", "info"]
        assert (rows[0]["process"], rows[0]["pid"]) == ("ForkPoolWorker-3", 12345)
        assert rows[0]["log_body"].startswith("slow")


@pytest.mark.skipif(JQ is None, reason="jq is not installed")
def test_jq_reads_our_json_unchanged(log: Path) -> None:
    """The JSON is read by jq unchanged: the same values come out, and nothing else."""
    done = subprocess.run([JQ or "jq", "-c", ".", str(log)], capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        json.loads(line) for line in log.read_text().splitlines()
    ]
    query = 'select(.level == "ERROR") | .exc.frames[-1].line'
    done = subprocess.run([JQ or "jq", query, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout == "40\n"
