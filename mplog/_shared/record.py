"""One `logging.LogRecord` to one line, and back. Runs in the calling process; `decode` in the listener.

::

    key              the journal writer adds seq
     |                            |
    0123456789abcdef {"time":...,"seq":17,"exc":{...},"job":4}
    `-------------- head -------------'  `------ tail ------'
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from mplog._shared.context import fields
from mplog._shared.decode import decode, level_number, to_log_record
from mplog._shared.exceptions import dump, encode_exception, exception_data, text_data
from mplog._shared.shorten import shorten
from mplog._shared.values import FIELDS, cut, encode_own, encode_value, name_of_type, quote, safe_repr, safe_str
from mplog._worker.template import task_name

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

Redact = Callable[[str, Mapping[str, Any], dict[str, Any] | None], tuple[str, Mapping[str, Any], dict[str, Any] | None]]
"""Takes message, own fields and exception data and returns them without their secrets: `mplog.redaction`."""

LEAST_RECORD = 1024
CLASHING = "_mplog_clashing"
"""Attribute of a structlog event's record: the own fields that are called as an attribute of every record,
such as `name`. The record has the context's fields already."""

_EMPTY = logging.LogRecord("", 0, "", 0, "", (), None).__dict__
_COUNT, _LAST = len(_EMPTY), next(reversed(_EMPTY))
_STANDARD = frozenset(_EMPTY) | {"message", "asctime", "taskName"}
_SCALARS = frozenset((str, int, float, bool, type(None)))
_KNOWN_LEVELS = frozenset(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
_OF_STRUCTLOG = frozenset(("_logger", "_name", "_record", "_from_structlog"))
_LAST_RESORT = (
    b'%016x {"time":"%b.000000Z","level":"ERROR","msg":%b,"logger":"","process":"","pid":%d,'
    b'"thread":"","file":"","line":0,"func":"","seq":'
)
_LAST_SECOND = 253402300799  # 9999-12-31, the end of RFC 3339


def render(msg: object, args: object) -> str:
    """Return ``msg % args`` as `logging` does, or the best that can be had; always text.

    Runs in the calling process. Three levels: the formatted message; the template with the
    representations of its arguments; the names of their types. RecursionError is caught as well,
    KeyboardInterrupt and SystemExit pass.
    """
    try:
        text = msg if type(msg) is str else str(msg)
        if args:
            if type(args) is tuple and len(args) == 1 and type(args[0]) not in _SCALARS:
                args = args[0] if isinstance(args[0], Mapping) and args[0] else args
            text = text % args
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # the objects' own code, or arguments that do not fit
        try:
            return _render_broken(msg, args, error)
        except Exception:  # no room left on the stack, or no memory
            return msg if type(msg) is str else "<unprintable message>"


def _render_broken(msg: object, args: Any, error: Exception) -> str:
    """Return the second or third level of `render`."""
    template = safe_str(msg)
    several = args if type(args) is tuple else (args,)
    try:
        if type(msg) is not str and not args:
            return template
        shown = ", ".join([cut(safe_repr(arg), 4096) for arg in several[:64]])
        return f"{template} [arguments: {shown}] [{name_of_type(error)}: {cut(safe_str(error), 512)}]"
    except Exception:  # a truth value that raises, no memory for the text
        return f"{template} [arguments: {', '.join([name_of_type(arg) for arg in several[:64]])}]"


_second: tuple[int, str] = (-1, "")


def timestamp(created: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC with microseconds.

    Runs in the calling process; the text of the second is kept for the next call.

    Raises:
        ValueError: `created` is before 1970 or after 9999.
    """
    global _second
    second, micros = divmod(round(created * 1e6), 1_000_000)
    known, text = _second
    if second != known:
        if not 0 <= second <= _LAST_SECOND:
            raise ValueError(f"`created` is {created!r}; use seconds since 1970")
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        _second = (second, text)
    return f"{text}{micros:06d}Z"


def encode_record(
    record: logging.LogRecord,
    key: int,
    *,
    max_record: int = 1 << 20,
    redact: Redact | None = None,
    show_locals: bool = False,
) -> tuple[bytes, bytes]:
    """Return the two halves of a record's line; the decimal ``seq`` belongs between them.

    Runs in the calling process. Whatever the record holds, there is a line, it is valid JSON in UTF-8
    and, with its ``seq``, no longer than `max_record`. Never raises an `Exception`.

    Args:
        record: Any record, also one made by hand.
        key: Nanoseconds of the monotonic clock.
        max_record: Bytes of the whole line, at least 1024. A longer one loses the middle of its texts and
            gets ``truncated``: the characters of message, exception and own fields before the cut.
        redact: Called with message, own fields and exception data before any of it is encoded.
        show_locals: Write exceptions with the local variables of their frames.
    """
    try:
        state = record.__dict__
        msg, own = _content(record, state)
        try:
            exc = _exception(state, show_locals)
        except Exception:  # the exception's own code: the message is worth more than its traceback
            exc = {"type": "", "module": "", "message": "<unprintable>", "frames": []}
        whole = len(msg)
        if redact is not None:
            # Four times what is kept: patterns take their time, and no half of a secret at the cut remains.
            msg, own, exc = redact(cut(msg, 4 * max_record), own, exc)
        exc_text = f',"exc":{dump(exc)}' if exc else ""
        own_text = encode_own(own)
        if len(msg) <= max_record:
            head = f"{key:016x} {_fixed(state, quote(msg), None)}".encode()
            tail = f"{exc_text}{own_text}}}\n".encode()
            if len(head) + len(tail) + 20 <= max_record:
                return head, tail
        size = max(max_record, LEAST_RECORD) - 20
        fixed = _fixed(state, "", size // 64)
        room = size - len(fixed.encode()) - 17
        literal, tail_text = shorten(room, whole, msg, own, own_text, exc, exc_text)
        return f"{key:016x} {_fixed(state, literal, size // 64)}".encode(), tail_text.encode()
    except Exception:  # nothing of the record can be trusted here, and no stack may be left to call anything
        msg = record.msg
        plain = type(msg) is str and redact is None and msg.isascii() and msg.isprintable()
        head = _LAST_RESORT % (
            key & 0xFFFFFFFFFFFFFFFF,
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()).encode(),
            quote(msg[:64]).encode() if plain else b'"<unprintable record>"',
            os.getpid(),
        )
        return head, b"}\n"


def _content(record: logging.LogRecord, state: dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return a record's message and its own fields."""
    own: dict[str, Any] = {} if CLASHING in state else dict(fields())
    if len(state) != _COUNT or next(reversed(state)) != _LAST:
        own.update({name: value for name, value in state.items() if name not in _STANDARD})
        own.update(own.pop(CLASHING, ()))
    if (task := state["taskName"] if "taskName" in state else task_name()) is not None:
        own["task_" if "task" in own else "task"] = task
    if stack := state.get("stack_info"):
        own["stack_" if "stack" in own else "stack"] = stack
    level = state.get("levelname")
    if level not in _KNOWN_LEVELS and type(level) is str and level[:6] != "Level ":
        own["levelno"] = state.get("levelno")
    msg = state.get("msg")
    if type(msg) is dict and "_name" in own:
        return _event(msg, state, own)
    if type(record).getMessage is logging.LogRecord.getMessage:
        return render(msg, state.get("args")), own
    try:
        return safe_str(record.getMessage()), own
    except Exception:  # a record class with its own idea of a message
        return render(msg, state.get("args")), own


def _event(msg: dict[str, Any], state: dict[str, Any], own: dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return text and fields of an event of structlog's `ProcessorFormatter.wrap_for_formatter`."""
    fields = {safe_str(name): value for name, value in (own | msg).items() if name not in _OF_STRUCTLOG}
    text = safe_str(fields.pop("event", ""))
    fields.pop("exc_info", None)
    if safe_str(fields.get("level")).upper() == state.get("levelname"):
        del fields["level"]
    if fields.get("logger") == state.get("name"):
        fields.pop("logger", None)
    return text, fields


def _exception(state: dict[str, Any], show_locals: bool) -> dict[str, Any] | None:
    """Return a record's exception as data, if it has one."""
    info, text = state.get("exc_info"), state.get("exc_text")
    if not info and not text and "_name" not in state:
        return None
    if not info and type(msg := state.get("msg")) is dict:
        info = msg.get("exc_info")
    if info and (data := exception_data(info, locals=show_locals)) is not None:
        return data
    return text_data(safe_str(text)) if text else None


def _fixed(state: dict[str, Any], msg: str, most: int | None) -> str:
    """Return the fields every record has, up to ``"seq":``, each text with at most `most` characters."""

    def text(name: str) -> str:
        value = state.get(name)
        if type(value) is not str:
            value = "" if value is None else safe_str(value)
        return quote(value[:most] if most else value)

    try:
        moment = timestamp(state["created"])
    except Exception:  # no number, or no time that a calendar has
        moment = timestamp(time.time())
    pid, line = state.get("process"), state.get("lineno")
    pid = pid if type(pid) is int and -1 < pid < 1 << 32 else os.getpid()
    line = line if type(line) is int and -1 < line < 1 << 32 else 0
    return (
        f'{{"time":"{moment}","level":{text("levelname")},"msg":{msg},"logger":{text("name")},'
        f'"process":{text("processName")},"pid":{pid},"thread":{text("threadName")},'
        f'"file":{text("pathname")},"line":{line},"func":{text("funcName")},"seq":'
    )
