"""`mplog check`: what a log proves about itself."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import SampleLog

from mplog.__main__ import main
from mplog.viewer.lives import Drop, Ledger, LedgerLine, Life


def check(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["check", str(path), "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def three_workers() -> SampleLog:
    log = SampleLog().add("start")
    for number in range(60):
        log.add(f"step {number} done", pid=101 + number % 3, process=f"ForkPoolWorker-{1 + number % 3}")
    return log


def test_complete_log_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`mplog check FILE` prints the ledger per process and exits 0 where nothing is missing."""
    path = three_workers().write(tmp_path / "app.log")
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "61 records of 4 processes" in out
    assert "produced 61 = written 61 + dropped 0\n" in out
    assert "\ncomplete\n" in out
    assert "\x1b" not in out


def test_the_listener_needs_no_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody reports the end of mplog's own listener, and nothing is unknown for that."""
    log = SampleLog().add("work").add("ended", pid=9, process="mplog", logger="mplog", event="ended", died_pid=100)
    path = log.write(tmp_path / "app.log")
    assert check(path, capsys)[1]["unknown"] == []
    assert main(["check", str(path)]) == 0
    assert "the listener" in capsys.readouterr().out
    log.add("a process of this name", pid=10, process="mplog").write(path)
    assert len(check(path, capsys)[1]["unknown"]) == 1


@pytest.mark.parametrize("victim", [1, 17, 40])
def test_one_missing_line_is_found(victim: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`mplog check` exits 1 if anything is missing, and names the seq."""
    log = three_workers()
    lost = json.loads(log.lines.pop(victim))
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert code == 1
    assert (report["missing"], report["written"], report["produced"]) == (1, 60, 61)
    gaps = {p["pid"]: p["gaps"] for p in report["processes"] if p["missing"]}
    assert gaps == {lost["pid"]: [[lost["seq"], lost["seq"]]]}


def test_gap_is_shown_with_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report for a person names process, seqs and the times around a gap."""
    log = SampleLog().several(5, pid=7, process="worker").several(5, pid=7, process="worker", skip=2)
    path = log.write(tmp_path / "app.log")
    assert main(["check", str(path), "--utc"]) == 1
    out = capsys.readouterr().out
    before, after = (json.loads(line)["time"][:23].replace("T", " ") for line in log.lines[4:6])
    assert f"worker[7]: seq 6–7 missing, between {before} and {after}" in out
    assert "NOT COMPLETE: 10 records missing" in out


def test_duplicate_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that is there twice makes the check fail: the promise is exactly once."""
    log = three_workers()
    log.lines.append(log.lines[20])
    log.lines.insert(30, log.lines[1])
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["duplicates"], report["missing"]) == (1, 2, 0)


def test_batch_written_twice_is_no_new_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole batch repeated, seq 1 included, is duplicates and not a reused pid."""
    log = SampleLog().several(10, pid=5)
    log.lines += log.lines
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["duplicates"], len(report["processes"])) == (1, 10, 1)


def test_disorder_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record behind a later one of its process is disorder: said, and an error only with --strict."""
    log = three_workers()
    log.lines.append(log.lines.pop(12))
    path = log.write(tmp_path / "app.log")
    code, report = check(path, capsys)
    assert (code, report["disorder"], report["missing"], report["duplicates"]) == (0, 1, 0, 0)
    assert check(path, capsys, "--strict")[0] == 1


def test_drops_balance_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """produced == written + dropped: what a drop record accounts for is not missing."""
    log = SampleLog().several(10, pid=7, process="worker")
    log.seqs[7] = 51
    log.dropped(41, pid=7, process="worker", first=11, last=51).several(5, pid=7, process="worker")
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert code == 0
    assert (report["produced"], report["written"], report["dropped"], report["missing"]) == (57, 16, 41, 0)


def test_interleaved_drops_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between the first and the last dropped seq some records may be present; the count rules."""
    log = SampleLog().several(10, pid=7).several(1, pid=7, skip=3).several(1, pid=7, skip=2)
    log.dropped(5, pid=7, process="MainProcess", first=11, last=16)
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["dropped"], report["missing"]) == (0, 5, 0)


