"""Text log lines to records: mplog's own layout, logging format strings, the usual others. Runs in the command `mplog`."""

from __future__ import annotations

import re
from collections.abc import Callable

from mplog.viewer import levels, times
from mplog.viewer.jsonlines import text_exc
from mplog.viewer.lines import Record

HeaderParser = Callable[[bytes, int, str], Record | None]

_STAMP = r"\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_OWN = re.compile(
    rf"(?P<time>{_STAMP}) (?P<level>[A-Z][A-Za-z0-9_]*|Level \d+) +(?P<process>[^\[\]]*?)\[(?P<pid>\d+)\] (?P<logger>[^\s:]*): ?(?P<msg>.*)",
    re.S,
)
_GENERIC = re.compile(rf"\[?(?P<time>{_STAMP})\]?(?P<rest>.*)", re.S)
_WORD = re.compile(r"\b([A-Za-z]+)\b")
_BASIC = re.compile(r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<logger>[^\s:]*):(?P<msg>.*)", re.S)


def header_parser(input_format: str) -> HeaderParser:
    """Return the function that makes a record of a header line, or None of a continuation line."""
    return _auto


def _auto(raw: bytes, offset: int, source: str) -> Record | None:
    text = raw.decode("utf-8", "backslashreplace")
    match = _OWN.fullmatch(text)
    if match is not None:
        return Record(
            time=times.parse(match["time"]), time_text=match["time"], level=match["level"],
            levelno=levels.number(match["level"]), msg=match["msg"], logger=match["logger"],
            process=match["process"], pid=int(match["pid"]), raw=raw, offset=offset, source=source,
        )  # fmt: skip
    match = _BASIC.fullmatch(text)
    if match is not None:
        return Record(
            level=match["level"], levelno=levels.number(match["level"]), msg=match["msg"], logger=match["logger"],
            raw=raw, offset=offset, source=source,
        )  # fmt: skip
    match = _GENERIC.fullmatch(text)
    if match is not None:
        rest = match["rest"]
        level = next((w for w in _WORD.findall(rest[:80]) if w.upper() in levels.NUMBERS), "")
        return Record(
            time=times.parse(match["time"]), time_text=match["time"], level=level.upper(),
            levelno=levels.number(level), msg=rest.strip(), raw=raw, offset=offset, source=source,
        )  # fmt: skip
    return None


def plain_record(raw: bytes, offset: int, source: str) -> Record:
    """Return the record of a line without a header."""
    return Record(
        msg=raw.decode("utf-8", "backslashreplace"), raw=raw, offset=offset, source=source, format="plain"
    )


def join(record: Record, raw: bytes) -> None:
    """Add a continuation line to the record above it."""
    record.raw += b"\n" + raw


def finish(record: Record) -> None:
    """Divide the joined lines of a complete record into message and exception."""
    head, newline, rest = record.raw.partition(b"\n")
    if not newline:
        return
    more = rest.decode("utf-8", "backslashreplace")
    begin = re.search(r"^ *Traceback \(most recent call last\):", more, re.M)
    if begin is not None:
        text = more[begin.start() :]
        indent = len(text) - len(text.lstrip())
        if indent:
            text = "\n".join(line[indent:] if line[:indent].isspace() else line for line in text.split("\n"))
        record.exc = text_exc(text.rstrip("\n"))
        more = more[: begin.start()].rstrip("\n")
    if more:
        record.msg += "\n" + more
