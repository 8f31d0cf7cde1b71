"""`mplog stats`: counts and rates, histogram, templates, call sites."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_log import SampleLog, exception

from mplog.__main__ import main
from mplog.viewer.stats import Tally
from mplog.viewer.tables import Page, columns, cut, duration
from mplog.viewer.templates import Templates, mask
from mplog.viewer.timeline import Timeline, draw


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sample = SampleLog()
    for number in range(90):
        pid = 101 + number % 3
        sample.add(f"order {number} paid by user{number * 7}", pid=pid, process=f"Worker-{pid}", line=20)
    for number in range(9):
        slow = {"level": "WARNING", "logger": "app.db", "line": 30}
        sample.add(f"slow query {number}", pid=101, process="Worker-101", **slow)
    sample.add("no route", pid=102, process="Worker-102", level="ERROR", logger="app.net", exc=exception())
    sample.dropped(5, pid=101, process="Worker-101", first=1, last=5)
    sample.died(103, "Worker-103", records=30)
    sample.lines.append("torn {")
    return sample.write(tmp_path / "app.log")


def stats(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert main(["stats", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_counts(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts and rates by level, process and logger; drops, deaths, exceptions and damaged lines."""
    found = stats(log, capsys)
    assert found["records"] == 102
    assert found["levels"] == {"ERROR": 2, "WARNING": 10, "INFO": 90}
    processes = {p["process"]: (p["records"], p["warnings"], p["errors"]) for p in found["processes"]}
    assert processes["Worker-101"] == (40, 10, 0)
    assert processes["Worker-102"] == (31, 0, 1)
    assert {logger["logger"]: logger["records"] for logger in found["loggers"]}["app.db"] == 9
    assert (found["exceptions"], found["dropped"], found["deaths"], found["damaged"]) == (1, 5, 1, 1)
    assert found["seconds"] == pytest.approx(1.01)
    assert found["per_second"] == pytest.approx(102 / 1.01)


