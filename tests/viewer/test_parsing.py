"""Properties of the parsers: whatever the bytes, nothing is raised, lost or forged."""

from __future__ import annotations

import json
import logging
import string
import time
from pathlib import Path

import pytest
from any_input import FORBIDDEN, SCHEMA, json_values
from hypothesis import example, given
from hypothesis import strategies as st

from mplog.viewer import exctext, times
from mplog.viewer.escapes import escape, escape_json, escape_lines
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import expand, read_records

text = st.text(max_size=60)
names = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=12)
values = json_values(text)
own_fields = st.dictionaries(names.filter(lambda name: name not in SCHEMA), values, max_size=4)
bytes_lines = st.lists(
    st.binary(max_size=80)
    | st.sampled_from(
        [
            b'{"time":"2026-11-22T11:11:11.123456Z","level":"INFO","msg":"hello","seq":1}',
            b'{"time":"2026-11-22T11:11:11.1',
            b"2026-11-22 11:11:11.123 ERROR    W-1[12] app.jobs: message key=value",
            b"Traceback (most recent call last):",
            b'  File "/a/b.py", line 3, in f',
            b"ValueError: no",
            b"    ",
            b"",
            b"level=info msg=hello user=3",
            b"\0\0\0",
            b"\xff\xfe",
            b"{",
            b'{"a":',
            b'{"\\ud800":NaN}',
        ]
    ),
    max_size=12,
)


def parse(data: bytes, input_format: str = "auto") -> list[Record]:
    parser = Parser("x", input_format)
    found: list[Record] = []
    offset = 0
    for line in data.split(b"\n"):
        found += parser.feed(line, offset)
        offset += len(line) + 1
    return [*found, *parser.flush()]


@given(msg=text, process=text, logger=text, fields=own_fields, seq=st.integers(1, 2**40))
def test_what_mplog_writes_is_read_back(
    msg: str, process: str, logger: str, fields: dict[str, object], seq: int
) -> None:
    """mplog JSON: every member and own field as it was written."""
    written = {
        "time": "2026-11-22T11:11:11.123456Z", "level": "INFO", "msg": msg, "logger": logger, "process": process,
        "pid": 12, "thread": "T", "file": "/a.py", "line": 3, "func": "f", "seq": seq, **fields,
    }  # fmt: skip
    raw = json.dumps(written, separators=(",", ":")).encode()
    (record,) = parse(raw)
    assert (record.msg, record.process, record.logger, record.fields) == (msg, process, logger, fields)
    assert (record.pid, record.line, record.seq, record.time) == (12, 3, seq, 1795345871.123456)
    assert (record.raw, record.damaged, record.format) == (raw, False, "mplog")


@given(bytes_lines, st.sampled_from(["auto", "json", "text", "%(asctime)s %(levelname)s %(message)s"]))
def test_any_bytes_are_records_in_order(lines: list[bytes], input_format: str) -> None:
    """Damaged, torn, binary, empty: shown, counted, never fatal; nothing that is no white space gets lost."""
    data = b"\n".join(lines)
    records = parse(data, input_format)
    offsets = [record.offset for record in records]
    assert offsets == sorted(offsets)
    assert b"".join(b"".join(record.raw.split()) for record in records) == b"".join(data.split())


@given(st.text())
@example("\x1b[31m\x07\x9b\u202e\ufeff\ud800\t\n\r\n")
def test_nothing_drives_a_terminal(raw: str) -> None:
    """Control characters are escaped on the way out, always."""
    assert not FORBIDDEN & set(escape(raw))
    assert "\n" not in escape(raw)
    assert not FORBIDDEN & set(escape_lines(raw))
    assert escape(raw).encode() is not None


@given(values)
def test_escaped_json_has_the_same_value(value: object) -> None:
    """-o raw and jsonl: dangerous characters become JSON escapes, the value stays."""
    shown = escape_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert not FORBIDDEN & set(shown)


FORMATS = [
    "%(asctime)s %(levelname)s %(name)s: %(message)s",
    "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
    "[%(levelname)-8s] %(asctime)s (%(processName)s %(process)d) %(name)s:%(lineno)d %(message)s",
    "%(levelname)s:%(name)s:%(message)s",
    "{asctime} {levelname:<8} {name} | {message}",
    "$asctime $levelname ${name} -- $message",
]


@pytest.mark.parametrize("layout", FORMATS)
@given(
    msg=st.text(string.ascii_letters + string.digits + " .,'()", min_size=1, max_size=40).map(
        lambda t: "x" + t.strip()
    ),
    level=st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    logger=st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[a-z][a-z0-9_]{0,8}){0,2}", fullmatch=True),
)
def test_a_logging_format_string_is_read_back(layout: str, msg: str, level: str, logger: str) -> None:
    """mplog JSON and text, also with a custom `logging` format string."""
    style = "{" if layout.startswith("{") else "$" if layout.startswith("$") else "%"
    stamp = 1795345871.5
    written = logging.makeLogRecord(
        {
            "msg": msg,
            "levelname": level,
            "name": logger,
            "created": stamp,
            "msecs": 500.0,
            "processName": "W-1",
        }
    )
    raw = logging.Formatter(layout, style=style).format(written).encode()  # type: ignore[arg-type]
    (record,) = parse(raw, layout)
    assert (record.msg, record.level, record.logger) == (msg, level, logger)
    if "asctime" in layout:
        assert record.time == stamp


