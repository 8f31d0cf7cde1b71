"""How records look: text files, console, format strings, JSON."""

import io
import json
import logging
import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mplog._shared.record import decode, encode_record
from mplog.formatters import (
    ConsoleFormatter,
    JsonFormatter,
    PatternFormatter,
    TextFormatter,
    escape,
    wants_color,
)

FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
any_text = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x00\x1b\n\r\x7f\x9b\u202e\ufeff"))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-01:00")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def make(msg="hello", *args, **own):
    record = logging.LogRecord("app.jobs", logging.INFO, "/srv/app/jobs.py", 12, msg, args, None, "work")
    record.created, record.msecs = 1764155471.123456, 123.0
    record.processName, record.process = "ForkPoolWorker-3", 12345
    record.__dict__.update(own)
    return record


def fields_of(record):
    return decode(b"17".join(encode_record(record, 1)))


def failed(**own):
    try:
        raise ValueError("no\nmore")
    except ValueError as error:
        return make(exc_info=(ValueError, error, error.__traceback__), **own)


HEAD = "2025-11-26 12:11:11.123 INFO     ForkPoolWorker-3[12345] app.jobs: "


def every_formatter():
    stream = io.StringIO()
    return [
        TextFormatter(),
        ConsoleFormatter(stream),
        PatternFormatter("%(asctime)s %(levelname)s %(name)s %(message)s %(own)s"),
        PatternFormatter("{asctime} {message!r} {own} {process:d}", style="{"),
        PatternFormatter("$asctime ${message} $own", style="$"),
        ConsoleFormatter(stream, fmt="%(log_color)s%(asctime)s %(message)s%(reset)s %(own)s"),
    ]


# text


def test_the_default_line():
    """Local time with milliseconds, level in eight columns, process and pid, logger, message."""
    assert TextFormatter().format_line(fields_of(make("hello %s", "you"))) == HEAD + "hello you"


def test_own_fields_follow_the_message():
    """Own fields are `key=value`, quoted where a reader could not tell where they end."""
    record = make("x", n=1, f=1.5, t=True, none=None, s="a", space="a b", empty="", quoted='"', eq="a=b", d={"k": [1]})
    record.__dict__["odd key"] = 1
    assert TextFormatter().format_line(fields_of(record)) == (
        HEAD + 'x n=1 f=1.5 t=true none=null s=a space="a b" empty="" quoted="\\"" eq="a=b" d={"k":[1]} "odd key"=1'
    )


def test_a_message_cannot_forge_a_line():
    """Further lines of a message start with four spaces, and line separators are no lines."""
    text = TextFormatter().format_line(fields_of(make("one\n2026-01-01 forged\r\ntwo\u2028three\x85four\n", n=1)))
    assert text == HEAD + "one n=1\n    2026-01-01 forged\\x0d\n    two\\u2028three\\x85four"


def test_exceptions_and_stacks_follow_indented():
    """The traceback and `stack_info` are indented by four spaces below the line."""
    text = TextFormatter().format_line(fields_of(failed(stack_info="Stack (most recent call last):\n  here")))
    lines = text.split("\n")
    assert lines[0] == HEAD + "hello"
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-4:] == [
        "    ValueError: no",
        "    more",
        "    Stack (most recent call last):",
        "      here",
    ]
    assert all(line.startswith("    ") for line in lines[1:])


def test_the_time_follows_the_clock():
    """The text of a second is kept for that second only; what is no time is shown as it is."""
    formatter, fields = TextFormatter(), fields_of(make())
    for stamp, shown in (
        ("2025-11-26T11:11:11.000001Z", "2025-11-26 12:11:11.000"),
        ("2025-11-26T11:11:12.999999Z", "2025-11-26 12:11:12.999"),
        ("2025-12-31T23:00:00.500000Z", "2026-01-01 00:00:00.500"),
        ("2025-11-26T11:11:11.000001Z", "2025-11-26 12:11:11.000"),
        ("yesterday\x1b[31m, at about noon", "yesterday\\x1b[31m, at .bou"),
        ("", "."),
    ):
        fields["time"] = stamp
        assert formatter.format_line(fields).startswith(shown + " INFO     "), stamp


def test_escape_keeps_what_can_be_printed():
    """Tab, newline and every printable character stay as they are."""
    assert escape("a\tb\nc é ☃ \U0001f600 \xa0") == "a\tb\nc é ☃ \U0001f600 \xa0"
    assert escape("\x00\x1b[0m\x7f\x9b\u202e\ufeff\udc80\r") == "\\x00\\x1b[0m\\x7f\\x9b\\u202e\\ufeff\\udc80\\x0d"


