"""One record, one line: encoding in the worker, decoding in the listener."""

import dataclasses
import datetime
import decimal
import enum
import json
import logging
import math
import pathlib
import re
import sys
import time
import uuid
from collections import OrderedDict, UserDict
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mplog._listener.merge import is_printable
from mplog._shared.decode import clean
from mplog._shared.record import (
    FIELDS,
    decode,
    encode_own,
    encode_record,
    encode_value,
    quote,
    render,
    timestamp,
    to_log_record,
)

FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
hard_characters = st.sampled_from("\x00\x1b\n\r\x7f\x9b\u202e\ufeff\ud800")
any_text = st.text(st.characters(exclude_categories=()) | hard_characters)
sane_text = st.text(st.characters(exclude_categories=("Cs",)))
sane_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | sane_text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(sane_text, inner, max_size=5),
    max_leaves=10,
)  # fmt: skip
any_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.binary() | st.complex_numbers()
    | st.dates() | st.decimals() | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(any_text | st.integers() | st.none(), inner)
    | st.tuples(inner) | st.frozensets(st.integers() | any_text),
    max_leaves=20,
)  # fmt: skip
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def make(msg="hello", *args, level=logging.INFO, **own):
    record = logging.LogRecord("app.jobs", level, "/srv/app/jobs.py", 12, msg, args, None, "work")
    record.__dict__.update(own)
    return record


def line_of(record, **options):
    head, tail = encode_record(record, 255, **options)
    return head + b"17" + tail


def check_line(line):
    """Assert what holds for every line, and return its fields."""
    assert line.endswith(b"\n")
    text = line[:-1].decode("utf-8")
    assert not FORBIDDEN.search(text), ascii(text)
    assert re.fullmatch(r"[0-9a-f]{16} ", text[:17])
    strict = json.loads(text[17:], parse_constant=pytest.fail)
    assert tuple(strict)[: len(FIELDS)] == FIELDS
    assert strict == decode(line)
    return strict


class Broken:
    """Raises whatever it is asked."""

    def __init__(self, error=ValueError):
        self.error = error

    def __repr__(self):
        raise self.error("no")

    __str__ = __bool__ = __len__ = __iter__ = __hash__ = __repr__

    def __eq__(self, other):
        raise self.error("no")


class Endless:
    """Has a representation that never ends."""

    def __repr__(self):
        return repr(self)


class BrokenMeta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)


class BrokenType(metaclass=BrokenMeta):
    pass


class BrokenMapping(UserDict):
    def items(self):
        raise OSError("gone")

    def __repr__(self):
        raise OSError("gone")


class OddString(str):
    def __str__(self):
        return self

    def isascii(self):
        raise ValueError

    def __mod__(self, other):
        raise ValueError

    def __len__(self):
        raise ValueError

    def __format__(self, spec):
        raise ValueError


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Job:
    name: str
    parts: list = dataclasses.field(default_factory=list)
    key: str = dataclasses.field(default="hidden", repr=False)


class Point(NamedTuple):
    x: int
    y: int


def cycle():
    value = [1]
    value.append(value)
    return value


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


ZOO = {
    "raising": Broken(),
    "raising RecursionError": Broken(RecursionError),
    "raising MemoryError": Broken(MemoryError),
    "endless": Endless(),
    "type that raises": BrokenType(),
    "mapping that raises": BrokenMapping(a=1),
    "subclass of str": OddString("odd"),
    "surrogates": "a\udc80b\ud800",
    "bytes": b"\x00\xff\x1b[31m",
    "memory": memoryview(b"abc"),
    "nan": math.nan,
    "infinite": -math.inf,
    "2**70": 2**70,
    "2**100000": 2**100_000,
    "cycle": cycle(),
    "deep": deep(),
    "set": {3, 1, 2},
    "keys": {1: "a", None: "b", ("x", 2): "c", "1": "d", Color.RED: "e"},
    "wide": list(range(100_000)),
    "wide and deep": [[list(range(300)) for _ in range(60)] for _ in range(60)],
    "nul": "\x00",
    "controls": "".join(map(chr, range(0xA0))) + "\u202e\u2028\u2066\ufeff",
    "object": object(),
    "class": Broken,
    "function": check_line,
    "exception": ValueError("x"),
    "generator": (n for n in range(3)),
    "module": sys,
}


# quote


@given(any_text)
@quick
def test_quote_is_json_that_drives_no_terminal(text):
    """A quoted text always encodes to UTF-8 and holds no byte that a terminal or a line reader reacts to."""
    literal = quote(text)
    assert not FORBIDDEN.search(literal.encode("utf-8").decode())
    assert json.loads(literal) == re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)