@pytest.mark.parametrize(("claimed", "missing", "failed"), [(40, 1, "missing"), (42, 0, "claim")])
def test_wrong_drop_count_is_found(
    claimed: int, missing: int, failed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ledger and drop records must agree, in both directions."""
    log = SampleLog().several(10, pid=7)
    log.seqs[7] = 51
    log.dropped(claimed, pid=7, process="MainProcess", first=11, last=51)
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["missing"]) == (1, missing)
    assert failed in report["failures"][0]


def test_lost_tail_is_found_by_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A death certificate tells the last seq; what lies between it and the last record is missing."""
    log = SampleLog().add("start").several(8, pid=7, process="worker").died(7, "worker", records=10)
    path = log.write(tmp_path / "app.log")
    code, report = check(path, capsys)
    assert (code, report["missing"]) == (1, 2)
    dead = next(p for p in report["processes"] if p["pid"] == 7)
    assert (dead["end"], dead["gaps"], dead["last_seq"]) == ("SIGKILL", [[9, 10]], 10)
    main(["check", str(path)])
    assert "worker[7]: at the end, seq 9–10 missing" in capsys.readouterr().out


def test_process_without_a_single_record_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate for a process none of whose records is there tells of them all."""
    log = SampleLog().several(3)
    log.died(7, "worker", records=4, started=log.stamp())
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["missing"]) == (1, 4)


def test_drops_of_a_dead_process_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a process dropped last and could not report, the listener does: it is in no gap, and not missing."""
    log = SampleLog().add("start").several(8, pid=7, process="worker")
    log.dropped_by_dead(5, pid=7, process="worker", first=9, last=13).died(7, "worker", records=8)
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["produced"], report["dropped"], report["missing"]) == (0, 16, 5, 0)
    dead = next(p for p in report["processes"] if p["pid"] == 7)
    assert (dead["last_seq"], dead["dropped"], dead["end"]) == (13, 5, "SIGKILL")


def test_certificate_that_comes_after_the_pid_was_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A certificate goes to the life whose last seq it tells, also where the pid has a new life by then."""
    log = SampleLog().add("x").several(8, pid=7, process="a").restarted(7).several(3, pid=7, process="b")
    log.died(7, "a", records=8).several(3, pid=7, process="b")
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["missing"]) == (0, 0)
    lives = [(p["process"], p["written"], p["end"]) for p in report["processes"] if p["pid"] == 7]
    assert lives == [("a", 8, "SIGKILL"), ("b", 6, None)]


def test_reused_pid_is_a_new_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new seq 1 for the same pid is a new process, with or without a certificate in between."""
    log = SampleLog().several(5, pid=7, process="a").restarted(7).several(3, pid=7, process="b")
    log.died(7, "b", records=3).restarted(7).several(4, pid=7, process="c")
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert code == 0
    lives = [(p["process"], p["written"]) for p in report["processes"] if p["pid"] == 7]
    assert lives == [("a", 5), ("b", 3), ("c", 4)]


def test_reused_pid_that_lost_its_first_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the certificate of a pid, seq 2 begins a new life whose seq 1 is missing."""
    log = SampleLog().add("x").several(5, pid=7, process="a").died(7, "a", records=5).restarted(7)
    log.add(pid=7, process="b", skip=1)
    code, report = check(log.write(tmp_path / "app.log"), capsys)
    assert (code, report["missing"], report["duplicates"]) == (1, 1, 0)


def test_truncated_start_is_said_and_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was rotated away is said, not an error unless --strict."""
    log = three_workers()
    del log.lines[:25]
    path = log.write(tmp_path / "app.log")
    code, report = check(path, capsys)
    assert (code, report["missing"]) == (0, 0)
    assert report["before_start"] == 24  # the parent's one record left no trace
    assert any("rotated away" in sentence for sentence in report["unknown"])
    assert check(path, capsys, "--strict")[0] == 1


def test_rotated_set_is_one_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where app.log.1 exists the rotated files are read too, oldest first, compressed or not."""
    lines = [line + "\n" for line in three_workers().lines]
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress("".join(lines[:20]).encode()))
    (tmp_path / "app.log.1").write_text("".join(lines[20:40]))
    path = tmp_path / "app.log"
    path.write_text("".join(lines[40:]))
    code, report = check(path, capsys)
    assert (code, report["records"], report["before_start"], len(report["files"])) == (0, 61, 0, 3)
    (tmp_path / "app.log.1").write_text("".join(lines[20:30] + lines[31:40]))
    assert check(path, capsys)[1]["missing"] == 1
    code = main(["check", str(path), str(tmp_path / "app.log.1"), "--json"])
    assert isinstance(json.loads(capsys.readouterr().out), dict), "the rotated file is part of the first log"


def test_damaged_lines_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged lines are counted with their place; the whole record behind a torn one is not lost."""
    log = three_workers()
    log.lines[30] = log.lines[30][:40] + log.lines[31]
    del log.lines[31]
    log.lines.insert(10, "\0\0garbage")
    path = log.write(tmp_path / "app.log")
    code, report = check(path, capsys)
    assert (code, report["damaged"], report["missing"]) == (1, 2, 1)
    main(["check", str(path)])
    assert f"2 damaged lines: {path} at byte" in capsys.readouterr().out


