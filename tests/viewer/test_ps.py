"""`mplog ps`: the process tree of a log."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sample_log import SampleLog

import mplog
from mplog.__main__ import main
from mplog._shared import sessions
from mplog._shared.sessions import Found
from mplog._shared.spool import Spool
from mplog.viewer.family import Family
from mplog.viewer.reading import read_records


def ps(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert main(["ps", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)["processes"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sample = SampleLog().add("start", pid=100)
    for number in range(20):
        sample.add(f"step {number}", pid=201 + number % 2, process=f"ForkPoolWorker-{1 + number % 2}")
    sample.add("inner", pid=301, process="Process-1:2")
    sample.add("oh no", pid=201, process="ForkPoolWorker-1", level="ERROR")
    sample.died(201, "ForkPoolWorker-1", records=11, last_msg="oh no")
    sample.died(202, "ForkPoolWorker-2", records=10, signal=None, exitcode=0, event="ended")
    sample.died(203, "ForkPoolWorker-3", records=0, signal=None, exitcode=3, parent=202)
    return sample.write(tmp_path / "app.log")


def test_start_end_and_how(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start, end, exit code or signal, records, last words of whoever died, from records and certificates."""
    found = {p["pid"]: p for p in ps(log, capsys)}
    dead = found[201]
    assert (dead["died"], dead["signal"], dead["end"]) == (True, "SIGKILL", "SIGKILL")
    assert (dead["records"], dead["errors"]) == (11, 1)
    assert (dead["last_msg"], dead["known_by"], dead["parent_pid"]) == ("oh no", "the parent's wait", 100)
    assert dead["started"] == "2026-11-22T11:11:11.123456Z"
    assert dead["ended"] > dead["last"]
    assert (found[202]["died"], found[202]["end"], found[202]["exitcode"]) == (False, "exit 0", 0)
    assert (found[203]["died"], found[203]["end"], found[203]["records"]) == (True, "exit 3", 0)
    assert found[100]["end"] is None


def test_the_listener_has_no_end_to_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """mplog's own listener is named as what it is."""
    sample = SampleLog().add("work").add("a new listener goes on", pid=9, process="mplog", logger="mplog")
    assert main(["ps", str(sample.write(tmp_path / "app.log"))]) == 0
    rows = {row.split()[0]: row for row in capsys.readouterr().out.splitlines() if row}
    assert rows["mplog"].endswith("the listener")
    assert rows["MainProcess"].endswith("no end recorded")


def test_tree(log: Path) -> None:
    """The tree comes from the certificates, else from multiprocessing's names."""
    roots = Family().collect(read_records([str(log)])).roots()
    main_process = next(life for life in roots if life.pid == 100)
    assert [child.pid for child in main_process.children] == [201, 202]
    assert [child.pid for child in main_process.children[1].children] == [203]
    first = main_process.children[0]
    assert [child.pid for child in first.children] == [301], "ForkPoolWorker-1 is Process-1 by its number"
    assert {life.pid for life in roots} == {100, 99}


def test_page_for_people(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tree is drawn, the dead speak."""
    assert main(["ps", str(log), "--utc"]) == 0
    out = capsys.readouterr().out
    assert "6 processes, 2 died" in out
    assert "├─ ForkPoolWorker-1" in out
    assert "└─ ForkPoolWorker-2" in out
    assert "│  └─ Process-1:2" in out
    assert "   └─ ForkPoolWorker-3" in out
    assert "last words: oh no (known by the parent's wait)" in out
    assert "no end recorded" in out
    assert "2026-11-22, UTC" in out


def test_died_only(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--died shows only those that died."""
    assert {p["pid"] for p in ps(log, capsys, "--died")} == {201, 203}


def test_reused_pid_is_another_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pid has a new life after its certificate, and at a new seq 1."""
    sample = SampleLog().several(3, pid=7, process="a").died(7, "a", records=3).restarted(7)
    sample.several(2, pid=7, process="b").restarted(7).several(4, pid=7, process="c")
    found = ps(sample.write(tmp_path / "a.log"), capsys)
    lives = [(p["process"], p["records"], p["end"]) for p in found if p["pid"] == 7]
    assert lives == [("a", 3, "SIGKILL"), ("b", 2, None), ("c", 4, None)]


def test_certificate_and_drops_find_their_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A late certificate goes to the life that it fits, a listener's drop record to whom it is about."""
    sample = SampleLog().several(3, pid=7, process="a").restarted(7).several(5, pid=7, process="b")
    sample.died(7, "a", records=3).dropped_by_dead(4, pid=7, process="b", first=6, last=9)
    found = ps(sample.write(tmp_path / "a.log"), capsys)
    lives = [(p["process"], p["records"], p["end"], p["dropped"]) for p in found if p["pid"] == 7]
    assert lives == [("a", 3, "SIGKILL", 0), ("b", 5, None, 4)]


def test_text_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A text log tells processes and deaths as well."""
    path = tmp_path / "app.log"
    path.write_text(
        "2026-11-22 11:11:11.123 INFO     worker[7] app.jobs: step 1\n"
        "2026-11-22 11:11:12.000 ERROR    mplog[99] mplog: "
        "worker[7] died: SIGSEGV (signal 11) after 1 record; last: step 1\n"
    )
    worker = ps(path, capsys)[0]
    assert (worker["process"], worker["signal"], worker["last_msg"]) == ("worker", "SIGSEGV", "step 1")


def test_circle_of_parents_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Certificates that contradict each other cost no endless loop."""
    sample = SampleLog().died(7, "a", records=0, parent=8).died(8, "b", records=0, parent=7)
    sample.died(9, "c", records=0, parent=9)
    assert {p["pid"] for p in ps(sample.write(tmp_path / "a.log"), capsys)} == {7, 8, 9, 99}


def test_no_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to show is exit code 1."""
    path = tmp_path / "app.log"
    path.write_text("INFO:root:hello\n")
    assert main(["ps", str(path)]) == 1


def test_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in names, messages and dumps are escaped."""
    sample = SampleLog().add(process="\x1b[2J", pid=7)
    sample.died(7, "\x1b[2J", records=1, last_msg="\x1b]0;x\x07\r")
    main(["ps", str(sample.write(tmp_path / "a.log"))])
    assert not {"\x1b", "\r", "\x07"} & set(capsys.readouterr().out)


def test_without_a_name_running_sessions_are_shown(tmp_path: Path) -> None:
    """Named nothing and piped nothing, as in a cron job too, it shows the running sessions."""
    path = tmp_path / "app.json"
    command = [sys.executable, "-m", "mplog", "ps"]
    with mplog.setup(path, console=False):
        shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        piped = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    assert str(path) in shown.stdout
    assert "MainProcess" in shown.stdout
    assert piped.stdout.startswith("0 processes")


def test_a_session_that_ends_meanwhile_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is gone by the time it is looked at is passed over; one whose log cannot be read is said."""
    unreadable = tmp_path / "a directory"
    unreadable.mkdir()
    gone = Spool(str(tmp_path / "gone"))
    ended = [Found(gone, {"config": {"file": file}}) for file in (None, str(tmp_path / "no.log"), str(unreadable))]
    monkeypatch.setattr(sys, "stdin", None)
    with mplog.setup(tmp_path / "app.json", console=False) as session:
        logging.getLogger("app").warning("here")
        session.flush()
        found = [*ended, sessions.find(str(session.spool))]
        monkeypatch.setattr(sessions, "live", lambda: found)
        assert main(["ps"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{tmp_path / 'app.json'}\n")
    assert "MainProcess" in shown.out
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith(f"mplog: {unreadable}: no log in this directory")
