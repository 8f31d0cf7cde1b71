"""Text lines to records: headers, logfmt, continuation lines. Runs in the command `mplog`."""

from __future__ import annotations

import os
import re
import time as _time
from collections.abc import Callable
from typing import Any

from mplog.viewer import exctext, headers, levels, times
from mplog.viewer.jsonlines import foreign_record
from mplog.viewer.lines import Record, decode_object

HeaderParser = Callable[[bytes, int, str], Record | None]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"=]*)'
_PAIR = re.compile(rf"([A-Za-z_@][\w.@\-]*)=({_VALUE})")
_LOGFMT = re.compile(rf"[A-Za-z_@][\w.@\-]*={_VALUE}(?:\s+[A-Za-z_@][\w.@\-]*(?:={_VALUE})?)+\s*")
_LOGFMT_KEYS = re.compile(r"(?:^|\s)(?:time|ts|t|timestamp|level|lvl|severity|msg|message)=")
_TAIL = re.compile(rf"(?: [A-Za-z_][\w.]*={_VALUE})+$")
_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?\d{1,18}\.\d{1,18}(?:[eE][-+]?\d{1,3})?")
_LONGEST_HEADER = 4096


def header_parser(input_format: str, path: str = "") -> HeaderParser:
    """Return the function that makes a record of a header line, and None of a continuation line.

    Args:
        input_format: `auto`, `json`, `text`, or a `logging` format string.
        path: the log, for the format string of its session.

    Raises:
        ViewerError: the format string has no placeholder.
    """
    match_header = headers.choose(input_format, path)
    auto = input_format in ("auto", "text")

    def parse(raw: bytes, offset: int, source: str) -> Record | None:
        long = len(raw) > _LONGEST_HEADER
        text = (raw[:_LONGEST_HEADER] if long else raw).decode("utf-8", "backslashreplace")
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
        match = match_header(text)
        if match is not None:
            record = _record(match, raw, offset, source)
            if long:
                record.msg += raw[_LONGEST_HEADER:].decode("utf-8", "backslashreplace")
            return record
        if auto and "=" in text and not long and _LOGFMT_KEYS.search(text) and _LOGFMT.fullmatch(text):
            return _logfmt(text, raw, offset, source)
        return None

    return parse


def _own(match: re.Match[str], raw: bytes, offset: int, source: str) -> Record:
    """Return the record of a line in mplog's own layout."""
    stamp, level, process, pid, logger, msg = match.groups()
    record = Record(
        moment=times.parse(stamp), time_text=stamp, levelno=levels.number(level), level=level, msg=msg,
        logger=logger, process=process, pid=int(pid), raw=raw, offset=offset, source=source, fields={},
    )  # fmt: skip
    if "=" in msg and len(msg) < _LONGEST_HEADER:
        _take_fields(record)
    return record


def _record(match: re.Match[str], raw: bytes, offset: int, source: str) -> Record:
    if match.re is headers.OWN:
        return _own(match, raw, offset, source)
    found = match.groupdict()
    level, levelno = _level(found)
    stamp = found.get("time") or ""
    moment = _time_of(stamp, source) if stamp else None
    if moment is not None and moment.is_integer() and "f_msecs" in found:
        moment += min(float(found.pop("f_msecs")), 999.999) / 1000
    pid, line = found.get("pid"), found.get("line")
    return Record(
        moment=moment, time_text=stamp, levelno=levelno, level=level,
        msg=found["msg"] if "msg" in found else match[0], logger=(found.get("logger") or "").strip(),
        process=(found.get("process") or "").strip(), pid=int(pid) if pid else None,
        thread=found.get("thread") or "", file=found.get("file") or "", line=int(line) if line else None,
        func=found.get("func") or "", raw=raw, offset=offset, source=source,
        fields={name[2:]: value for name, value in found.items() if name.startswith("f_") and value is not
        None},
    )  # fmt: skip


def _level(found: dict[str, str | None]) -> tuple[str, int]:
    """Return the level that a header gives: its name, cut short maybe, or only its number."""
    level = (found.get("level") or "").strip()
    if not level:
        number = int(found.pop("f_levelno", None) or 0)
        return (levels.name(number), number) if number else ("", 0)
    levelno = levels.number(level)
    if not levelno and (levelno := levels.abbreviated(level)):
        return levels.STANDARD.get(levelno, level), levelno
    if levelno and not level.isupper():
        level = levels.STANDARD.get(levelno, level.upper())
    return level, levelno


def _take_fields(record: Record) -> None:
    """Move the key=value pairs that mplog's text layout puts behind the message into the fields."""
    match = _TAIL.search(record.msg)
    if match is None:
        return
    for name, text in _PAIR.findall(match[0]):
        record.fields[name] = value_of(text)
    record.msg = record.msg[: match.start()]


def value_of(text: str) -> Any:
    """Return the value of a logfmt token: a number, true, false, null, quoted or bare text."""
    if text.startswith('"'):
        decoded = decode_object(f'{{"v":{text}}}'.encode("utf-8", "backslashreplace"))
        return decoded["v"] if decoded else text[1:-1]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return {"true": True, "false": False, "null": None}.get(text, text)


def _logfmt(text: str, raw: bytes, offset: int, source: str) -> Record:
    data = {name: value_of(value) for name, value in _PAIR.findall(text)}
    record = foreign_record(data, raw, offset, source)
    record.format = "logfmt"
    return record


def _time_of(stamp: str, source: str) -> float | None:
    found = times.parse(stamp)
    if found is not None:
        return found
    clock = _CLOCK.fullmatch(stamp.strip())
    if clock is not None:
        seconds = int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
        return _midnight(source) + seconds + times.fraction(clock[4])
    try:
        return times.from_number(float(stamp))
    except ValueError:
        return times.parse_local_date(stamp.strip())


_midnights: dict[str, float] = {}


def _midnight(source: str) -> float:
    """Return the beginning of the day a file was last written, for lines that tell only the time of day."""
    if source not in _midnights:
        try:
            written = _time.localtime(os.stat(source).st_mtime)
        except (OSError, ValueError):
            written = _time.localtime()
        _midnights[source] = _time.mktime((*written[:3], 0, 0, 0, 0, 0, -1))
    return _midnights[source]


def plain_record(raw: bytes, offset: int, source: str) -> Record:
    """Return the record of a line without a header; one with NUL bytes is damaged."""
    text = raw.decode("utf-8", "backslashreplace")
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    damaged = b"\0" in raw
    kind = "damaged" if damaged else "plain"
    return Record(msg=text, raw=raw, offset=offset, source=source, damaged=damaged, format=kind)


def finish(record: Record, further: list[bytes]) -> None:
    """Add the continuation lines to a record: more of the message, or its exception."""
    while further and not further[-1].strip():
        further.pop()
    if not further:
        return
    record.raw = b"\n".join((record.raw, *further))
    lines = [line.decode("utf-8", "backslashreplace") for line in further]
    if any("\x1b" in line for line in lines):
        lines = [_COLOUR.sub("", line) for line in lines]
    if record.format == "text" and all(line.startswith("    ") or not line for line in lines):
        lines = [line[4:] for line in lines]
    more = "\n".join(lines)
    if record.format == "plain" and record.msg.startswith("Traceback "):
        record.exc = exctext.parse(f"{record.msg}\n{more}")
        record.msg = record.msg if not record.exc["type"] else f"{record.exc['type']}: {record.exc['message']}"
        return
    begin = exctext.begins_at(more)
    if begin is not None:
        record.exc = exctext.parse(more[begin:])
        more = more[:begin].rstrip("\n")
    if more:
        record.msg = f"{record.msg}\n{more}"