@given(sane_text)
@quick
def test_quote_keeps_every_character(text):
    """What is escaped in the line is whole again when it is decoded, by any decoder."""
    import msgspec

    assert json.loads(quote(text)) == text
    assert msgspec.json.decode(quote(text).encode()) == text


# render


def test_render_is_what_logging_does():
    """The message is what `logging` makes of template and arguments, a single mapping included."""
    for msg, args in (
        ("plain 100%", ()),
        ("%s and %d", ("a", 3)),
        ("%(a)s", ({"a": 1},)),
        ("%s", ({},)),
        ("%s", ([1],)),
        (ValueError("x"), ()),
        (17, None),
        ("%s", (("a", "b"),)),
        ("%5.1f|%-4s|%%", (2.345, "x")),
    ):
        record = logging.LogRecord("n", 20, "f", 1, msg, args, None)
        assert render(msg, args) == record.getMessage() == render(record.msg, record.args)


def test_render_falls_back_to_representations():
    """Arguments that do not fit are shown beside the template, with the reason."""
    assert render("%d items", ("x",)) == (
        "%d items [arguments: 'x'] [TypeError: %d format: a real number is required, not str]"
    )
    assert render("no place", (1, 2)).startswith("no place [arguments: 1, 2] [TypeError: not all arguments")
    assert "'a'" in render("%s %s", ("a",))