@given(
    msg=any_text,
    logger=any_text,
    process=any_text,
    level=any_text,
    stamp=any_text,
    own=any_json,
    key=any_text,
)
@settings(max_examples=100, deadline=None)
def test_nothing_in_a_record_drives_a_terminal(msg, logger, process, level, stamp, own, key):
    """In every format, one record is one block without a control character, whatever it holds."""
    fields = fields_of(make())
    fields.update(msg=msg, logger=logger, process=process, level=level, time=stamp)
    fields["exc"], fields["stack"] = {"text": msg, "type": own}, logger
    fields.setdefault(key, own)
    fields["own"] = own
    for formatter in every_formatter():
        text = formatter.format_line(fields)
        assert not FORBIDDEN.search(text), ascii(text)
        assert all(line.startswith("    ") for line in text.split("\n")[1:])


def test_every_formatter_takes_log_records():
    """The same text comes from a `LogRecord` that never was in a journal."""
    record = failed(own="x")
    for formatter in (*every_formatter(), ConsoleFormatter(color="always")):
        assert formatter.format(record) == formatter.format_line(fields_of(record))


# format strings


@pytest.mark.parametrize(
    ("fmt", "style"),
    [
        (
            "%(asctime)s [%(levelname)s] %(name)s/%(process)d %(filename)s:%(lineno)d %(funcName)s %(msg)s",
            "%",
        ),
        ("{asctime} [{levelname}] {name}/{process} {filename}:{lineno:d} {funcName} {message}", "{"),
        ("$asctime [$levelname] ${name}/$process $filename:$lineno $funcName $message", "$"),
    ],
)
def test_format_strings_of_logging(fmt, style):
    """A format string of `logging` works in all its three styles."""
    assert PatternFormatter(fmt, style=style).format_line(fields_of(make("hello %s", "you"))) == (
        "2025-11-26 12:11:11.123 [INFO] app.jobs/12345 jobs.py:12 work hello you"
    )


def test_datefmt():
    """`datefmt` is a format for `time.strftime`."""
    assert PatternFormatter("%(asctime)s", "%H:%M").format_line(fields_of(make())) == "12:11"


def test_missing_own_fields_are_a_dash():
    """A format string may name an own field that only some records have; none of them is lost."""
    for fmt, style in (("%(job)s %(message)s", "%"), ("{job} {message}", "{"), ("$job $message", "$")):
        formatter = PatternFormatter(fmt, style=style)
        assert formatter.format_line(fields_of(make())) == "- hello"
        assert formatter.format_line(fields_of(make(job=4))) == "4 hello"
    formatter = PatternFormatter("%(job)d %(message)s")
    assert formatter.format_line(fields_of(make(job=4))) == "4 hello"
    assert formatter.format_line(fields_of(make())) == HEAD + "hello"
    console = ConsoleFormatter(color="always", fmt="%(green)s%(job)s%(reset)s %(message)s")
    assert console.format_line(fields_of(make())) == "\x1b[32m-\x1b[0m hello\x1b[0m"


def test_no_record_is_a_format_string():
    """What looks like a format in a message, a name or a field is text."""
    hostile = "%(process)d {process} {0.__class__} $process %s %n {"
    for formatter in every_formatter():
        text = formatter.format_line(fields_of(make(hostile, own=hostile, name=hostile)))
        assert hostile in text
        assert "12345" not in text.replace("[12345]", "").replace(" 12345", "")


# JSON


def test_json_is_the_line_of_the_journal():
    """The JSON formatter writes the same object that a journal holds."""
    record = make("x\n", job=[1, {"a": None}])
    line = b"17".join(encode_record(record, 1))[17:-1].decode()
    assert JsonFormatter().format_line(decode(line.encode())) == line
    assert JsonFormatter().format(record) == line.replace('"seq":17', '"seq":0')
    assert json.loads(line)["job"] == [1, {"a": None}]


# console


class Terminal(io.StringIO):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def isatty(self):
        if isinstance(self.answer, bool):
            return self.answer
        raise self.answer


