"""A log counted in parts, on all cores, gives what its records give one by one."""

from __future__ import annotations

import json
import random
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_log import SampleLog, exception
from viewer_command import mplog

from mplog.viewer import folding, stats, walk
from mplog.viewer.family import Family
from mplog.viewer.output import Progress
from mplog.viewer.reading import Source
from mplog.viewer.scan import Plan
from mplog.viewer.stats import Stats, Tally, report
from mplog.viewer.templates import Templates, _masked, mask, masks
from mplog.viewer.walk import forward

ODD: list[dict[str, Any]] = [
    {"levelno": 45}, {"levelno": "x"}, {"levelno": None}, {"level": "NOTICE"}, {"level": 30}, {"pid": None},
    {"pid": "7"}, {"pid": 1.0}, {"pid": True}, {"pid": 2**70}, {"line": None}, {"line": "3"}, {"line": 3.0},
    {"time": "2026-11-22T11:11:11Z"}, {"time": "2026-11-22T12:11:11.1+01:00"}, {"time": "2026-02-30T11:11:11.000000Z"},
    {"time": "never"}, {"time": "2150-01-01T00:00:00.000000Z"}, {"time": "1969-12-31T23:59:59.500000Z"}, {"time": None},
    {"msg": None}, {"msg": "two\nlines"}, {"msg": "0x12 and 1x12"}, {"msg": "0X1F"}, {"msg": "x" * 600}, {"msg": ""},
    {"msg": "é ü 3"}, {"exc": None}, {"exc": "text"}, {"exc": exception()}, {"process": ""}, {"process": 5},
    {"logger": "mplog", "event": "dropped", "dropped": 3}, {"logger": "mplog", "event": "dropped", "dropped": "3"},
    {"logger": "mplog", "event": "died"}, {"logger": None}, {"seq": None}, {"seq": "9"}, {"seq": 1},
    {"own": [1, {"seq": 2}]}, {"file": ""},
]  # fmt: skip
RAW = [
    b"", b"   ", b"plain words", b"{", b"}", b"{}", b"[1]", b"\0\0\0", b"\xff\xfe",
    b'{"time":"2026-11-22T11:11:11.000000Z"',
    b"2026-11-22 11:11:11.123 ERROR    W-1[12] app.jobs: text among JSON", b"    indented", b'{"a":{', b'{"b":1}}',
    b'{"level":"info","time":1795345871.5,"msg":"pino","hostname":"h"}', b'{"time":"x","level":"y","msg":"\xff"}',
    b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"a","seq":1,"level":"ERROR","pid":7}',
    b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"a","pid":7,"seq":1,"big":1e999}',
    b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"a","pid":7,"seq":1,"long":' + b"1" * 5000 + b"}",
    b' {"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"led by a blank","pid":7,"seq":1}',
    b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"carriage return","pid":7,"seq":1}\r',
]  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Draw a log: mostly mplog's own lines, of a few processes that end and begin anew."""
    sample = SampleLog()
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 60))):
        pid = chance.randrange(1, 5)
        what = chance.random()
        if what < 0.03:
            sample.died(pid, f"W-{pid}", records=3, last_seq=sample.seqs.get(pid, 0))
        elif what < 0.06:
            sample.restarted(pid)
        else:
            text = chance.choice(["job %d done", "user anna%d in", "%d.%d s in /var/x/%d", "id deadbeef%d"])
            level = chance.choice(["DEBUG", "INFO", "WARNING", "ERROR"])
            sample.add(
                text.replace("%d", str(chance.randrange(10**6))), pid=pid, process=f"W-{pid}", level=level,
                line=chance.randrange(3), logger=chance.choice(["a", "b"]),
            )  # fmt: skip
    lines = [line.encode() for line in sample.lines]
    for at in draw(st.lists(st.integers(0, len(lines) - 1), max_size=3, unique=True)) if lines else ():
        odd = {**json.loads(lines[at]), **draw(st.sampled_from(ODD))}
        lines[at] = json.dumps(odd, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode()
    for raw in draw(st.lists(st.sampled_from(RAW), max_size=3)):
        lines.insert(chance.randrange(len(lines) + 1), raw)
    return b"\n".join(lines) + (b"\n" if draw(st.booleans()) else b"")


def one_by_one(target: Any, path: Path) -> Any:
    target.collect(chain.from_iterable(forward(Source(str(path), (str(path),)), Plan())))
    return target


def in_parts(target: Any, path: Path) -> Any:
    folding.fold(target, Source(str(path), (str(path),)), "auto", Progress(1, shown=False))
    return target


def facts(target: Any) -> object:
    """Return everything that a summary can show."""
    if isinstance(target, Stats):
        return report(target, 10**6), target.timeline.width, target.templates.others, target.sites.others
    target.roots()
    return [msgspec.structs.asdict(msgspec.structs.replace(life, children=[])) for life in target.lives]


@pytest.fixture(params=[1 << 19, 700])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks as they are, and so small that every log has several of them and of the parts."""
    if request.param < 1000:
        monkeypatch.setattr(folding, "_BLOCK", 5 * request.param)
        monkeypatch.setattr(walk, "BLOCK", request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("make", [Stats, Family])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs())
def test_counted_in_parts_is_counted_one_by_one(make: Any, data: bytes, tmp_path: Path) -> None:
    """`stats` and `ps` are several times faster in parts, and the results are identical."""
    path = tmp_path / "app.json"
    path.write_bytes(data)
    assert facts(in_parts(make(), path)) == facts(one_by_one(make(), path))


@pytest.mark.parametrize("odd", [*ODD, *RAW], ids=lambda odd: repr(odd)[:40])
def test_an_odd_line_changes_nothing(odd: Any, tmp_path: Path) -> None:
    """Every odd line by itself, in the middle of a log, at its beginning and at its end."""
    lines = [line.encode() for line in SampleLog().several(9, pid=7, process="w").lines]
    for at in (0, 5, 9):
        line = odd if isinstance(odd, bytes) else json.dumps({**json.loads(lines[5]), **odd}).encode()
        path = tmp_path / "app.json"
        path.write_bytes(b"\n".join([*lines[:at], line, *lines[at:]]) + b"\n")
        for make in (Stats, Family):
            assert facts(in_parts(make(), path)) == facts(one_by_one(make(), path)), at


def test_several_processes_count_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files are counted on all cores; the blocks come together in the order of the file."""
    monkeypatch.setattr(folding, "LARGE", 0)
    monkeypatch.setattr(folding, "_BLOCK", 20_000)
    monkeypatch.setenv("MPLOG_JOBS", "3")
    path = _varied(tmp_path / "app.json")
    for make in (Stats, Family):
        merged: list[bool] = []

        class Watched(make):  # type: ignore[misc, valid-type]
            def merge(self, packed: Any, merged: list[bool] = merged) -> bool:
                merged.append(super().merge(packed))
                return merged[-1]

        assert facts(in_parts(Watched(), path)) == facts(one_by_one(make(), path))
        assert merged.count(True) > 9


def test_where_bounds_are_met_the_order_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the bounds of memory is counted one by one: the same again."""
    path = _varied(tmp_path / "app.json")
    monkeypatch.setattr(folding, "_BLOCK", 20_000)
    monkeypatch.setattr(stats, "Tally", lambda: Tally(8))
    monkeypatch.setattr(stats, "Templates", lambda: Templates(limit=4))
    found = facts(in_parts(Stats(), path))
    assert found == facts(one_by_one(Stats(), path))
    assert found[2] > 0, "the limit is met"  # type: ignore[index]


def _varied(path: Path) -> Path:
    log = SampleLog()
    for number in range(3000):
        pid = 200 + number % 7 + number // 1000 * 10
        own = {"exc": exception()} if number % 50 == 3 else {"n": number}
        level = "ERROR" if number % 50 == 3 else "INFO"
        log.add(
            f"word{chr(97 + number // 300)} {number} of x",
            pid=pid,
            process=f"W-{pid}",
            level=level,
            line=number % 5,
            **own,
        )
        if number % 400 == 399:
            log.died(pid, f"W-{pid}", records=9).restarted(pid)
    return log.write(path)


def test_the_command_says_the_same(tmp_path: Path) -> None:
    """`mplog stats` and `mplog ps` of a file, in parts, and of standard input, one by one."""
    path = _varied(tmp_path / "app.json")
    for command in ("stats", "ps"):
        of_file = mplog(command, path, "--json")
        assert of_file.code == 0
        assert mplog(command, "-", "--json", stdin=path.read_bytes()) == of_file


def test_a_file_of_another_kind_is_read_one_by_one(tmp_path: Path) -> None:
    """Only plain files of mplog's JSON are counted in parts."""
    text = tmp_path / "app.log"
    text.write_text("2026-11-22 11:11:11.123 INFO     w[7] app: hello\n")
    own = SampleLog().add().write(tmp_path / "app.json")
    packed = tmp_path / "app.json.gz"
    packed.write_bytes(b"")
    fit = {
        path.name: folding.fits([Source(str(path), (str(path),))], "auto")
        for path in (text, own, packed, tmp_path / "none")
    }
    assert fit == {"app.log": False, "app.json": True, "app.json.gz": False, "none": False}
    assert not folding.fits([Source("-", ("-",))], "auto")
    assert not folding.fits([Source(str(own), (str(own),))], "text")


@given(st.lists(st.text() | st.from_regex(r"[a-f0-9x\-.:/ \n]{0,40}", fullmatch=True), max_size=5))
def test_masks_of_many_messages(messages: list[str]) -> None:
    """A mask depends on the shape of a message: no digit counts but the 0 of 0x."""
    expected = [_masked(message[:500].partition("\n")[0]) for message in messages]
    assert masks(messages) == expected
    assert [mask(message) for message in messages] == expected