def test_render_survives_broken_arguments():
    """An argument without a representation is named by its type, and the rest of the record stays."""
    assert render("job %s of %s", (Broken(), "me")) == (
        "job %s of %s [arguments: <unprintable Broken>, 'me'] [ValueError: no]"
    )
    assert "<unprintable Endless>" in render("%r", (Endless(),))
    assert render(Broken(), ()) == "<unprintable Broken>"
    assert render("%s", Broken()).startswith("%s [arguments: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_render_lets_the_program_be_stopped(error):
    """Ctrl-C and `sys.exit` inside an argument's own code are not swallowed."""
    with pytest.raises(error):
        render("%s", (Broken(error),))


# values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (1.5, 1.5),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (b"a\xff", "a\\xff"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, [2]), [1, [2]]),
        ({1: 2, None: 3}, {"1": 2, "None": 3}),
        ({1: "a", "1": "b"}, {"1": "a", "1_": "b"}),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Job("a"), {"name": "a", "parts": []}),
        (Color.RED, "Color.RED"),
        (Number.ONE, 1),
        (datetime.datetime(2026, 11, 22, 11, 11, 11), "2026-11-22T11:11:11"),
        (datetime.date(2026, 11, 22), "2026-11-22"),
        (datetime.timedelta(seconds=90), "0:01:30"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (ValueError("x"), "ValueError: x"),
        (Broken(), "<unprintable Broken>"),
        ([Broken()], ["<unprintable Broken>"]),
        (1 + 2j, "(1+2j)"),
        (OddString("odd"), "odd"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_have_a_sensible_form(value, shown):
    """Each kind of value has one JSON form, the one a reader would expect."""
    assert json.loads(encode_value(value)) == shown


def test_numbers_of_numeric_libraries_are_numbers():
    """What has a `dtype` and an `item()`, such as a numpy scalar, is written as its number."""

    class Scalar:
        dtype, ndim = "float32", 0

        def item(self):
            return 2.5

    assert encode_value(Scalar()) == "2.5"


def test_values_are_bounded():
    """Depth is at most 8, items of a container 256, and a cycle is named."""
    assert json.loads(encode_value(cycle())) == [1, "<cycle: list>"]
    nested = json.loads(encode_value(deep()))
    for _ in range(7):
        (nested,) = nested
    assert nested == ["<list of 1>"]
    wide = json.loads(encode_value(list(range(1000))))
    assert len(wide) == 257
    assert wide[-1] == "... 744 more"
    assert json.loads(encode_value(dict.fromkeys(range(1000))))["..."] == "744 more"
    assert len(encode_value(ZOO["wide and deep"])) < 200_000
    assert len(encode_value({"a": "x" * 5_000_000, "b": "y" * 5_000_000})) < 1_200_000


@given(sane_values)
@quick
def test_sane_values_come_back(value):
    """What JSON can hold is decoded as what it was."""
    decoded = json.loads(encode_value(value, max_text=1 << 30))
    assert decoded == value


@given(any_values)
@quick
def test_any_value_is_valid_json(value):
    """Any object has a JSON form without a forbidden character."""
    text = encode_value(value)
    json.loads(text, parse_constant=pytest.fail)
    assert not FORBIDDEN.search(text)


# own fields


def test_own_fields_do_not_hide_the_schema():
    """Own fields that clash with a field of the schema get a trailing underscore."""
    text = encode_own({"level": 1, "msg": 2, "msg_": 3, "exc": 4, "job": 5})
    assert json.loads("{" + text[1:] + "}") == {"level_": 1, "msg__": 2, "msg_": 3, "exc_": 4, "job": 5}
    assert encode_own({}) == ""


# records


def test_a_line_has_every_field_in_order():
    """A line is a key, a space and one JSON object whose fields have a fixed order."""
    record = make("hello %s", "you", job=4, level=logging.WARNING)
    record.created = 1764155471.123456
    fields = check_line(line_of(record))
    assert fields == {
        "time": "2025-11-26T11:11:11.123456Z",
        "level": "WARNING",
        "msg": "hello you",
        "logger": "app.jobs",
        "process": record.processName,
        "pid": record.process,
        "thread": "MainThread",
        "file": "/srv/app/jobs.py",
        "line": 12,
        "func": "work",
        "seq": 17,
        "job": 4,
    }
    assert line_of(record).startswith(b"00000000000000ff {")


def test_time_is_utc_with_microseconds():
    """`time` is RFC 3339 in UTC with microseconds, and does not lose one to the float."""
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(1764155471.999999) == "2025-11-26T11:11:11.999999Z"
    assert timestamp(1764155471.9999999) == "2025-11-26T11:11:12.000000Z"
    for micros in range(0, 1_000_000, 37_037):
        assert timestamp(1764155471 + micros / 1e6).endswith(f".{micros:06d}Z")
    with pytest.raises(ValueError, match="`created` is -1"):
        timestamp(-1)


@pytest.mark.parametrize("created", [math.nan, math.inf, -5.0, 1e300, "x", None])
def test_a_time_that_is_none_is_now(created):
    """A record without a usable time gets the present one."""
    record = make()
    record.created = created
    shown = datetime.datetime.fromisoformat(check_line(line_of(record))["time"])
    assert abs(shown.timestamp() - time.time()) < 60


def test_task_and_stack_are_own_fields():
    """The asyncio task's name is `task`, `stack_info` is `stack`; a user's own `task` is not overwritten."""
    record = make(taskName="Task-1", stack_info="Stack:\n  x")
    assert {"task": "Task-1", "stack": "Stack:\n  x"}.items() <= check_line(line_of(record)).items()
    record = make(taskName="Task-1", task="mine")
    assert {"task": "mine", "task_": "Task-1"}.items() <= check_line(line_of(record)).items()
    assert "task" not in check_line(line_of(make(taskName=None)))


def test_records_of_formatters_leave_no_trace():
    """What another handler's formatter has left in a record is no own field."""
    record = make()
    logging.Formatter("%(asctime)s %(message)s").format(record)
    assert tuple(check_line(line_of(record))) == FIELDS


def test_custom_levels_keep_name_and_number():
    """A level that the listener does not know travels with its number."""
    record = make(level=25)
    assert check_line(line_of(record))["level"] == "Level 25"
    record.levelname = "NOTICE"
    fields = check_line(line_of(record))
    assert (fields["level"], fields["levelno"]) == ("NOTICE", 25)
    assert to_log_record(fields).levelno == 25


def test_structlog_events_for_a_processor_formatter():
    """A record of `ProcessorFormatter.wrap_for_formatter` ships its dict: event, keywords and exception."""
    import structlog

    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(line_of(record))
    stdlib = logging.Logger("shop")  # noqa: LOG001 - leaves nothing behind
    stdlib.addHandler(handler)
    log = structlog.wrap_logger(
        stdlib,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
    )
    log.bind(user="me").info("100% sold", item=3, level_of_stock=0)
    try:
        raise ValueError("x")
    except ValueError:
        log.exception("failed")
    first, second = map(check_line, records)
    assert (first["msg"], first["logger"], first["level"]) == ("100% sold", "shop", "INFO")
    assert {name: first[name] for name in list(first)[11:]} == {"user": "me", "item": 3, "level_of_stock": 0}
    assert (second["msg"], second["exc"]["type"], len(second)) == ("failed", "ValueError", 12)


@pytest.mark.parametrize("value", ZOO.values(), ids=ZOO.keys())
@pytest.mark.parametrize("place", ["msg", "arg", "args", "own", "key", "field"])
def test_hostile_objects_cost_no_record(value, place):
    """Whatever object a record holds, there is one valid line that is short enough, and nothing is raised."""
    record = make()
    if place == "msg":
        record.msg = value
    elif place == "arg":
        record.msg, record.args = "value %s", (value,)
    elif place == "args":
        record.msg, record.args = "value %d %s", value
    elif place == "own":
        record.own = value
    elif place == "key" and isinstance(value, str):
        record.__dict__[value] = 1
    else:
        for name in ("name", "levelname", "pathname", "lineno", "funcName", "processName", "process",
                     "threadName", "created", "exc_info", "exc_text", "stack_info", "taskName"):  # fmt: skip
            record.__dict__[name] = value
    line = line_of(record, max_record=100_000)
    assert len(line) <= 100_000
    check_line(line)


@given(
    msg=any_text | any_values,
    args=st.lists(any_values, max_size=3),
    own=st.dictionaries(any_text, any_values),
)
@quick
def test_any_record_is_one_line(msg, args, own):
    """Any message, arguments and fields make one valid line."""
    record = make(msg, *args)
    for key, value in own.items():
        record.__dict__.setdefault(key, value)
    line = line_of(record, max_record=20_000)
    assert len(line) <= 20_000
    check_line(line)


@given(
    sane_text,
    st.dictionaries(sane_text.filter(lambda key: key not in make().__dict__), sane_values, max_size=4),
)
@quick
def test_a_sane_record_comes_back(msg, own):
    """decode(encode(r)) == r for what JSON can hold."""
    reserved = (*FIELDS, "exc", "message", "asctime", "taskName")
    own = {key: value for key, value in own.items() if key not in reserved}
    fields = check_line(line_of(make(msg, **own), max_record=1 << 30))
    assert fields["msg"] == msg
    assert {key: fields[key] for key in list(fields)[11:]} == own


def test_a_record_at_the_recursion_limit_is_written():
    """A record logged with no stack left is a line all the same."""
    lines = []

    def down():
        try:
            down()
        finally:
            if len(lines) < 40:
                try:
                    lines.append(line_of(make("at the limit")))
                except RecursionError:  # no room to call anything at all
                    pass

    with pytest.raises(RecursionError):
        down()
    assert len(lines) == 40
    for line in lines:
        check_line(line)
    assert b"at the limit" in lines[0]


# cutting


@pytest.mark.parametrize("unit", ["x", "\x1b", "é", "\U0001f600", "\udc80"])
@pytest.mark.parametrize("size", [1024, 1500, 5000, 100_000])
def test_long_messages_are_cut_in_the_middle(unit, size):
    """A message that is too long keeps its head and its tail, and `truncated` is its original length."""
    record = make("HEAD" + unit * 200_000 + "TAIL")
    line = line_of(record, max_record=size)
    fields = check_line(line)
    assert len(line) <= size
    assert fields["truncated"] == 200_008
    assert fields["msg"].startswith("HEAD")
    assert fields["msg"].endswith("TAIL")
    head, _, tail = re.split(r"(\[\.\.\. \d+ characters cut \.\.\.\])", fields["msg"])
    assert 0.7 < len(head) / (len(head) + len(tail)) < 0.8
    if size > 1500:
        assert len(line) > 0.8 * size


def test_records_that_fit_are_not_cut():
    """A line of exactly `max_record` is whole; one byte more and it is cut."""
    record = make("x" * 5000)
    size = sum(map(len, encode_record(record, 1))) + 20
    assert b"truncated" not in line_of(record, max_record=size)
    assert b"truncated" in line_of(record, max_record=size - 1)


def test_long_fields_and_exceptions_are_cut_too():
    """Own fields and exception have to leave room for the message, whatever is long."""
    record = make("m" * 3000, big="b" * 100_000, small=1, truncated="mine")
    record.__dict__["k" * 50_000] = "v"
    try:
        raise ValueError("e" * 100_000)
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    for name in ("name", "pathname", "funcName", "processName", "threadName", "levelname"):
        record.__dict__[name] = "\udc80" * 50_000
    for size in (1024, 3000, 10_000, 50_000):
        line = line_of(record, max_record=size)
        assert len(line) <= size
        fields = check_line(line)
        assert fields["truncated_"] > 200_000
    assert fields["exc"]["type"] == "ValueError"
    assert fields["small"] == 1
    assert len(fields["big"]) > 1000
    assert fields["truncated"] == "mine"


def test_a_huge_string_is_cut_before_it_is_encoded():
    """A message of 100 MB costs no more than a few copies of it."""
    huge = "\x1b" * 100_000_000
    record = make(huge, field=huge)
    begin = time.perf_counter()
    line = line_of(record)
    assert time.perf_counter() - begin < 10
    assert check_line(line)["truncated"] > 100_000_000
    assert len(line) <= 1 << 20


# decoding


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"17",
        b'"x"',
        b"0123456789abcdef [1]",
        b"{",
        b'{"a":}',
        b"\x00" * 100,
        b"0123456789abcdef ",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 80 + b"]" * 80 + b"}",
        b'{"a":' + b"9" * 5000 + b"e5}",
        b"\xff\xfe",
    ],
)
def test_nonsense_is_a_value_error(line):
    """A line that is no record costs a ValueError and nothing else."""
    try:
        fields = decode(line)
    except ValueError:
        return
    assert set(FIELDS) <= set(fields)


