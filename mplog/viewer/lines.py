"""A record as the viewer sees it, and the parsing of one line. Runs in the command `mplog`."""

from __future__ import annotations

from typing import Any

import msgspec

from mplog.viewer import levels, times


class Record:
    """Hold one log record, or one line that is none (`damaged`).

    `time` is epoch seconds or None; `raw` are the record's bytes without the last newline (a text record may
    have several lines), `offset` is where they begin in `source`; `fields` are the record's own fields.
    """

    __slots__ = (
        "damaged", "exc", "fields", "file", "format", "func", "level", "levelno", "line", "logger", "msg",
        "offset", "pid", "process", "raw", "seq", "source", "thread", "time", "time_text",
    )  # fmt: skip

    def __init__(
        self,
        *,
        time: float | None = None,
        time_text: str = "",
        levelno: int = 0,
        level: str = "",
        msg: str = "",
        logger: str = "",
        process: str = "",
        pid: int | None = None,
        thread: str = "",
        file: str = "",
        line: int | None = None,
        func: str = "",
        seq: int | None = None,
        exc: dict[str, Any] | None = None,
        fields: dict[str, Any] | None = None,
        raw: bytes = b"",
        offset: int = 0,
        source: str = "",
        damaged: bool = False,
        format: str = "text",  # noqa: A002
    ) -> None:
        self.time = time
        self.time_text = time_text
        self.levelno = levelno
        self.level = level
        self.msg = msg
        self.logger = logger
        self.process = process
        self.pid = pid
        self.thread = thread
        self.file = file
        self.line = line
        self.func = func
        self.seq = seq
        self.exc = exc
        self.fields: dict[str, Any] = {} if fields is None else fields
        self.raw = raw
        self.offset = offset
        self.source = source
        self.damaged = damaged
        self.format = format

    def __repr__(self) -> str:
        return (
            f"<Record {self.time_text} {self.level} {self.process}[{self.pid}] {self.logger}: {self.msg!r}>"
        )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def decode_object(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line; None when it is no JSON object."""
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return _lenient(raw)
    return value if type(value) is dict else None


def _lenient(raw: bytes) -> dict[str, Any] | None:
    """Accept what the standard library writes beyond JSON: NaN, Infinity, lone surrogates."""
    if raw[-1:] != b"}" and raw.rstrip()[-1:] != b"}":
        return None
    import json

    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def own_record(data: dict[str, Any], raw: bytes, offset: int, source: str) -> Record | None:
    """Return the record of an object in mplog's schema, which is used up; None when it has another schema."""
    stamp, level, msg = data.get("time"), data.get("level"), data.get("msg")
    if type(stamp) is not str or type(level) is not str or type(msg) is not str:
        return None
    record = Record.__new__(Record)
    pop = data.pop
    del data["time"], data["level"], data["msg"]
    record.time = times.parse_utc(stamp)
    record.time_text = stamp
    record.level = level
    record.levelno = _own_level(data, level) if "levelno" in data else levels.number(level)
    record.msg = msg
    logger, process, pid = pop("logger", ""), pop("process", ""), pop("pid", None)
    thread, file, func = pop("thread", ""), pop("file", ""), pop("func", "")
    line, seq, exc = pop("line", None), pop("seq", None), pop("exc", None)
    record.logger = logger if type(logger) is str else text_of(logger)
    record.process = process if type(process) is str else text_of(process)
    record.thread = thread if type(thread) is str else text_of(thread)
    record.file = file if type(file) is str else text_of(file)
    record.func = func if type(func) is str else text_of(func)
    record.pid = pid if type(pid) is int else None
    record.line = line if type(line) is int else None
    record.seq = seq if type(seq) is int else None
    record.exc = exc if type(exc) is dict else _foreign_exc(exc)
    record.fields = data
    record.raw = raw
    record.offset = offset
    record.source = source
    record.damaged = False
    record.format = "mplog"
    return record


def _own_level(data: dict[str, Any], level: str) -> int:
    """Return the number that mplog writes beside the name of a custom level."""
    number = data.pop("levelno")
    return number if type(number) is int else levels.number(level)


def _foreign_exc(value: object) -> dict[str, Any] | None:
    return None if value is None else {"type": "", "message": "", "text": text_of(value)}


def text_of(value: object) -> str:
    """Return a JSON value as a person writes it: text bare, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return _encode(value).decode("utf-8", "backslashreplace")
    except (UnicodeError, RecursionError, ValueError, OverflowError, msgspec.MsgspecError):
        return ascii(value)


def damaged_record(raw: bytes, offset: int, source: str) -> Record:
    """Return the stand-in for a line that is no record."""
    text = raw.decode("utf-8", "backslashreplace")
    return Record(msg=text, raw=raw, offset=offset, source=source, damaged=True, format="damaged")
