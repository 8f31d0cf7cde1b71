"""One line back to a record: for the handlers and formatters. Runs in the listener."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from mplog._shared.values import FIELDS

MAX_LINE = 64 << 20
MAX_DEPTH = 64

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50, "NOTSET": 0}
_TEXTS = ("time", "level", "msg", "logger", "process", "thread", "file", "func")
_NUMBERS = ("pid", "line", "seq")
_fast: Callable[[bytes], Any] | None = None


def _load(line: bytes) -> Any:
    """Decode JSON with msgspec, imported at the first line; tolerantly what it refuses."""
    global _fast
    if _fast is None:
        import msgspec

        _fast = msgspec.json.Decoder().decode
    try:
        return _fast(line)
    except Exception:  # msgspec's own errors, RecursionError: have the second, slower look
        return _load_tolerant(line)


def _load_tolerant(line: bytes) -> Any:
    """Decode what a person could still read: bad UTF-8, lone surrogates, NaN, raw control characters."""
    import json

    try:
        return _mend(json.loads(line.decode("utf-8", "surrogateescape"), strict=False))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the line is no JSON object: {line[:80]!r}") from error


def _mend(value: Any) -> Any:
    """Replace lone surrogates, so that every text can be encoded again."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return [_mend(item) for item in value] if isinstance(value, list) else value


def _too_deep(value: Any) -> bool:
    """Say whether containers are nested deeper than any encoder of ours writes."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for box in level
            for item in (box.values() if isinstance(box, dict) else box)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def decode(line: bytes) -> dict[str, Any]:
    """Return the fields of one line, with or without its journal key.

    Runs in the listener. The types of the schema's fields hold afterwards, whoever wrote the line:
    ``pid``, ``line`` and ``seq`` are integers, the others text, and missing ones are empty.

    Raises:
        ValueError: The line is no JSON object, is longer than 64 MiB, or is nested deeper than 64.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"the line has {len(line)} bytes, more than {MAX_LINE}")
    if line[16:18] == b" {":
        line = line[17:]
    fields = _load(line)
    if type(fields) is not dict:
        raise ValueError(f"the line is no JSON object: {line[:80]!r}")
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and _too_deep(fields):
        raise ValueError(f"the line is nested deeper than {MAX_DEPTH}: {line[:80]!r}")
    get = fields.get
    for name in _TEXTS:
        if type(get(name)) is not str:
            value = get(name)
            fields[name] = "" if value is None else str(value)
    for name in _NUMBERS:
        if type(get(name)) is not int:
            fields[name] = 0
    return fields


@cache
def _unsafe() -> re.Pattern[str]:
    return re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def clean(line: bytes) -> bytes:
    """Return a line in which what our own encoder would have escaped is escaped, as JSON escapes it inside a string.

    Runs in the listener.

    Args:
        line: Anything; its newline stays.

    """
    return _unsafe().sub(_visible, line.decode("utf-8", "surrogateescape")).encode()


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    # A byte that is no UTF-8 has no JSON escape of its own: it becomes text.
    return f"\\\\x{code - 0xDC00:02x}" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def level_number(name: str, fields: dict[str, Any] | None = None) -> int:
    """Return the number of a level's name: a known one, ``Level 15``, or the record's ``levelno``; else 20.

    Runs in the listener, which may not know the names a worker has added.
    """
    number = _LEVELS.get(name)
    if number is not None:
        return number
    if fields is not None and type(fields.get("levelno")) is int:
        return int(fields["levelno"])
    if name.startswith("Level ") and name[6:].isascii() and name[6:].isdigit() and len(name) < 16:
        return int(name[6:])
    known = logging.getLevelName(name)
    return known if isinstance(known, int) else logging.INFO


def epoch(time: str) -> float:
    """Return seconds since 1970 of a record's ``time``; 0.0 if it is no time."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0


_sample = logging.LogRecord("", 0, "", 0, "", (), None)
_started = _sample.created
_ATTRIBUTES = frozenset(dir(_sample)) | {"message", "asctime", "taskName"}


@lru_cache(1024)
def _names_of(path: str) -> tuple[str, str]:
    """Return file name and module name of a path, as `logging` does."""
    filename = os.path.basename(path)
    return filename, os.path.splitext(filename)[0]


def to_log_record(fields: dict[str, Any]) -> logging.LogRecord:
    """Return a `logging.LogRecord` for a user's handler, with every documented attribute set.

    Runs in the listener. The message is final (``args`` is None), an exception arrives as ``exc_text``,
    own fields are attributes; those that would hide an attribute of the record get a trailing ``_``.

    Args:
        fields: What `decode` returned; left as it is.

    """
    level, file, line = fields["level"], fields["file"], fields["line"]
    number = level_number(level, fields)
    record = object.__new__(logging.LogRecord)  # its `__init__` asks for this process, thread, task and time
    created = epoch(fields["time"])
    filename, module = _names_of(file)
    state = record.__dict__
    state.update(
        name=fields["logger"],
        msg=fields["msg"],
        args=None,
        levelname=level,
        levelno=number,
        pathname=file,
        filename=filename,
        module=module,
        exc_info=None,
        exc_text=None,
        stack_info=None,
        lineno=line,
        funcName=fields["func"],
        created=created,
        msecs=float(round(created * 1e6) // 1000 % 1000),
        relativeCreated=(created - _started) * 1000,
        process=fields["pid"],
        processName=fields["process"],
        thread=0,
        threadName=fields["thread"],
        taskName=None,
    )
    for key, value in fields.items():
        if key in _SCHEMA or key == "levelno":
            continue
        if key == "exc":
            text = value.get("text") if isinstance(value, dict) else value
            state["exc_text"] = text if isinstance(text, str) else None
        elif key == "stack":
            state["stack_info"] = value if isinstance(value, str) else None
        elif key == "task":
            state["taskName"] = value
        else:
            state[f"{key}_" if key in _ATTRIBUTES else key] = value
    return record


_SCHEMA = frozenset(FIELDS)
