"""Properties of the output formats: whatever a log holds, the output is safe, and programs can read theirs."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from viewer_command import mplog

from mplog.viewer.colours import FAMILIES, of_name
from mplog.viewer.formats import renderer
from mplog.viewer.headers import of_format
from mplog.viewer.lanes import Lanes
from mplog.viewer.lines import Record
from mplog.viewer.look import Look
from mplog.viewer.parsing import Parser
from mplog.viewer.pretty import spell_delta
from mplog.viewer.textlines import header_parser
from mplog.viewer.tracebacks import render

SGR = re.compile(r"\x1b\[[0-9;]*m")
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

text = st.text(max_size=30) | st.sampled_from(["\x1b[2J", "\u202e", "a\nb", "\r", "\ud800", "\x9b31m", "\ufeff", ""])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3))
frames = st.lists(
    st.fixed_dictionaries({}, optional={"file": values, "line": values, "func": values, "source": values}) | values,
    max_size=3,
)
exceptions = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": values, "module": values, "message": values, "frames": frames, "text": values}
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": text},
        optional={
            "cause": inner | values,
            "context": inner | values,
            "group": st.lists(inner | values, max_size=2),
            "notes": values,
        },
    ),
    max_leaves=4,
)
records = st.builds(
    Record,
    moment=st.none() | st.floats(-1e12, 1e12), time_text=text, level=text, levelno=st.integers(0, 60), msg=text,
    logger=text, process=text, pid=st.none() | st.integers(), thread=text, file=text,
    line=st.none() | st.integers(), func=text, seq=st.none() | st.integers(), exc=st.none() | exceptions,
    fields=st.dictionaries(text, values, max_size=3), raw=st.binary(max_size=30), offset=st.integers(0, 1 << 40),
    source=text, damaged=st.booleans(), format=st.sampled_from(["mplog", "json", "text", "plain", "logfmt", "damaged"]),
)  # fmt: skip
looks = st.builds(
    Look,
    output=st.sampled_from(["pretty", "short", "raw", "json", "jsonl", "logfmt", "csv"]), colour=st.booleans(),
    colour_by=st.sampled_from(["process", "level", "logger"]),
    tb=st.sampled_from(["auto", "long", "short", "line", "no"]),
    delta=st.none() | st.sampled_from(["prev", "process", "start"]),
    lanes=st.none() | st.sampled_from(["process", "thread"]), keys=st.sampled_from([(), ("pid", "a*"), ("exc.type",)]),
    hide=st.sampled_from([(), ("a",)]), skip_unchanged=st.booleans(), names=st.integers(0, 30),
    template=st.none() | st.sampled_from(["{clock} {level:>8} {msg} {x.y} {traceback}", "{{{date}}}"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(looks, st.lists(records, max_size=4))
def test_any_record_in_any_look_is_safe(look: Look, rows: list[Record]) -> None:
    """Control characters are escaped on the way out, always; only our own colours remain."""
    out = renderer(look, grow=True)
    shown = out.begin() + out.render(rows) + out.end()
    bare = SGR.sub("", shown) if look.colour and (look.template or look.output in ("pretty", "short")) else shown
    assert not FORBIDDEN.search(bare)
    assert shown.encode() is not None
    if look.template is None and look.output == "json":
        assert len(json.loads(shown)) == len(rows)
    if look.template is None and look.output == "csv":
        assert len(list(csv.reader(io.StringIO(shown)))) == len(rows) + 1


@settings(deadline=None)
@given(st.lists(records.filter(lambda record: record.format not in ("mplog", "json")), max_size=4))
def test_jsonl_is_a_line_of_json_each(rows: list[Record]) -> None:
    """-o jsonl: one object a line, in mplog's schema."""
    shown = renderer(Look(output="jsonl")).render(rows)
    assert [json.loads(line).get("msg", "") for line in shown.split("\n")[:-1]] == [
        json.loads(json.dumps(row.msg)) for row in rows
    ]


def test_a_message_forges_no_line() -> None:
    """A newline inside a message cannot forge a line: further lines stand behind the gutter."""
    forged = Record(msg="ok\n11:11:11.123 root │ CRITICAL forged", process="W-1", level="INFO", levelno=20)
    lines = renderer(Look(names=3)).render([forged]).splitlines()
    assert lines[1].startswith(" " * 13)
    assert renderer(Look(output="short")).render([forged]).count("\n") == 1
    assert renderer(Look(template="{msg}")).render([forged]) == "ok\\n11:11:11.123 root │ CRITICAL forged\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0000004, "+0.000ms"),
        (0.0123, "+12.300ms"),
        (12.3456, "+12.346s"),
        (187, "+3m07s"),
        (7260, "+2h01m"),
        (-1.5, "-1.500s"),
    ],
)
def test_deltas_have_units(seconds: float, shown: str) -> None:
    """--delta: time since the record before."""
    assert spell_delta(seconds) == shown


