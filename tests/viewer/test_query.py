"""Conditions: the query language, -l, globs; and that looking for bytes first changes nothing."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mplog.formatters import TextFormatter
from mplog.viewer import options
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record, decode_object, own_record
from mplog.viewer.needles import longest_literal
from mplog.viewer.query import parse, smart_regex
from mplog.viewer.scan import Plan, Scanner
from mplog.viewer.selection import build
from mplog.viewer.timespec import duration, parse_time

NOW = 1795345871.0


def record(**fields: object) -> Record:
    data = {"time": "2026-11-22T11:11:11.000000Z", "level": "INFO", "msg": "hello", **fields}
    raw = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
    decoded = decode_object(raw)
    assert decoded is not None
    found = own_record(decoded, raw, 0, "x")
    assert found is not None
    return found


def sentence(action: Callable[[], object]) -> str:
    """Return what an action complains of; nothing when it works."""
    try:
        action()
    except ViewerError as error:
        return error.sentence
    return ""


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("level>=warning", True),
        ("level=error", False),
        ("level<ERROR", True),
        ("dur_ms>500", True),
        ("dur_ms>500 and level>=error", False),
        ("level>=error or dur_ms>500 and user=anna", True),
        ("(level>=error or dur_ms>500) and user=ben", False),
        ("not user=ben", True),
        ("!user=ben && not (pid=3)", True),
        ("exists(dur_ms)", True),
        ("exists(nothing) or nothing", False),
        ("user", True),
        ("user in (ben, 'anna')", True),
        ("pid in (1,2)", False),
        ("msg~slow", True),
        ("msg~Slow", False),
        ("msg !~ /q.ery$/", False),
        ("msg ~ 'qu[aeiou]ry'", True),
        ("request.id=7", True),
        ("request.tags.1=b", True),
        ("request.id!=7", False),
        ("gift=true", True),
        ("price=1.50", True),
        ("price<'abc'", False),
        ("time>=2026-11-22T11:11:11Z", True),
        ("time<'2026-11-22T11:11:11Z'", False),
        ("nothing!=3", True),
        ("nothing<3", False),
        ("message='slow query'", True),
        ("name=own", True),
    ],
)
def test_the_query_language(query: str, matches: bool) -> None:
    """-q/--query: comparisons, and, or, not, in, exists, regular expressions, paths."""
    tested = record(
        level="WARNING", msg="slow query", dur_ms=812.5, user="anna", pid=4, gift=True, price=1.5, name="own",
        request={"id": 7, "tags": ["a", "b"]},
    )  # fmt: skip
    assert parse(query).predicate()(tested) is matches


@given(st.text("abc =<>!~()'\"/,.andortinexs19", max_size=30))
def test_any_text_is_a_query_or_an_error_with_a_caret(query: str) -> None:
    """A bad query (with a caret under the place); never a traceback."""
    said = sentence(lambda: parse(query, now=NOW).predicate()(record(a=1, b="x")))
    assert said == "" or (said.startswith("query: ") and said.endswith("^"))


def test_deep_nesting_is_refused() -> None:
    """A query nested without end is an error, no crash."""
    with pytest.raises(ViewerError, match="nested deeper"):
        parse("(" * 5000)


@given(
    st.from_regex(r"[a-z. ]{0,6}(\[ab\]|x\+|\\\.|y\?|z\{2\}|\(q\)|[a-z]){1,4}[a-z ]{0,6}", fullmatch=True),
    st.data(),
)
def test_every_match_holds_the_literal(pattern: str, data: st.DataObject) -> None:
    """Literal parts of a regex become byte literals: only what every match must hold."""
    literal = longest_literal(pattern)
    matching = data.draw(st.from_regex(pattern, fullmatch=True))
    assert literal in matching


def selection(*arguments: str) -> Plan:
    parser = argparse.ArgumentParser()
    options.add(parser)
    args = parser.parse_args([word for word in arguments if word.startswith("-")])
    return Plan(build(args, [word for word in arguments if not word.startswith("-")]))


words = st.sampled_from(["alpha", "Beta", "straße", "K", "ſ", 'qu"ote', "back\\slash", "tab\t", "x.y", "alphabeta", ""])
levels = st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NOTICE", "Level 45", "DISASTER", "error"])
records = st.lists(
    st.fixed_dictionaries(
        {"level": levels, "msg": words, "logger": words, "process": words, "pid": st.integers(1, 30)},
        optional={
            "user": words | st.integers(0, 12) | st.floats(0, 12) | st.booleans() | st.none(),
        },
    ),
    min_size=1,
    max_size=30,
)
choices = st.lists(
    st.sampled_from(
        [
            "-lerror", "-lwarning", "-l=DEBUG", "-lNOTICE..ERROR", "-lx=error,info", "-palpha", "-pal*", "-p!Beta",
            "-Lx", "-Lx.y", "-L*eta", "--pid=1", "--pid=12", "-galpha", "-gBeta", "-gk", "-gs", "-gstra.e", "-Galpha",
            "-gqu\"ote", "user=1", "user=1.0", "user=alpha", "user=true", "user!=1", "user>3", "user~alph",
            "-qexists(user)", "-qlevel>=error or user=2", "-qmsg=alpha and logger~x", "process=Beta", "msg=x.y",
        ]
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


def custom(level: object) -> dict[str, int]:
    return {"levelno": 45} if level == "DISASTER" else {}


@settings(max_examples=300)
@given(records, choices)
def test_looking_for_bytes_first_changes_nothing(rows: list[dict[str, object]], arguments: list[str]) -> None:
    """Find -> line bounds -> decode -> check again on the decoded record: the same as decoding every line."""
    lines = [
        json.dumps(
            {"time": f"2026-11-22T11:11:11.{number:06d}Z", **row, "seq": number, **custom(row["level"])},
            separators=(",", ":"), ensure_ascii=False,
        ).encode()
        for number, row in enumerate(rows)
    ]  # fmt: skip
    block = b"\n".join(lines) + b"\n"
    plan = selection(*arguments)
    quick = [found.seq for found in Scanner("x", plan).block(block, 0)]
    plan.damage.mode = "count"
    every = Scanner("x", plan)
    assert quick == [found.seq for found in every.block(block, 0)]
    assert every.chosen is None
    predicate = plan.selection.condition.predicate()
    decoded = [own_record(decode_object(line) or {}, line, 0, "x") for line in lines]
    assert quick == [found.seq for found in decoded if found is not None and predicate(found)]


@settings(max_examples=300)
@given(records, choices)
def test_looking_for_bytes_in_text_changes_nothing(rows: list[dict[str, object]], arguments: list[str]) -> None:
    """The same in mplog's text layout, where a record may have several lines."""
    layout = TextFormatter()
    block = b""
    for number, row in enumerate(rows):
        level = str(row["level"]) if row["level"] != "error" else "ERROR"
        exc = {"exc": {"text": "Traceback (most recent call last):\n  alpha\nBeta: alpha"}} if number % 3 == 0 else {}
        more = {name: row[name] for name in ("user",) if name in row}
        fields = {
            "time": f"2026-11-22T11:11:11.{number:03d}000Z", "level": level, "msg": row["msg"], "logger": row["logger"],
            "process": row["process"], "pid": row["pid"], "thread": "T", "file": "/a.py", "line": 1, "func": "f",
            "seq": number, **exc, **more,
        }  # fmt: skip
        block += layout.format_line(fields).encode() + b"\n"
    plan = selection(*arguments)
    quick = Scanner("x", plan, whole=True)
    found = [record.offset for record in [*quick.block(block, 0), *quick.finish()]]
    every = Scanner("x", plan)
    assert found == [record.offset for record in [*every.block(block, 0), *every.finish()]]
    assert every.chosen is None


