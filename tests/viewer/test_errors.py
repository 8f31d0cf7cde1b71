"""`mplog errors`: exceptions grouped by frames, not text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_log import SampleLog, exception

from mplog.__main__ import main
from mplog.viewer.excgroups import key, links


@pytest.fixture
def log(tmp_path: Path) -> Path:
    sample = SampleLog().add("all is well")
    for number in range(6):
        sample.add("failed", level="ERROR", pid=101 + number % 2, process=f"Worker-{1 + number % 2}",
                   exc=exception("ValueError", f"bad value {number}", line=40))  # fmt: skip
    cause = exception("KeyError", "'x'", line=9, func="get", text=False)
    for _ in range(2):
        exc = exception("JobError", "job 7 failed", line=50, cause=cause)
        sample.add("failed", level="CRITICAL", exc=exc)
    sample.add("failed", level="ERROR", exc=exception("ValueError", "bad value 0", line=41))
    return sample.write(tmp_path / "app.log")


def errors(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert main(["errors", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_grouped_by_frames_not_text(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Different messages from the same frames are one group; another line is another."""
    groups = errors(log, capsys)
    assert [(g["type"], g["count"], g["place"], g["message"]) for g in groups] == [
        ("ValueError", 6, "/srv/app/jobs.py:40", "bad value <n>"),
        ("JobError", 2, "/srv/app/jobs.py:50", "job 7 failed"),
        ("ValueError", 1, "/srv/app/jobs.py:41", "bad value 0"),
    ]
    assert groups[0]["processes"] == {"Worker-1": 3, "Worker-2": 3}
    assert groups[0]["first"] < groups[0]["last"]


def test_page_for_people(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Type, place, count, processes, first and last; chains unfolded once."""
    assert main(["errors", str(log), "--utc"]) == 0
    out = capsys.readouterr().out
    assert "9 exceptions of 3 kinds" in out
    assert "      6 × ValueError: bad value <n>\n" in out
    assert "/srv/app/jobs.py:40 in parse: return int(text)" in out
    assert out.count("caused by KeyError: 'x'") == 1
    assert "in Worker-1 3, Worker-2 3\n" in out
    assert "2026-11-22 11:11:11.143 to 2026-11-22 11:11:11.193" in out


@pytest.mark.parametrize(
    ("style", "there", "absent"),
    [
        ("long", ["Traceback (most recent call last):", 'File "/srv/app/jobs.py", line 40, in parse'], []),
        ("short", ["/srv/app/main.py:7 in main: run(job)"], ["Traceback"]),
        ("line", ["/srv/app/jobs.py:40 in parse"], ["/srv/app/main.py:7", "Traceback"]),
        ("no", ["ValueError: bad value"], ["jobs.py", "caused by"]),
    ],
)
def test_tb(style: str, there: list[str], absent: list[str], log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--tb in pytest's words."""
    main(["errors", str(log), "--tb", style])
    out = capsys.readouterr().out
    assert all(text in out for text in there)
    assert not any(text in out for text in absent)


def test_sort_and_top(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--sort changes the order, -n the number of groups."""
    assert [g["count"] for g in errors(log, capsys, "--sort", "last")] == [1, 2, 6]
    assert [g["count"] for g in errors(log, capsys, "--sort", "first", "-n", "1")] == [6]
    main(["errors", str(log), "-n", "1"])
    assert "... and 2 kinds more with 3 exceptions" in capsys.readouterr().out


def test_no_exceptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found is exit code 1."""
    path = SampleLog().add().write(tmp_path / "app.log")
    assert main(["errors", str(path)]) == 1
    assert "0 exceptions" in capsys.readouterr().out


def test_python_traceback_in_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback in a text log is grouped by its frames as well."""
    block = (
        "2026-11-22 11:11:{:02d}.000 ERROR    w[7] app: failed\n    Traceback (most recent call last):\n"
        '      File "/srv/app/a.py", line 3, in f\n        g()\n    ValueError: bad {}\n'
    )
    path = tmp_path / "app.log"
    path.write_text("".join(block.format(n, n) for n in range(4)))
    (group,) = errors(path, capsys)
    assert (group["type"], group["count"], group["place"]) == ("ValueError", 4, "/srv/app/a.py:3")


def test_groups_and_contexts_are_followed() -> None:
    """Exception groups, contexts and suppressed contexts are parts of the chain as Python shows them."""
    member = exception("OSError", "x", text=False)
    group = exception("ExceptionGroup", "two", group=[member, member],
        context=exception("KeyError"), suppressed=True)  # fmt: skip
    assert [(relation, inner["type"]) for relation, inner in links(group)] == [
        ("in the group", "OSError"),
        ("in the group", "OSError"),
    ]
    plain = exception("ValueError", context=exception("KeyError"))
    assert [relation for relation, _ in links(plain)] == ["while handling"]
    assert key(group) != key(plain)


def test_endless_chain_is_bounded() -> None:
    """A log that nests thousands of causes costs neither a traceback nor minutes."""
    exc = exception(text=False)
    for _ in range(5000):
        exc = {"type": "E", "message": "m", "cause": exc}
    assert key(exc) == key(exc)
    assert len(list(links(exc))) == 50


def test_hostile_exception(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a log says of an exception is text, whatever type it has, and drives no terminal."""
    sample = SampleLog()
    odd = [{"file": "\r", "line": "7"}, 5]
    sample.add(exc={"type": "\x1b[2J", "message": ["no", "text"], "frames": odd, "cause": 3})
    sample.add(exc={"type": None, "message": None, "frames": "x", "group": [1, {}], "text": "\x1b]0;x\x07"})
    path = sample.write(tmp_path / "app.log")
    for style in ("long", "short", "line", "no"):
        main(["errors", str(path), "--tb", style])
        assert not {"\x1b", "\r", "\x07"} & set(capsys.readouterr().out)
