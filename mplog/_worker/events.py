"""What a structlog call holds, from its keywords to what `logging` calls them. Runs in a worker."""

import io
import logging
import sys
import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple

from mplog._shared.record import render
from mplog._shared.values import safe_str

_INTERNAL = frozenset(("_record", "_logger", "_name", "_from_structlog"))


class Event(NamedTuple):
    """A call, on its way to a record."""

    level: int
    msg: str
    own: Mapping[str, Any]
    exc_info: Any
    stack: Any


def event_of(result: Any, level: int, logger: str) -> Event:
    """Return the event that the last processor has left, in any of the forms that structlog knows."""
    if type(result) is tuple and len(result) == 2:  # a logger's arguments, as `wrap_for_formatter` gives
        first = result[0][0] if result[0] else {}
        result = {**dict(result[1]), **first} if isinstance(first, Mapping) else first
    if isinstance(result, (bytes, bytearray)):
        result = bytes(result).decode("utf-8", "backslashreplace")
    if not isinstance(result, Mapping):
        return Event(level, safe_str(result), {}, None, None)
    left = {safe_str(name): value for name, value in result.items() if name not in _INTERNAL}
    if isinstance(extra := left.get("extra"), Mapping) and ("_logger" in extra or "event" not in left):
        left |= {name: value for name, value in left.pop("extra").items() if name not in _INTERNAL}
    msg = left.pop("event") if "event" in left else left.pop("msg", None)
    if left.get("level") == name_of_level(level):
        del left["level"]
    if left.get("logger") == logger:
        del left["logger"]
    exc_info, stack = left.pop("exc_info", None), left.pop("stack_info", None)
    return Event(level, text_of(msg, ()), left, exc_info, stack)


def text_of(event: Any, args: Any) -> str:
    """Return an event's text, its arguments filled in as structlog and `logging` do."""
    return "" if event is None and not args else render(event, args)


def number(level: int | str) -> int:
    """Return a level's number; what is none counts as INFO, as a call may not raise."""
    if isinstance(level, str):
        level = logging.getLevelName(level.upper())
    return level if isinstance(level, int) else logging.INFO


def name_of_level(level: int) -> str:
    """Return the name that structlog's processors know a level by."""
    return safe_str(logging.getLevelName(level)).lower()


def depth(stacklevel: Any) -> int:
    return stacklevel - 1 if isinstance(stacklevel, int) else 0


def is_wanted(given: Any) -> bool:
    """Tell whether an ``exc_info`` or ``stack_info`` argument asks for it: so does what cannot be asked."""
    try:
        return bool(given)
    except Exception:  # the application's own object
        return True


def exc_info_of(given: Any) -> Any:
    """Return what `logging` keeps of an ``exc_info`` argument."""
    if not is_wanted(given):
        return None
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    info = given if isinstance(given, tuple) and len(given) == 3 else sys.exc_info()
    return info if info[1] is not None else None


def stack_of(frame: FrameType) -> str:
    """Return the stack as `logging` shows it."""
    text = io.StringIO()
    traceback.print_stack(frame, file=text)
    return "Stack (most recent call last):\n" + text.getvalue().rstrip("\n")