@pytest.mark.parametrize(
    ("text", "before_now"),
    [("10m", 600), ("10 min ago", 600), ("1h30m", 5400), ("-2d", 172800), ("500ms", 0.5), ("now", 0)],
)
def test_times_before_now(text: str, before_now: float) -> None:
    """-S/--since T (10m, "10 min ago", ...)."""
    assert parse_time(text, now=NOW) == NOW - before_now


@pytest.mark.parametrize("option", ["-S", "--since", "-U", "--until"])
@pytest.mark.parametrize("command", ["view", "stats", "errors", "ps", "sql"])
def test_a_time_with_a_minus_sign_may_stand_apart(command: str, option: str) -> None:
    """`-S -5m` is `-S 5m`, as in journalctl."""
    module = importlib.import_module(f"mplog.viewer.{command}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    args = parser.parse_intermixed_args(module.prepare_arguments(["app.json", "select", option, "-5m"]))
    assert "-5m" in (args.since, args.until)


def test_today_and_the_days_around_it() -> None:
    """-S/-U yesterday, today, tomorrow: midnights of the zone."""
    days = [parse_time(day, now=NOW, zone=UTC) for day in ("yesterday", "today", "tomorrow")]
    assert days == [NOW - NOW % 86400 + 86400 * step for step in (-1, 0, 1)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T11:11:11Z", NOW),
        ("2026-11-22T12:11+01:00", NOW - 11),
        ("@1795345871", NOW),
        ("11:11:11", NOW),
        ("11:11", NOW - 11),
        ("today", NOW - 40271),
        ("2026-11-22", NOW - 40271),
        ("yesterday", NOW - 40271 - 86400),
        ("2026-11-22 11:11:11.5", NOW + 0.5),
    ],
)
def test_absolute_times(text: str, seconds: float) -> None:
    """... 14:30, today, ISO."""
    from datetime import UTC

    assert parse_time(text, now=NOW, zone=UTC) == seconds


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_a_sentence(text: str) -> None:
    """A bad time is one sentence."""
    duration(text)
    said = sentence(lambda: parse_time(text, now=NOW))
    assert said == "" or "is not understood" in said


def test_smart_case() -> None:
    """Smart case: a capital letter makes case count; one in an escape does not."""
    assert smart_regex("abc").search("xABCx")
    assert not smart_regex("Abc").search("abc")
    assert smart_regex(r"\Sbc").search("ABC")
