"""Custom `logging` format strings, as `--input` takes them, and tracebacks among lines without a format."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from viewer_command import mplog

MOMENT = 1795390587.835  # 2026-11-22T23:36:27.835Z


def written(path: Path, layout: str, style: Any = "%", datefmt: str | None = None) -> None:
    """Write four records, one of two lines, one with an exception."""
    formatter = logging.Formatter(layout, datefmt, style)
    formatter.converter = time.gmtime
    lines = []
    for level, message in ((20, "hello"), (30, "two\nlines"), (40, "oops"), (10, "bye")):
        record = logging.LogRecord("app.x", level, "mk.py", 5, message, (), None, "go")
        record.created, record.msecs, record.processName = MOMENT, 835.0, "MainProcess"
        if level == 40:
            try:
                raise KeyError("k")
            except KeyError as error:
                record.exc_info = (type(error), error, error.__traceback__)
        lines.append(formatter.format(record) + "\n")
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("layout", "style", "datefmt", "stamp"),
    [
        ("%(asctime)s [%(processName)s] %(levelname)s %(message)s", "%", None, "2026-11-22T23:36:27.835000Z"),
        ("{asctime} | {levelname:<8} | {name}:{lineno} - {message}", "{", None, "2026-11-22T23:36:27.835000Z"),
        ("$asctime $levelname $name $message", "$", "%d/%m/%Y %H:%M:%S", "22/11/2026 23:36:27"),
        ("$asctime $levelname $name $message", "$", "%d.%m.%Y %H:%M:%S", "2026-11-22T23:36:27.000000Z"),
        ("%(asctime)s %(name)s %(levelname)s %(message)s", "%", "%a %b %d %H:%M:%S %Y", "2026-11-22T23:36:27.000000Z"),
        ("%(asctime)s %(name)-12s %(levelname)-8s %(message)s", "%", "%m-%d %H:%M", "2026-11-22T23:36:00.000000Z"),
        ("[%(levelname)1.1s %(asctime)s %(module)s:%(lineno)d] %(message)s", "%", "%y%m%d %H:%M:%S",
         "2026-11-22T23:36:27.000000Z"),
        ("%(asctime)s,%(msecs)03d %(levelname)-5.5s [%(name)s] %(message)s", "%", "%Y-%m-%d %H:%M:%S",
         "2026-11-22T23:36:27.835000Z"),
        ("%(created)f %(levelno)d %(process)d %(module)s.%(funcName)s:%(lineno)d %(message)s", "%", None,
         "2026-11-22T23:36:27.835000Z"),
    ],
)  # fmt: skip
def test_a_format_string_of_ones_own(tmp_path: Path, layout: str, style: str, datefmt: str | None, stamp: str) -> None:
    """The log of a custom format string has the records that were written: level, time, traceback."""
    path = tmp_path / "app.log"
    written(path, layout, style, datefmt)
    shown = [json.loads(line) for line in mplog("view", path, "--input", layout, "-o", "jsonl").out.splitlines()]
    if datefmt is not None and "%Y" not in datefmt and "%y" not in datefmt:
        stamp = stamp.replace("2026", time.strftime("%Y"))
    assert [(r["level"], r["msg"], r["time"]) for r in shown] == [
        ("INFO", "hello", stamp), ("WARNING", "two\nlines", stamp), ("ERROR", "oops", stamp), ("DEBUG", "bye", stamp)
    ]  # fmt: skip
    assert shown[2]["exc"]["type"] == "KeyError"
    assert mplog("view", path, "--input", layout, "-l", "w", "--template", "{level}").out == "WARNING\nERROR\n"


def test_a_long_line_without_a_header_is_soon_refused(tmp_path: Path) -> None:
    """A format string costs no time on lines that resemble its beginning again and again."""
    path = tmp_path / "app.log"
    path.write_text("2026-11-22 23:36:27 a INFO hello\n" + ("1 " * 2000 + "\n" + "1" * 4000 + "\n") * 200)
    began = time.monotonic()
    result = mplog("view", path, "--input", "%(asctime)s %(name)s %(levelname)s %(message)s", "-o", "raw")
    assert (result.code, result.out) == (0, path.read_text())
    assert time.monotonic() - began < 20


TRACEBACKS = """\
starting
Traceback (most recent call last):
  File "a.py", line 3, in f
    g()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 5, in f
    h()
ValueError: bad
next line
Traceback (most recent call last):
  File "a.py", line 5, in f
ValueError: worse
Traceback (most recent call last):
  File "a.py", line 5, in f
ValueError: worst
done
"""


@pytest.mark.parametrize("options", [[], ["-n", "all"], ["-n", "20"]])
def test_a_traceback_among_plain_lines_ends(tmp_path: Path, options: list[str]) -> None:
    """A traceback belongs to the line above; what comes behind it is a record of its own."""
    path = tmp_path / "app.log"
    path.write_text(TRACEBACKS)
    shown = [json.loads(line) for line in mplog("view", path, "-o", "jsonl", *options).out.splitlines()]
    assert [(r["msg"], r.get("exc", {}).get("message")) for r in shown] == [
        ("starting", "bad"), ("next line", "worse"), ("ValueError: worst", "worst"), ("done", None),
    ]  # fmt: skip
    assert shown[0]["exc"]["context"]["message"] == "'x'"
