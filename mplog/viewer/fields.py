"""Names of fields, in a record and in the caller's words. Runs in the command `mplog`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from mplog.viewer.lines import Record

Getter = Callable[[Record], Any]

SCHEMA = ("time", "level", "msg", "logger", "process", "pid", "thread", "file", "line", "func", "seq", "exc")
ALIASES = {"message": "msg", "levelname": "level", "exception": "exc", "timestamp": "time", "name": "logger"}
_EXTRA = ("source", "offset", "format", "damaged", "levelno")


def canonical(name: str) -> str:
    """Return the schema's name for a usual other spelling (`message` is `msg`); other names unchanged."""
    return name if name in SCHEMA else ALIASES.get(name.lower(), name)


def getter(name: str) -> Getter:
    """Return the function that gets a field by name from a record: None where the record has none.

    A schema name, an own field, or a dotted path into one (`exc.type`, `request.user.id`).
    """
    real = canonical(name)
    if real in SCHEMA or real in _EXTRA:
        get = attrgetter(real)
        if real != name:
            return lambda record: record.fields[name] if name in record.fields else get(record) or None
        return lambda record: None if (value := get(record)) == "" else value
    if "." not in name:
        return lambda record: record.fields.get(name)
    first, *rest = name.split(".")
    first = canonical(first)

    def dotted(record: Record) -> Any:
        fields = record.fields
        if name in fields:
            return fields[name]
        value: Any = getattr(record, first) if first in SCHEMA else fields.get(first)
        for part in rest:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    return dotted


def reader(name: str) -> Getter:
    """Return the function that gets a field by name as it stands in the file: a time as text, not as a number."""
    get = getter(name)
    if canonical(name) != "time":
        return get
    return lambda record: record.fields.get(name) or record.time_text or None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'user'?` for the name most like it, or nothing."""
    import difflib

    close = difflib.get_close_matches(name.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    spelled = {k.lower(): k for k in known}
    return f"; did you mean {spelled[close[0]]!r}?" if close else ""