@pytest.mark.parametrize(
    ("option", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, ValueError("closed"), False),
        ("auto", {}, OSError("gone"), False),
    ],
)
@pytest.mark.parametrize("fmt", [None, "%(log_color)s%(message)s"])
def test_the_decision_about_colours(option, environ, terminal, expected, fmt, monkeypatch):
    """Option, then NO_COLOR, FORCE_COLOR, TERM=dumb, then whether that very stream is a terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_color(Terminal(terminal), option) is expected
    formatter = ConsoleFormatter(Terminal(terminal), color=option, fmt=fmt)
    assert ("\x1b[" in formatter.format_line(fields_of(make()))) is expected


def test_colours_of_level_and_process():
    """The level has colorlog's colour, the process one by its name, the same in every run."""
    formatter = ConsoleFormatter(color="always")
    line = formatter.format_line(fields_of(make()))
    assert line.startswith("2025-11-26 12:11:11.123 \x1b[32mINFO    \x1b[0m \x1b[")
    assert re.sub(r"\x1b\[\d*m", "", line) == HEAD + "hello"
    other = formatter.format_line(fields_of(make(processName="ForkPoolWorker-4")))
    assert re.findall(r"\x1b\[\d*m", line)[2] != re.findall(r"\x1b\[\d*m", other)[2]


def test_the_default_colours_are_colorlogs():
    """The default layout is what `colorlog.ColoredFormatter` makes of the same layout."""
    fmt = (
        "%(asctime)s %(log_color)s%(levelname)-8s%(reset)s "
        "%(process_color)s%(processName)s[%(process)d]%(reset)s %(name)s: %(message)s"
    )
    ours, theirs = ConsoleFormatter(color="always"), ConsoleFormatter(color="always", fmt=fmt)
    for record in (make(), make("a\nb"), failed()):
        for level in ("DEBUG", "WARNING", "ERROR", "CRITICAL", "NOTICE"):
            fields = fields_of(record) | {"level": level}
            expected = theirs.format_line(fields)
            assert ours.format_line(fields) == re.sub(r"\x1b\[0m(?=\n    Traceback|$)", "", expected, count=1)


def test_only_our_own_colours_reach_the_terminal():
    """A record that brings its own escape sequences gets them shown, not obeyed."""
    fields = fields_of(make("\x1b[31mred\x1b[0m", own="\x1b]0;title\x07"))
    fields["process"] = "\x1b[2J"
    for formatter in (
        ConsoleFormatter(color="always"),
        ConsoleFormatter(color="always", fmt="%(log_color)s%(message)s %(own)s %(processName)s"),
    ):
        text = formatter.format_line(fields)
        assert "\\x1b[31mred\\x1b[0m" in text
        assert not FORBIDDEN.search(re.sub(r"\x1b\[\d*m", "", text))


def test_our_own_records_are_short_on_the_console():
    """A death certificate has its facts in the file; on the console the message says them."""
    fields = fields_of(make("w[1] died", name="mplog", event="died", died_pid=1))
    assert ConsoleFormatter(io.StringIO()).format_line(fields).endswith("mplog: w[1] died")
    assert "died_pid=1" in TextFormatter().format_line(fields)


def test_formatting_imports_colorlog_only_for_colours():
    """A text file needs no colorlog."""
    import subprocess

    code = (
        "import sys; from mplog.formatters import ConsoleFormatter, TextFormatter; import logging;"
        "record = logging.LogRecord('n', 20, 'f', 1, 'm', (), None);"
        "TextFormatter().format(record), ConsoleFormatter(color='never').format(record);"
        "print('colorlog' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def _plain_line(**changes: object) -> bytes:
    fields = {
        "time": "2026-11-22T11:11:11.123456Z",
        "level": "INFO",
        "msg": "counted 3 of 7",
        "logger": "app.jobs",
        "process": "ForkPoolWorker-3",
        "pid": 12345,
        "thread": "MainThread",
        "file": "/srv/jobs.py",
        "line": 12,
        "func": "work",
        "seq": 77,
    }
    return json.dumps({**fields, **changes}, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({}, True),
        ({"msg": ""}, True),
        ({"time": "2026-11-22T11:11:12.000001Z"}, True),
        ({"level": "CRITICAL", "process": "a b", "logger": "x-y"}, True),
        ({"msg": 'a "quote"'}, False),
        ({"msg": "two\nlines"}, False),
        ({"msg": "grün"}, False),
        ({"job": 4}, False),
        ({"exc": {"type": "ValueError"}}, False),
        ({"time": "yesterday at about eleven o'"}, False),
    ],
)
def test_plain_lines_are_formatted_without_decoding(changes: dict[str, object], is_plain: bool) -> None:
    """The short way for plain lines gives the same bytes as decoding them."""
    line = _plain_line(**changes)
    formatter = TextFormatter()
    short = formatter.format_plain(line)
    assert (short is not None) == is_plain
    if short is not None:
        assert short.decode() == TextFormatter().format_line(decode(line))