def test_the_format_string_of_a_running_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A custom format string, taken from the session."""
    import mplog

    monkeypatch.setenv("MPLOG_SPOOL", str(tmp_path / "spool"))
    path = tmp_path / "app.log"
    with mplog.setup(
        path, console=False, listener="thread", format="<%(levelname)s> %(name)s @%(asctime)s@ %(message)s"
    ) as session:
        logging.getLogger("app.x").warning("strange layout")
        session.flush(10)
        (record,) = read_records([str(path)])
        assert (record.level, record.logger, record.msg) == ("WARNING", "app.x", "strange layout")
        assert record.time is not None


def test_a_traceback_is_read_back_as_data() -> None:
    """Plain Python logs with tracebacks: type, message, frames and chain."""

    def fail() -> None:
        try:
            {}["key"]
        except KeyError as error:
            raise ViewerError("several\nlines") from error

    try:
        fail()
    except ViewerError:
        written = logging.Formatter("%(asctime)s ERROR app: %(message)s").format(
            logging.LogRecord("app", 40, __file__, 1, "bad", (), __import__("sys").exc_info())
        )
    (record,) = parse(written.encode())
    assert record.exc is not None
    assert (record.exc["type"], record.exc["module"]) == ("ViewerError", "mplog.viewer.exceptions")
    assert record.exc["message"] == "several\nlines"
    assert [frame["func"] for frame in record.exc["frames"]] == [
        "test_a_traceback_is_read_back_as_data", "fail",
    ]  # fmt: skip
    assert record.exc["cause"]["type"] == "KeyError"
    assert record.msg == "bad"


@given(st.text(max_size=300))
def test_any_text_is_an_exception(raw: str) -> None:
    """A traceback's text, however broken, is data."""
    exc = exctext.parse(raw)
    assert isinstance(exc["type"], str)
    assert isinstance(exc["message"], str)


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-11-22T11:11:11.123456Z", 1795345871.123456),
        ("2026-11-22T11:11:11Z", 1795345871.0),
        ("2026-11-22T12:11:11+01:00", 1795345871.0),
        ("2026-11-22 06:11:11,5 -0500", 1795345871.5),
        ("22/Nov/2026:11:11:11 +0000", 1795345871.0),
        ("2026-02-30T11:11:11Z", None),
        ("2026-11-22T25:11:11Z", None),
        ("yesterday", None),
    ],
)
def test_usual_spellings_of_time(stamp: str, seconds: float | None) -> None:
    """The usual spellings of time."""
    assert times.parse_utc(stamp) == seconds


@given(st.floats(0, 4e9))
def test_local_time_is_read_back(seconds: float) -> None:
    """A stamp without a zone is local time (the hour that a clock repeats in autumn apart)."""
    whole = int(seconds)
    local = time.localtime(whole)
    if local.tm_isdst == time.localtime(whole - 7200).tm_isdst == time.localtime(whole + 7200).tm_isdst:
        assert times.parse(time.strftime("%Y-%m-%d %H:%M:%S", local)) == whole


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(stamp: str) -> None:
    """Nothing a log holds as its time is fatal."""
    for parse_one in (times.parse, times.parse_utc):
        found = parse_one(stamp)
        assert found is None or isinstance(found, float)


def test_merged_by_time_in_the_order_of_each_file(tmp_path: Path) -> None:
    """Several files are merged by time; headers without a time stamp go to the record below."""
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_text("=== banner ===\n2026-11-22 11:11:12 INFO b\n2026-11-22 11:11:11 INFO late\n")
    two.write_text("2026-11-22 11:11:11 INFO a\n  more\n2026-11-22 11:11:13 INFO c\n")
    found = [record.msg for record in read_records([str(one), str(two)])]
    assert found == ["a\n  more", "=== banner ===", "b", "late", "c"]


def test_rotated_files_are_one_log(tmp_path: Path) -> None:
    """-R: also .1 .2.gz, oldest first."""
    import bz2
    import gzip
    import lzma

    line = "2026-11-22 11:11:1%d INFO m%d\n"
    (tmp_path / "app.log").write_text(line % (4, 4))
    (tmp_path / "app.log.1").write_text(line % (3, 3))
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress((line % (2, 2)).encode()))
    (tmp_path / "app.log.3.bz2").write_bytes(bz2.compress((line % (1, 1)).encode()))
    (tmp_path / "app.log.10.xz").write_bytes(lzma.compress((line % (0, 0)).encode()))
    path = str(tmp_path / "app.log")
    assert [record.msg for record in read_records([path], rotated=True)] == ["m0", "m1", "m2", "m3", "m4"]
    assert [record.msg for record in read_records([path])] == ["m4"]
    (source,) = expand([str(tmp_path)], rotated=True)
    assert len(source.files) == 5


def test_two_records_on_one_line_are_both_found() -> None:
    """jq#682: a torn record and a whole one on the same line."""
    good = b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"%d"}'
    torn, whole = parse(good % 1 + b"\n" + good[:40] + good % 2)[1:]
    assert (torn.damaged, torn.raw, whole.damaged, whole.msg) == (True, good[:40], False, "2")
    assert [record.msg for record in parse(good % 3 + good % 4)] == ["3", "4"]
