"""One `logging.LogRecord` to one line, and back. Encoding runs in the calling process, decoding in the listener.

    key                journal writer adds seq
     |                          |
    0123456789abcdef {"time":...,"func":"work","seq":17,"exc":{...},"job":4}\n
    `------------- head ---------------------'  `-------- tail -----------'
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from mplog._decode import decode, level_number, to_log_record
from mplog._exceptions import dump, encode_exception, exception_data, text_data
from mplog._values import (
    FIELDS,
    cut,
    cut_quoted,
    encode_value,
    name_of_type,
    quote,
    safe_repr,
    safe_str,
)

__all__ = [
    "FIELDS",
    "Redact",
    "decode",
    "encode_exception",
    "encode_own",
    "encode_record",
    "encode_value",
    "level_number",
    "quote",
    "render",
    "timestamp",
    "to_log_record",
]

Redact = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes ``{"msg": ..., "exc": ..., own fields}`` as plain data and returns it without its secrets."""

REDACTION_FAILED = "[redaction failed]"
LEAST_RECORD = 1024

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}
_RESERVED = frozenset(FIELDS) | {"exc"}
_KNOWN_LEVELS = frozenset(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
_OF_STRUCTLOG = frozenset(("_logger", "_name", "_record", "_from_structlog"))


def render(msg: object, args: object) -> str:
    """Return ``msg % args`` as `logging` does, or the best that can be had; always text.

    Runs in the calling process. Three levels: the formatted message; the template with the
    representations of its arguments; the names of their types. RecursionError is caught as well,
    KeyboardInterrupt and SystemExit pass.
    """
    try:
        text = msg if type(msg) is str else str(msg)
        if args:
            if type(args) is tuple and len(args) == 1 and args[0] and isinstance(args[0], Mapping):
                args = args[0]
            text = text % args
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # the objects' own code, or arguments that do not fit
        return _render_broken(msg, args, error)


def _render_broken(msg: object, args: object, error: Exception) -> str:
    """Return the second or third level of `render`."""
    try:
        template = safe_str(msg)
        if not args:
            return template
        several = args if type(args) is tuple else (args,)
        shown = ", ".join([cut(safe_repr(arg), 4096) for arg in several[:64]])
        return f"{template} [arguments: {shown}] [{name_of_type(error)}: {cut(safe_str(error), 512)}]"
    except Exception:  # no room left on the stack, no memory, or a truth value that raises
        names = name_of_type(args) if type(args) is not tuple else ", ".join([type(arg).__name__ for arg in args[:64]])
        return f"{msg if type(msg) is str else name_of_type(msg)} [arguments: {names}]"


def encode_own(fields: Mapping[str, object]) -> str:
    """Return ``,"key":value,...`` for a record's own fields, or ``""``.

    Runs in the calling process. A name of the schema gets a trailing ``_``. Never raises an `Exception`.
    """
    if not fields:
        return ""
    try:
        parts = []
        for key, value in fields.items():
            if type(key) is not str:
                key = safe_str(key)
            if key in _RESERVED:
                key = _free_name(key, fields)
            parts.append(f",{quote(key)}:{quote(value) if type(value) is str else encode_value(value)}")
        return "".join(parts)
    except Exception:  # a mapping with code of its own
        return f',"fields":{quote(f"<unprintable {name_of_type(fields)}>")}'


def _free_name(key: str, fields: Mapping[str, object]) -> str:
    """Return `key` with as many ``_`` as it takes to clash with nothing."""
    key += "_"
    while key in fields:
        key += "_"
    return key


_second: tuple[int, str] = (-1, "")


def timestamp(created: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC with microseconds; the second's text is kept."""
    global _second
    second, micros = divmod(round(created * 1e6), 1_000_000)
    known, text = _second
    if second != known:
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        _second = (second, text)
    return f"{text}{micros:06d}Z"


def encode_record(
    record: logging.LogRecord, key: int, *, max_record: int = 1 << 20, redact: Redact | None = None
) -> tuple[bytes, bytes]:
    """Return the two halves of a record's line; the decimal ``seq`` belongs between them.

    Runs in the calling process. Whatever the record holds, there is a line, it is valid JSON in UTF-8
    and, with its ``seq``, no longer than `max_record`. Never raises an `Exception`.

    Args:
        key: Nanoseconds of the monotonic clock.
        max_record: Bytes of the whole line, at least 1024; longer ones lose the middle of their message.
        redact: Called with message, exception and own fields as plain data before anything is encoded.
    """
    try:
        state = record.__dict__
        msg, own = _content(record, state)
        exc = _exception(record, state)
        if len(msg) <= max_record and redact is None:
            tail_text = f",\"exc\":{dump(exc)}{encode_own(own)}}}\n" if exc else f"{encode_own(own)}}}\n"
            head = f"{key:016x} {_fixed(state, quote(msg), 0)}".encode()
            tail = tail_text.encode()
            if len(head) + len(tail) + 20 <= max_record:
                return head, tail
        elif redact is not None:
            msg, own, exc = redacted(redact, msg, own, exc)
        return _shorten(state, key, msg, own, exc, max(max_record, LEAST_RECORD))
    except Exception:  # nothing of the record can be trusted here, and no stack may be left
        return b'%016x {"time":"%b","level":"ERROR","msg":"<unprintable record>","logger":"","process":"","pid":%d,' \
            b'"thread":"","file":"","line":0,"func":"","seq":' % (
                key & 0xFFFFFFFFFFFFFFFF,
                time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()).encode(),
                os.getpid(),
            ), b"}\n"


def _content(record: logging.LogRecord, state: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a record's message and its own fields."""
    own = {name: value for name, value in state.items() if name not in _STANDARD}
    if (task := state.get("taskName")) is not None:
        own["task"] = task
    if stack := state.get("stack_info"):
        own["stack"] = stack
    msg = state.get("msg")
    if type(msg) is dict and "_name" in own:  # structlog's ProcessorFormatter.wrap_for_formatter
        own = {name: value for name, value in own.items() if name not in _OF_STRUCTLOG}
        event = dict(msg)
        text = safe_str(event.pop("event", ""))
        level = safe_str(state.get("levelname", "")).lower()
        for name, known in (("level", level), ("logger", state.get("name")), ("exc_info", None)):
            if name in event and (known is None or event[name] == known):
                del event[name]
        return text, own | {safe_str(name): value for name, value in event.items() if name not in _OF_STRUCTLOG}
    shown = state.get("levelname")
    if shown not in _KNOWN_LEVELS and type(shown) is str and shown[:6] != "Level ":
        own["levelno"] = state.get("levelno")
    if type(record).getMessage is logging.LogRecord.getMessage:
        return render(msg, state.get("args")), own
    try:
        return safe_str(record.getMessage()), own
    except Exception:  # a record class with its own idea of a message
        return render(msg, state.get("args")), own


def _exception(record: logging.LogRecord, state: dict[str, Any]) -> dict[str, Any] | None:
    """Return a record's exception as data, if it has one."""
    info = state.get("exc_info")
    msg = state.get("msg")
    if not info and type(msg) is dict and "_name" in state:
        info = msg.get("exc_info")
    try:
        if info and (data := exception_data(info)) is not None:
            return data
        text = state.get("exc_text")
        return text_data(safe_str(text)) if text else None
    except Exception:  # the exception's own code, or the recursion limit that it reports
        error = info[1] if type(info) is tuple and len(info) > 1 else info
        return {"type": name_of_type(error), "module": "", "message": "<unprintable>", "frames": []}


def _fixed(state: dict[str, Any], msg: str, most: int) -> str:
    """Return the fields every record has, up to ``"seq":``; each text at most `most` characters, 0 = all."""

    def text(name: str) -> str:
        value = state.get(name)
        value = "" if value is None else safe_str(value)
        return quote(cut(value, most) if most else value)

    created, pid, line = state.get("created"), state.get("process"), state.get("lineno")
    try:
        moment = timestamp(created)  # type: ignore[arg-type]
    except Exception:  # no number, or no time that a calendar has
        moment = timestamp(time.time())
    pid = pid if type(pid) is int and -1 < pid < 1 << 32 else os.getpid()
    line = line if type(line) is int and -1 < line < 1 << 32 else 0
    return (
        f'{{"time":"{moment}","level":{text("levelname")},"msg":{msg},"logger":{text("name")},'
        f'"process":{text("processName")},"pid":{pid},"thread":{text("threadName")},'
        f'"file":{text("pathname")},"line":{line},"func":{text("funcName")},"seq":'
    )


def _shorten(
    state: dict[str, Any], key: int, msg: str, own: dict[str, Any], exc: dict[str, Any] | None, size: int
) -> tuple[bytes, bytes]:
    """Return the line with its texts cut until it fits: own fields in a quarter, the exception in a half."""
    exc_text = f',"exc":{dump(exc)}' if exc else ""
    own_text = encode_own(own)
    before = len(msg) + len(exc_text) + len(own_text)
    most = size // 64
    room = size - 20 - len(_fixed(state, "", most).encode()) - 19
    if len(quote(msg[:size]).encode()) + len(exc_text.encode()) + len(own_text.encode()) <= room and len(msg) <= size:
        head = f"{key:016x} {_fixed(state, quote(msg), most)}".encode()
        return head, f"{exc_text}{own_text}}}\n".encode()
    note = f',"truncated":{before}'
    room -= len(note)
    if exc is not None:
        exc_text = _short_exception(exc, exc_text, room // 2)
    own_text = _short_own(own, own_text, room // 4)
    room -= len(exc_text.encode()) + len(own_text.encode())
    head = f"{key:016x} {_fixed(state, cut_quoted(msg, room), most)}".encode()
    return head, f"{exc_text}{own_text}{note}}}\n".encode()


def _short_exception(exc: dict[str, Any], text: str, room: int) -> str:
    """Return an exception's JSON in at most `room` bytes: without its chain, then with its ends only."""
    if len(text.encode()) <= room:
        return text
    frames = exc.get("frames", [])
    for count in (16, 4, 0):
        small = {"type": cut(exc["type"], room // 64), "module": cut(exc["module"], room // 64)}
        short: list[Any] = frames if len(frames) <= count else frames[: count // 2] + frames[len(frames) - count // 2:]
        rest = f',"frames":{dump(short)}}}'
        left = room - len(dump(small).encode()) - len(rest.encode()) - 64
        if left < room // 3:
            continue
        message = cut_quoted(exc["message"], left // 3)
        full = cut_quoted(exc.get("text", ""), left - len(message.encode()))
        return f',"exc":{dump(small)[:-1]},"message":{message}{rest[:-1]},"text":{full}}}'
    return ""


def _short_own(own: dict[str, Any], text: str, room: int) -> str:
    """Return own fields in at most `room` bytes: each that fits, then cut as text, then not at all."""
    if len(text.encode()) <= room:
        return text
    parts = []
    for name, value in own.items():
        part = encode_own({name: value})
        if len(part.encode()) > room // 2:
            label = encode_own({cut(safe_str(name), 64): 0})[:-1]
            part = label + cut_quoted(value if type(value) is str else encode_value(value), room // 2 - 64 * 7)
        used = len(part.encode())
        if used <= room:
            parts.append(part)
            room -= used
    return "".join(parts)


def redacted(
    redact: Redact, msg: str, own: Mapping[str, Any], exc: dict[str, Any] | None
) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Return message, own fields and exception without their secrets; nothing of them if that fails.

    Runs in the calling process. `redact` sees plain data (what the line would hold), so objects cannot
    hide a secret behind their attributes.
    """
    import json

    try:
        plain = json.loads("{" + encode_own(own)[1:] + "}")
        plain["msg"] = msg
        if exc is not None:
            plain["exc"] = exc
        result = dict(redact(plain))
        msg, exc = result.pop("msg"), result.pop("exc", None)
        if type(msg) is not str or not (exc is None or type(exc) is dict):
            raise TypeError("`redact` must keep `msg` a string and `exc` a dict")
        if exc is not None:
            exc = {"type": "", "module": "", "message": "", "frames": []} | exc
        return msg, result, exc
    except Exception:  # a secret that could not be looked for must not be written
        kept = None
        if exc is not None:
            kept = {"type": exc.get("type", ""), "module": exc.get("module", ""), "message": REDACTION_FAILED,
                    "frames": [], "text": REDACTION_FAILED}
        return REDACTION_FAILED, {}, kept