def test_library_frames_are_folded() -> None:
    """--tb auto: frames of libraries folded, but never the last one."""
    frames = [
        {"file": "/srv/app/a.py", "line": 1, "func": "f", "source": "celery.run()"},
        {"file": "/v/lib/python3.11/site-packages/celery/app.py", "line": 2, "func": "g"},
        {"file": "/usr/lib/python3.11/threading.py", "line": 3, "func": "h"},
        {"file": "/v/lib/python3.11/site-packages/redis/client.py", "line": 4, "func": "i", "source": "raise X"},
    ]
    assert render({"type": "X", "message": "no", "frames": frames}, "auto") == [
        "/srv/app/a.py:1: in f",
        "    celery.run()",
        "… 2 frames in celery, threading",
        "/v/lib/python3.11/site-packages/redis/client.py:4: in i",
        "    raise X",
        "X: no",
    ]


def test_lanes_are_used_again() -> None:
    """--lanes: a lane from the first record to the end of the process; then it is free for the next one."""
    lanes = Lanes("process", colour=False, width=100)
    assert lanes.of(Record(process="A", pid=1, levelno=20))[0] == "● "
    assert lanes.of(Record(process="B", pid=2, levelno=40))[0] == "│ ✖ "
    ended = Record(process="M", pid=9, fields={"event": "died", "died_pid": 1, "died_process": "A"})
    assert lanes.of(ended) == ("┴ │ ", "  │ ")
    assert lanes.of(Record(process="C", pid=3, levelno=30))[0] == "◆ │ "


HOSTILE = [
    b"a=" * 2000 + b"\n",
    b"2026-11-22 11:11:11.000 INFO     W[1] a: " + b"k=v " * 20_000 + b'x="\n',
    b"x=1 " * 20_000 + b"=\n",
    b"[" * 100_000 + b"\n",
    b'{"time":"' * 5000 + b"\n",
    b'{"a":' * 50_000 + b"\n",
    b"Traceback (most recent call last):\n" + b" \n" * 50_000 + b"  File\n",
    b"- " * 50_000 + b"\n",
    b"2026-11-22 11:11:11 " * 5000 + b"\n",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "layout", ["auto", "%(asctime)s %(processName)s %(threadName)s %(name)s %(levelname)s %(message)s!"]
)
def test_hostile_lines_take_no_time(data: bytes, layout: str) -> None:
    """Nothing a log holds makes a parser slow (nothing > 1 s)."""
    begin = time.process_time()
    parser = Parser("x", layout)
    for line in data.split(b"\n"):
        for record in (*parser.feed(line, 0), *parser.flush()):
            renderer(Look()).render([record])
    assert time.process_time() - begin < 1


def test_long_lines_keep_their_text() -> None:
    """A header is looked for in a line's beginning only; the rest of the message is kept."""
    line = b"2026-11-22 11:11:11.000 INFO     W-1[1] a: " + b"m" * 100_000
    record = header_parser("auto")(line, 0, "x")
    assert record is not None
    assert record.msg == "m" * 100_000
    assert of_format("%(levelname)s %(message)s").fullmatch("INFO x")


def luminance(number: int) -> float:
    """Return the relative luminance (WCAG 2) of a colour of the 256-colour cube."""
    levels = [0, 95, 135, 175, 215, 255]
    parts = [levels[(number - 16) // step % 6] / 255 for step in (36, 6, 1)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_are_stable_and_readable() -> None:
    """Stable colour by hash of the name, no dark blue; the number in ForkPoolWorker-3 varies the shade."""
    for family in FAMILIES:
        for number in family:
            assert (luminance(number) + 0.05) / 0.05 >= 5
            assert 1.05 / (luminance(number) + 0.05) >= 2.2
    workers = [of_name(f"ForkPoolWorker-{number}") for number in range(1, 5)]
    assert workers == ["\x1b[38;5;73m", "\x1b[38;5;31m", "\x1b[38;5;37m", "\x1b[38;5;36m"]
    assert of_name("MainProcess") == "\x1b[38;5;172m"
    names = ("MainProcess", "Process-1", "ForkPoolWorker-1", "SpawnPoolWorker-1", "ForkProcess-1", "mplog")
    assert len({next(family for family in FAMILIES if int(of_name(name)[7:-1]) in family) for name in names}) == 6


@pytest.mark.parametrize("output", ["pretty", "short", "raw", "jsonl", "json", "logfmt", "csv", "html", "trace"])
@pytest.mark.parametrize("fraction", ["\\u001b[2J00", "\u202e\u202e\u202eabc", "00\x7f000"])
def test_a_hostile_time_drives_no_terminal(output: str, fraction: str, tmp_path: Path) -> None:
    """Control characters are escaped on the way out, always: also in what is nearly a time."""
    line = '{"time":"2026-11-22T11:11:11.%sZ","level":"INFO","msg":"a","seq":1}\n'
    path = tmp_path / "app.json"
    path.write_text(line % "000000" + line % fraction, encoding="utf-8")
    assert not {"\x1b", "\x7f", "\u202e"} & set(mplog("view", path, "-o", output).out)
