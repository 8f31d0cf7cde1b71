"""Context lines: found by bytes, only matches and their neighbours decoded, and the same as when every line is."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_log import SampleLog
from test_folding import logs
from viewer_command import mplog

from mplog.viewer import neighbours, walk
from mplog.viewer.conditions import All
from mplog.viewer.context import Context
from mplog.viewer.output import Progress
from mplog.viewer.query import parse
from mplog.viewer.reading import Source
from mplog.viewer.scan import Plan
from mplog.viewer.selection import Selection
from mplog.viewer.walk import forward

Shown = list[list[tuple[int, str, bool]]]


def plain(data: bytes) -> bool:
    """Say whether levels are as mplog writes them: once, behind a time in UTC, and not overruled by a number."""
    return all(
        line.count(b'"level":') == line.count(b'Z","level":"') and b'"levelno":45' not in line
        for line in data.split(b"\n")
    )


def groups(path: Path, query: str, before: int, after: int, by: str, *, by_bytes: bool) -> Shown | None:
    """Return offset, message and whether it matched, of every record of every group."""
    selection = Selection(All((parse(query),)))
    plan = Plan(selection, every_record=True, show_damaged=False)
    predicate = selection.predicate()
    assert predicate is not None
    context = Context(before, after, by, predicate)
    source = Source(str(path), (str(path),))
    if by_bytes:
        found = neighbours.groups(source, plan, context, Progress(1, shown=False))
        if found is None:
            return None
    else:
        records = chain.from_iterable(forward(source, plan))
        found = chain(chain.from_iterable(map(context.feed, records)), context.finish())
    return [[(record.offset, record.msg, matched) for record, matched in group] for group in found]


@pytest.mark.parametrize("block", [1 << 19, 600])
@pytest.mark.parametrize("by", ["process", "thread", "time"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=logs().filter(plain),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    query=st.sampled_from(["level>=error", "msg~job"]),
)
def test_the_same_as_of_every_record(
    by: str, block: int, data: bytes, before: int, after: int, query: str, tmp_path: Path
) -> None:
    """-A, -B, -C with a condition: the groups of a log read by bytes are those of its records."""
    path = tmp_path / "app.json"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "BLOCK", block)
        found = groups(path, query, before, after, by, by_bytes=True)
        if found is not None:
            assert found == groups(path, query, before, after, by, by_bytes=False)


def test_only_neighbours_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the matches and their neighbours become records."""
    log = SampleLog()
    for number in range(2000):
        level = "ERROR" if number % 500 == 250 else "INFO"
        log.add(f"m{number}", pid=number % 3, process=f"W-{number % 3}", level=level)
    path = log.write(tmp_path / "app.json")
    decoded = []
    plain = neighbours.decode_own
    monkeypatch.setattr(neighbours, "decode_own", lambda *args: decoded.append(args) or plain(*args))
    found = groups(path, "level>=error", 2, 1, "process", by_bytes=True)
    assert found is not None
    assert [[message for _, message, _ in group] for group in found[:1]] == [["m244", "m247", "m250", "m253"]]
    assert len(decoded) == 3 * len(found) == 12


def test_rotated_files_share_their_context(tmp_path: Path) -> None:
    """The neighbours of a match may lie in the file before."""
    log = SampleLog().add("before").add("bad", level="ERROR").add("behind")
    for name, line in zip(("app.json.2", "app.json.1", "app.json"), log.lines, strict=True):
        (tmp_path / name).write_text(line + "\n" * (name != "app.json"))
    shown = mplog("view", tmp_path / "app.json", "-R", "-l", "error", "-C", "1", "-o", "short").out
    assert [line.split()[-1] for line in shown.splitlines()] == ["before", "bad", "behind"]