def test_the_schema_holds_whoever_wrote_the_line():
    """After decoding, texts are texts and numbers are numbers, and missing ones are empty."""
    fields = decode(b'{"time":5,"level":null,"msg":{"a":1},"pid":"x","line":true,"seq":1.5,"own":[1]}')
    assert fields["time"] == "5"
    assert (fields["level"], fields["logger"], fields["pid"], fields["line"], fields["seq"]) == (
        "",
        "",
        0,
        0,
        0,
    )
    assert isinstance(fields["msg"], str)
    assert fields["own"] == [1]


def test_damaged_text_is_read_as_far_as_possible():
    """Bad UTF-8, lone surrogates and not-a-number from a foreign writer do not cost the record."""
    fields = decode(b'{"msg":"a\xff\\ud800\x1b","n":NaN}')
    assert fields["msg"] == "a\\udcff\\ud800\x1b"
    fields["msg"].encode()


@given(st.binary() | st.binary().map(lambda data: b'0123456789abcdef {"msg":"' + data + b'"}'))
@quick
def test_decode_raises_nothing_else(data):
    """No bytes make the decoder raise anything but ValueError."""
    try:
        fields = decode(data)
    except ValueError:
        return
    to_log_record(fields)


@given(st.lists(any_text, max_size=4), st.binary())
@quick
def test_foreign_lines_are_made_clean(texts, garbage):
    """Our own lines are clean; whatever a hostile worker wrote can be made so, and stays JSON if it was."""
    ours = b"".join(line_of(make(text)) for text in texts)
    assert is_printable(ours)
    assert clean(ours) == ours
    assert is_printable(clean(garbage))
    assert not FORBIDDEN.search(clean(garbage).decode().replace("\n", ""))
    raw = json.dumps({"msg": texts}, ensure_ascii=False).encode("utf-8", "replace").replace(b"\\u001b", b"\x1b")
    assert is_printable(clean(raw))
    assert json.loads(clean(raw))["msg"] == [text.encode("utf-8", "replace").decode() for text in texts]


