"""`mplog sql`: SQL through DuckDB, fed by the tolerant reader."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sample_log import SampleLog, exception

from mplog.__main__ import main


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sample = SampleLog()
    for number in range(10):
        worker = {"pid": 201 + number % 2, "process": f"W-{number % 2}"}
        sample.add(f"step {number}", **worker, dur_ms=number * 1.5, n=number)
    sample.add("failed", level="ERROR", exc=exception(), ok=False, user="anna", tags=["a", 1], n="ten")
    sample.lines.append("torn {")
    return sample.write(tmp_path / "app.log")


def sql(capsys: pytest.CaptureFixture[str], query: str, *arguments: str | Path) -> Any:
    assert main(["sql", query, *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_without_duckdb(log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DuckDB is not installed: one line that says so, with the remedy, and exit code 2."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["sql", "select 1", str(log)]) == 2
    assert capsys.readouterr().err == (
        "mplog: `mplog sql` needs DuckDB, which is not installed; run `pip install duckdb`\n"
    )


class TestWithDuckdb:
    """Queries, where the optional extra is there."""

    @pytest.fixture(autouse=True)
    def duckdb(self) -> Any:
        return pytest.importorskip("duckdb")

    def test_groups(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """`mplog sql "select level, count(*) from log group by 1" FILE`."""
        rows = sql(capsys, "select level, count(*) as n from log group by 1 order by 1", log)
        assert rows == [{"level": "ERROR", "n": 1}, {"level": "INFO", "n": 10}]

    def test_own_fields_are_columns(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each own field is a column of a fitting type; all are in `fields`."""
        rows = sql(capsys, "select max(dur_ms) + 1 as m, count(user) as u, bool_or(ok) as ok from log", log)
        assert rows == [{"m": 14.5, "u": 1, "ok": False}]
        types = {row["column_name"]: row["column_type"] for row in sql(capsys, "describe log", log)}
        assert (types["dur_ms"], types["user"], types["ok"], types["tags"], types["n"]) == (
            "DOUBLE", "VARCHAR", "BOOLEAN", "JSON", "JSON",
        )  # fmt: skip
        assert types["time"] == "TIMESTAMP"

    def test_records_are_whole(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Time, place, seq and exception come through."""
        columns = "time, pid, seq, exc->>'type' as exc, file, line, source"
        query = f"select {columns} from log where level = 'ERROR'"
        assert sql(capsys, query, log) == [
            {"time": "2026-11-22T11:11:11.233456Z", "pid": 100, "seq": 1, "exc": "ValueError",
             "file": "/srv/app/jobs.py", "line": 12, "source": str(log)},
        ]  # fmt: skip

    def test_damaged_lines_are_a_table(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Damaged lines stop nothing and are in the table `damaged`."""
        rows = sql(capsys, 'select line, "offset" > 0 as later from damaged', log)
        assert rows == [{"line": "torn {", "later": True}]

    def test_page_for_people(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Aligned columns; CSV for programs."""
        query = "select process, count(*) as n, null as x from log group by 1 order by 1"
        assert main(["sql", query, str(log)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "process      n  x", "MainProcess  1  -", "W-0          5  -", "W-1          5  -", "3 rows",
        ]  # fmt: skip
        assert main(["sql", "select msg from log", str(log), "-n", "2"]) == 0
        assert capsys.readouterr().out.endswith("the first 2 rows of 11\n")
        assert main(["sql", "select msg, n from log limit 2", str(log), "--csv"]) == 0
        rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
        assert rows == [["msg", "n"], ["step 0", "0"], ["step 1", "1"]]

    def test_wrong_query(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A wrong query is DuckDB's sentence with its caret, and exit code 2."""
        assert main(["sql", "select levl from log", str(log)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("mplog: SQL: ")
        assert "levl" in err
        assert "Traceback" not in err

    def test_no_row(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """No row is exit code 1."""
        assert main(["sql", "select * from log where false", str(log)]) == 1

    def test_text_log(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Whatever the reader understands can be asked."""
        path = tmp_path / "app.log"
        path.write_text("2026-11-22 11:11:11.123 INFO     w[7] app: hello\n")
        rows = sql(capsys, "select process, pid, msg from log", path)
        assert rows == [{"process": "w", "pid": 7, "msg": "hello"}]

    def test_hostile_log(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Names and values that mean something in SQL or to a terminal are only text."""
        bad = "x\"; drop table records; --'\x1b[2J\0"
        sample = SampleLog().add(bad, process=bad, **{bad: bad, "a'/~b": 1, "Time": 2, "A": 3, "a": 4, "": 5})
        sample.add("huge", n=2**70, pid=2**70, f=1e308)
        path = sample.write(tmp_path / "app.log")
        rows = sql(capsys, """select *, "a'/~b" + 1 as two from log""", path)
        assert rows[0]["two"] == 2
        assert rows[0]["msg"] == bad.replace("\0", "\\x00")
        assert rows[1]["pid"] is None
        main(["sql", "select * from log", str(path)])
        assert "\x1b" not in capsys.readouterr().out

    def test_long_records(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A record of 10 MB does not stop it."""
        path = SampleLog().add("x" * 10_000_000).add("y").write(tmp_path / "app.log")
        assert sql(capsys, "select max(length(msg)) as n from log", path) == [{"n": 10_000_000}]
        assert not list(tmp_path.glob("mplog-*"))
