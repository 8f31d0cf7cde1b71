"""Values of fields as text: logfmt spelling, and JSON. Runs in the command `mplog`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mplog.viewer.escapes import escape, escape_json
from mplog.viewer.lines import Record

_PLAIN = re.compile(r'[^\s"=\\]+')
_encode = msgspec.json.Encoder().encode


def json_text(value: Any) -> str:
    """Return a value as JSON on one line, dangerous characters escaped."""
    try:
        text = _encode(value).decode()
    except (UnicodeError, RecursionError, ValueError, TypeError, OverflowError, msgspec.MsgspecError):
        import json

        try:
            text = json.dumps(value, separators=(",", ":"), default=repr)
        except (ValueError, RecursionError):
            text = '"<not shown: nested too deep>"'
    return escape_json(text)


def short(value: Any) -> str:
    """Return a field's value as people read it: plain words bare, everything else as JSON."""
    if type(value) is str:
        if _PLAIN.fullmatch(value) is not None:
            return escape(value)
        return json_text(value)
    if type(value) is int:
        return str(value) if -(1 << 64) < value < 1 << 64 else json_text(value)
    if type(value) is float:
        return repr(value)
    return json_text(value)


def as_object(record: Record, shows: Any = None) -> dict[str, Any]:
    """Return a record in mplog's schema, whatever it was read from; empty members are left out."""
    found: dict[str, Any] = {
        "time": utc_text(record.time) if record.time is not None else record.time_text or None,
        "level": record.level or None, "msg": record.msg, "logger": record.logger or None,
        "process": record.process or None, "pid": record.pid, "thread": record.thread or None,
        "file": record.file or None, "line": record.line, "func": record.func or None, "seq": record.seq,
        "exc": record.exc,
    }  # fmt: skip
    found = {name: value for name, value in found.items() if value is not None}
    for name, value in record.fields.items():
        found[name if name not in found else name + "_"] = value
    if shows is not None:
        found = {name: value for name, value in found.items() if shows(name)}
    return found


def utc_text(time: float) -> str:
    """Return epoch seconds as `2026-11-22T11:11:11.123456Z`."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromtimestamp(0, UTC).fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return str(time)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"