@pytest.mark.parametrize("bad", ["\x00", "\t", "\x1b", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\ufeff"])
def test_each_control_character_is_noticed(bad):
    """No control character passes in a batch, and lone bytes do not either. NUL, of holes, is torn out."""
    assert bad == "\0" or not is_printable(b'k {"msg":"x"}\nk {"msg":"' + bad.encode() + b'"}\n')
    assert not is_printable(b"\xff")
    assert json.loads(clean(b'"' + bad.encode() + b'"')) == bad
    assert json.loads(clean(b'"\xff"')) == "\\xff"


def test_log_records_for_user_handlers_are_complete():
    """A user's handler sees every documented attribute, and own fields as attributes."""
    record = make("hello %s", "you", job=4, stack_info="Stack", taskName="T")
    record.created = 1764155471.25
    again = to_log_record(decode(line_of(record)) | {"getMessage": 1, "name": "x", "message": "y"})
    for name in ("name", "levelname", "levelno", "pathname", "filename", "module", "lineno", "funcName",
                 "created", "process", "processName", "threadName", "stack_info", "job"):  # fmt: skip
        assert getattr(again, name) == getattr(record, name), name
    assert (again.msg, again.args, again.getMessage()) == ("hello you", None, "hello you")
    assert (again.msecs, again.exc_info, again.exc_text, again.taskName) == (250.0, None, None, "T")
    assert (again.name_, again.getMessage_, again.message_) == ("x", 1, "y")
    pattern = " ".join(f"%({name})s" for name in vars(make()))
    assert logging.Formatter(pattern + " %(asctime)s %(message)s %(thread)d %(msecs)03d").format(again)


def test_logging_imports_no_json_package_nor_msgspec():
    """A worker that logs pays for neither msgspec nor traceback nor datetime."""
    import subprocess

    code = (
        "import sys, logging; from mplog._shared.record import encode_record;"
        "encode_record(logging.LogRecord('n', 20, 'f', 1, 'm', (), None), 1);"
        "print({'msgspec', 'json', 'datetime', 'structlog', 'colorlog', 'argparse'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