def test_text_file_says_what_it_cannot_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text carries no seq: the check counts, uses certificates, and says what it cannot know."""
    path = tmp_path / "app.log"
    head = "2026-11-22 11:11:11.123 INFO     worker[7] app.jobs: step"
    death = (
        "2026-11-22 11:11:12.000 ERROR    mplog[99] mplog: "
        "worker[7] died: SIGKILL (signal 9) after 10 records; last: step 9\n"
    )
    path.write_text("".join(f"{head} {n}\n    more\n" for n in range(10)) + death)
    code, report = check(path, capsys)
    assert (code, report["without_seq"]) == (0, 11)
    assert "cannot be seen" in report["unknown"][0]
    path.write_text("".join(f"{head} {n}\n" for n in range(9)) + death)
    assert check(path, capsys)[0] == 1
    assert main(["check", str(path)]) == 1
    assert "1 record missing (by death certificates)" in capsys.readouterr().out


def test_input_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--input reads a log with a format string of its own."""
    path = tmp_path / "app.log"
    path.write_text("worker/7/INFO/step 1\nworker/7/INFO/step 2\n")
    layout = "%(processName)s/%(process)d/%(levelname)s/%(message)s"
    _, report = check(path, capsys, "--input", layout)
    assert [(p["process"], p["pid"], p["records"]) for p in report["processes"]] == [("worker", 7, 2)]


def test_foreign_json_is_no_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON of another program has no seq: said, not failed."""
    path = tmp_path / "other.jsonl"
    path.write_text('{"ts":1,"level":"info","message":"x"}\n{"time":"2026-11-22T11:11:11Z","level":"INFO","pid":"x"}\n')
    code, report = check(path, capsys)
    assert (code, report["without_seq"], report["damaged"]) == (0, 2, 0)
    assert check(path, capsys, "--strict")[0] == 1


def test_empty_file_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty log misses nothing."""
    path = tmp_path / "app.log"
    path.touch()
    assert check(path, capsys)[0] == 0


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such file: one line on stderr and exit code 2."""
    assert main(["check", str(tmp_path / "none.log")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "none.log" in err


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a log are escaped on the way out."""
    path = SampleLog().add(process="\x1b]0;x\x07‮").add(process="x", skip=1).write(tmp_path / "app.log")
    main(["check", str(path), "--color", "never"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b]0;x\\x07\\u202e" in out


def test_thousands_of_processes_fit_on_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With many processes the troubled ones are listed, and --all lists every one."""
    log = SampleLog()
    for pid in range(1000, 1500):
        log.add(pid=pid, process=f"w{pid}")
    log.add(pid=1234, process="w1234", skip=1)
    path = log.write(tmp_path / "app.log")
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "... and 499 processes without trouble (--all lists them)" in out
    main(["check", str(path), "--all"])
    assert "w1499" in capsys.readouterr().out


def _line(seq: int, time: str = "t", **fields: Any) -> LedgerLine:
    return LedgerLine(time=time, level="INFO", process="w", pid=1, seq=seq, **fields)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ledger_equals_a_set(data: st.DataObject) -> None:
    """For any order, loss and doubling, the ledger says what a set of all seqs would say."""
    produced = data.draw(st.integers(1, 60))
    lost = data.draw(st.sets(st.integers(2, produced))) if produced > 1 else set()
    left = [seq for seq in range(2, produced + 1) if seq not in lost]
    twice = data.draw(st.lists(st.sampled_from(left), max_size=5)) if left else []
    rest = left + twice
    random.Random(data.draw(st.integers(0, 999))).shuffle(rest)
    ledger = Ledger()
    ledger.enter([_line(seq) for seq in [1, *rest]])
    (life,) = ledger.lives
    top = max([1, *left])
    account = life.account(rotated=False, since="")
    assert account.written == 1 + len(left)
    assert life.duplicates == len(twice)
    assert account.missing == len([seq for seq in lost if seq < top])
    assert {seq for a, b in account.ranges for seq in range(a, b + 1)} == {seq for seq in lost if seq < top}


@given(st.sets(st.integers(1, 40)), st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=4))
def test_books_always_balance(present: set[int], spans: list[tuple[int, int]]) -> None:
    """produced == written + dropped + missing, whatever the drop records claim."""
    life = Life("w", 1, "t")
    for seq in sorted(present):
        life.see(seq, "t")
    life.drops = [Drop(first, first + size, size + 1) for first, size in spans]
    for rotated in (False, True):
        account = life.account(rotated=rotated, since="")
        assert account.produced == account.written + account.dropped + account.missing
        assert account.written == len(present)
        assert account.missing >= 0


def test_two_lives_of_one_pid_at_once() -> None:
    """Two interpreters of one process, or two containers, share a pid: each continues its own count."""
    ledger = Ledger()
    ledger.enter([_line(n, "a") for n in (1, 2, 3)] + [_line(n, "b") for n in (1, 2)])
    ledger.enter([_line(4, "c"), _line(3, "d")])
    assert [life.next for life in ledger.lives] == [5, 4]
    assert not any(list(life.gaps()) for life in ledger.lives)