def test_templates_and_sites(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages that differ in numbers and ids are one template; call sites are ranked by what they wrote."""
    found = stats(log, capsys)
    first, second = found["templates"][:2]
    assert (first["template"], first["records"], first["level"]) == ("order <n> paid by user<n>", 90, "INFO")
    assert (second["template"], second["records"], second["level"]) == ("slow query <n>", 9, "WARNING")
    site = found["sites"][0]
    assert (site["file"], site["line"], site["func"], site["records"]) == ("/srv/app/jobs.py", 20, "work", 90)


def test_histogram_adds_up(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The histogram counts every record with a time."""
    found = stats(log, capsys)
    assert sum(bucket["records"] for bucket in found["histogram"]) == 102
    assert sum(bucket["errors"] for bucket in found["histogram"]) == 2


def test_page_for_people(log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Text a person likes to look at: aligned columns, block characters, nothing wider than the terminal."""
    monkeypatch.setenv("COLUMNS", "72")
    assert main(["stats", str(log), "--utc"]) == 0
    out = capsys.readouterr().out
    assert "102 records in 1.0 s, 101/s" in out
    assert "1 exception, 1 death, 5 dropped records, 1 damaged line" in out
    assert "█" in out
    assert "2026-11-22 11:11:11" in out
    assert "order <n> paid by user<n>" in out
    assert "\x1b" not in out
    assert max(map(columns, out.splitlines()[1:])) <= 72
    rates = [line.index("/s") for line in out.splitlines() if line.startswith("  Worker-")]
    assert len(rates) == 3
    assert len(set(rates)) == 1


def test_colours_on_request(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Colours only on a terminal, or where asked for."""
    main(["stats", str(log), "--color", "always"])
    assert "\x1b[31m" in capsys.readouterr().out


def test_selection(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The options that select, and FIELD=VALUE, are those of `mplog view`."""
    assert stats(log, capsys, "-q", "level>=warning")["records"] == 12
    assert stats(log, capsys, "-S", "2026-11-22T11:11:12.05Z")["records"] == 10
    assert stats(log, capsys, "-U", "2026-11-22T11:11:12.05Z")["records"] == 92
    assert stats(log, capsys, "-l", "e")["records"] == 2
    assert stats(log, capsys, "-p", "*-102", "-G", "order")["records"] == 1
    assert stats(log, capsys, "logger=app.db")["records"] == 9
    assert main(["stats", str(log), "-q", "level >"]) == 2
    assert "^" in capsys.readouterr().err


def test_nothing_to_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty match is exit code 1, without a traceback."""
    path = tmp_path / "app.log"
    path.write_text("")
    assert main(["stats", str(path)]) == 1
    assert "0 records" in capsys.readouterr().out


def test_plain_text_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logs of other programs are counted as well; templates then group by logger and likeness."""
    path = tmp_path / "plain.log"
    path.write_text("".join(f"2026-11-22 11:11:11,{n:03d} INFO job {n} took {n} ms\n" for n in range(50)))
    found = stats(path, capsys)
    assert (found["records"], len(found["templates"])) == (50, 1)


def test_hostile_messages_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escaped on the way out, in every table."""
    bad = "\x1b[2J\r‮"
    sample = SampleLog().add(bad, process=bad, logger=bad, level=bad, file=bad, func=bad)
    path = sample.write(tmp_path / "a.log")
    main(["stats", str(path)])
    out = capsys.readouterr().out
    assert not set("\x1b\r‮") & set(out)


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("user 12 paid 3.50", "user <n> paid <n>"),
        ("job 4f2a9c1e-77aa-4c1b-9d0e-000000000012 done", "job <id> done"),
        ("cannot open /var/lib/app/12.bin: ENOENT", "cannot open <path>: ENOENT"),
        ("10.0.0.7:443 closed", "<ip> closed"),
        ("at 0x7f3a2c hash deadbeef0123", "at <hex> hash <hex>"),
        ("since 2026-11-22T11:11:11.123Z", "since <time>"),
        ("first line 1\nsecond", "first line <n>"),
        ("a/b and effaced", "a/b and effaced"),
        ("", ""),
    ],
)
def test_mask(message: str, masked: str) -> None:
    """Numbers, ids and paths are replaced by their kind, words are not."""
    assert mask(message) == masked


def test_words_become_wildcards() -> None:
    """At one call site, messages that differ in a word or two are one template."""
    templates = Templates()
    for name in ("anna", "ben", "carla"):
        templates.add(f"user {name} has logged in", ("a.py", 1, "f"), "INFO")
    templates.add("user dora has logged in", ("b.py", 1, "f"), "INFO")
    assert [(t.text(), t.count) for t in templates.top(9)] == [
        ("user <*> has logged in", 3),
        ("user dora has logged in", 1),
    ]


def test_templates_are_bounded() -> None:
    """Memory stays bounded whatever the messages are; what is not kept is counted."""
    templates = Templates(limit=10)
    for number in range(100):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        templates.add(f"{word} {word}x {word}y", "logger", "INFO")
    assert len(templates) == 10
    assert templates.others == 90


def test_tally_is_bounded() -> None:
    """The rarest keys are added up."""
    tally = Tally(limit=10)
    for number in range(100):
        tally.add("often", 0)
        tally.add(number, 2)
    assert len(tally.counts) <= 10
    assert tally.counts["often"] == [100, 0, 0]
    assert sum(sum(counts) for counts in tally.counts.values()) + tally.others == 200


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=60), st.integers(2, 200))
def test_timeline_counts_everything_and_fits(moments: list[float], count: int) -> None:
    """The histogram fits the terminal and loses nothing, whatever the span of time."""
    timeline = Timeline(most=30)
    for moment in moments:
        timeline.add(moment, 20)
    start, step, found = timeline.columns(count)
    assert len(found) <= count
    assert sum(map(sum, found)) == len(moments)
    assert start <= min(moments) + 0.001
    assert max(moments) <= start + step * len(found)


def test_drawing_without_blocks() -> None:
    """A stream that cannot show block characters gets plain ones."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    timeline = Timeline()
    for second in range(30):
        timeline.add(1.7e9 + second, 40 if second == 3 else 20)
    draw(timeline, Page(stream, utc=True))
    stream.seek(0)
    assert "#" in stream.read()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (12.34, "12.3 s"), (200, "3 min 20 s"), (18720, "5 h 12 min"), (273600, "3 d 4 h")],
)
def test_duration(seconds: float, text: str) -> None:
    """Spans of time are written as a person says them."""
    assert duration(seconds) == text


@given(st.text(), st.integers(1, 20))
def test_cut_fits(text: str, width: int) -> None:
    """A cell is never wider than its column, also with wide characters."""
    assert columns(cut(text, width)) <= width
