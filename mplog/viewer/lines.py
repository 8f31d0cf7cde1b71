"""A record as the viewer sees it, and the parsing of one line. Runs in the command `mplog`."""

from __future__ import annotations

from typing import Any

import msgspec

from mplog.viewer import levels, times

NOT_READ = float("nan")
"""The moment of a record whose time stamp nobody has asked for yet."""

_INSIDE = ("moment", "levelno", "exc", "fields", "raw", "offset", "source", "damaged", "format")
_JSON_NAMES = {"time_text": "time", **{name: f"({name})" for name in _INSIDE}}


class Record(msgspec.Struct, kw_only=True, eq=False, gc=False, forbid_unknown_fields=True, rename=_JSON_NAMES.get):
    """Hold one log record, or one line that is none (`damaged`).

    `moment` is what `time` returns, as soon as it is known; `raw` are the record's bytes without the last newline (a
    text record may have several lines), `offset` is where they begin in `source`; `fields` are the record's own fields.
    Most members are decoded straight from mplog's JSON; those of no JSON name are set afterwards.
    """

    time_text: str = ""
    level: str = ""
    msg: str = ""
    logger: str = ""
    process: str = ""
    pid: int | None = None
    thread: str = ""
    file: str = ""
    line: int | None = None
    func: str = ""
    seq: int | None = None
    moment: float | None = None
    levelno: int = 0
    exc: dict[str, Any] | None = None
    fields: dict[str, Any] = {}
    raw: bytes = b""
    offset: int = 0
    source: str = ""
    damaged: bool = False
    format: str = "text"

    @property
    def time(self) -> float | None:
        """Return when it was made, in epoch seconds; None if that is not known."""
        moment = self.moment
        if moment is not None and moment != moment:
            moment = self.moment = times.parse_utc(self.time_text)
        return moment

    def __repr__(self) -> str:
        return f"<Record {self.time_text} {self.level} {self.process}[{self.pid}] {self.logger}: {self.msg!r}>"


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
        value = json.loads(raw, parse_int=_lenient_int)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def _lenient_int(digits: str) -> float:
    """Return a number; one that Python refuses to convert for its length is infinite."""
    return int(digits) if len(digits) < 4000 else float(digits)


_SCHEMA = frozenset(name for name in Record.__struct_encode_fields__ if name[0] != "(")
_decode_record = msgspec.json.Decoder(Record).decode


def decode_own(raw: bytes, offset: int, source: str) -> Record | None:
    """Return the record of a line exactly as mplog writes it; None when it is anything else.

    The schema's members come first and `seq` is the last of them, so that they can be decoded straight into a
    record, and only what follows into a dict.
    """
    at = raw.find(b',"seq":')
    if at < 0 or raw[:9] != b'{"time":"':
        return None
    comma = raw.find(b",", at + 7)
    exc = None
    try:
        if comma < 0:
            record = _decode_record(raw)
            record.fields = fields = {}
        else:
            record = _decode_record(raw[:comma] + b"}")
            record.fields = fields = _decode(b"{" + raw[comma + 1 :])
            if not _SCHEMA.isdisjoint(fields):
                return None  # of members that occur twice the last one counts, as everywhere in JSON
            if "exc" in fields:
                exc = fields.pop("exc")
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return None
    record.moment = NOT_READ
    record.levelno = _own_level(fields, record.level) if "levelno" in fields else levels.number(record.level)
    record.exc = exc if exc is None or type(exc) is dict else _foreign_exc(exc)
    record.damaged = False
    record.raw = raw
    record.offset = offset
    record.source = source
    record.format = "mplog"
    return record


def own_record(data: dict[str, Any], raw: bytes, offset: int, source: str) -> Record | None:
    """Return the record of an object in mplog's schema, which is used up; None when it has another schema."""
    stamp, level, msg = data.get("time"), data.get("level"), data.get("msg")
    if type(stamp) is not str or type(level) is not str or type(msg) is not str:
        return None
    if "file" not in data and type(data.get("source")) is dict:  # slog's place, in its spelling
        return None
    del data["time"], data["level"], data["msg"]
    levelno = _own_level(data, level) if "levelno" in data else levels.number(level)
    logger, process, thread, file, func = (
        _text(data, name) for name in ("logger", "process", "thread", "file", "func")
    )
    pid, line, seq = (_integer(data, name) for name in ("pid", "line", "seq"))
    exc = data.pop("exc", None)
    return Record(
        moment=times.parse_utc(stamp), time_text=stamp, level=level, levelno=levelno, msg=msg, logger=logger,
        process=process, pid=pid, thread=thread, file=file, line=line, func=func, seq=seq,
        exc=exc if type(exc) is dict else _foreign_exc(exc), fields=data,
        raw=raw, offset=offset, source=source, format="mplog",
    )  # fmt: skip


def _text(data: dict[str, Any], name: str) -> str:
    value = data.pop(name, "")
    return value if type(value) is str else text_of(value)


def _integer(data: dict[str, Any], name: str) -> int | None:
    value = data.pop(name, None)
    return value if type(value) is int else None


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
        pass
    try:
        return ascii(value)
    except RecursionError:
        return "<nested too deep>"


def damaged_record(raw: bytes, offset: int, source: str) -> Record:
    """Return the stand-in for a line that is no record."""
    text = raw.decode("utf-8", "backslashreplace")
    return Record(msg=text, raw=raw, offset=offset, source=source, damaged=True, format="damaged")
