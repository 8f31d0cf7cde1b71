"""Exceptions grouped by frames, not by text. Runs in the command `mplog`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from mplog.viewer.lines import Record, text_of
from mplog.viewer.templates import mask
from mplog.viewer.timeline import Timeline

_DEEPEST = 50  # links of a chain that are looked at: a hostile log may nest thousands
_MOST = 2000  # groups kept apart
_NAMES = 1000  # processes, messages kept apart in a group
_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "\\lib\\", "<")


class Frame:
    """One frame of a traceback."""

    __slots__ = ("file", "func", "line", "source")

    def __init__(self, data: dict[str, Any]) -> None:
        line = data.get("line")
        self.file = text_of(data.get("file"))
        self.func = text_of(data.get("func"))
        self.source = text_of(data.get("source")).strip()
        self.line = line if type(line) is int else 0

    @property
    def place(self) -> str:
        """Return the place as `file:line`, which editors and terminals can open."""
        return f"{self.file}:{self.line}"

    @property
    def library(self) -> bool:
        """Tell whether this is not the application's own code."""
        return any(part in self.file for part in _LIBRARY)


def frames(exc: dict[str, Any]) -> list[Frame]:
    """Return the frames of an exception, oldest first."""
    found = exc.get("frames")
    return [Frame(data) for data in found if isinstance(data, dict)] if isinstance(found, list) else []


def kind(exc: dict[str, Any]) -> str:
    """Return the type as Python prints it: with its module unless that is builtins or __main__."""
    module, name = text_of(exc.get("module")), text_of(exc.get("type")) or "exception"
    return name if module in ("", "builtins", "__main__") else f"{module}.{name}"


def links(exc: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the chain below an exception, the nearest first: how it is linked, and the exception."""
    stack = list(_below(exc))[::-1]
    count = 0
    while stack and count < _DEEPEST:
        relation, inner = stack.pop()
        yield relation, inner
        stack += list(_below(inner))[::-1]
        count += 1


def _below(exc: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    cause, context = exc.get("cause"), exc.get("context")
    if isinstance(cause, dict):
        yield "caused by", cause
    elif isinstance(context, dict) and not exc.get("suppressed"):
        yield "while handling", context
    members = exc.get("group")
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict):
            yield "in the group", member


def key(exc: dict[str, Any]) -> Hashable:
    """Return what makes two exceptions the same: type and frames of the whole chain, never the message."""
    parts = [_own_key("", exc)]
    for relation, inner in links(exc):
        part = _own_key(relation, inner)
        if part not in parts[-3:]:  # a group of a thousand equal members is one kind of failure
            parts.append(part)
    return tuple(parts)


def _own_key(relation: str, exc: dict[str, Any]) -> tuple[str, str, tuple[tuple[str, int, str], ...]]:
    places = tuple((frame.file, frame.line, frame.func) for frame in frames(exc))
    name = kind(exc)
    return relation, name, places or ((mask(text_of(exc.get("message"))), 0, ""),)


class Group:
    """Count the exceptions that were raised in the same way; `exc` is the first of them."""

    __slots__ = (
        "count", "exc", "first", "last", "levels", "loggers", "messages", "processes", "record", "timeline",
    )  # fmt: skip

    def __init__(self, record: Record, exc: dict[str, Any]) -> None:
        self.exc = exc
        self.record = record
        self.count = 0
        self.first: float | None = None
        self.last: float | None = None
        self.processes: dict[str, int] = {}
        self.loggers: dict[str, int] = {}
        self.levels: dict[str, int] = {}
        self.messages: dict[str, int] = {}
        self.timeline = Timeline(500)

    def add(self, record: Record, exc: dict[str, Any]) -> None:
        """Count one more."""
        self.count += 1
        name = record.process or (f"pid {record.pid}" if record.pid is not None else "")
        for counts, value in (
            (self.processes, name),
            (self.loggers, record.logger),
            (self.levels, record.level),
            (self.messages, text_of(exc.get("message"))[:500]),
        ):
            if value in counts or len(counts) < _NAMES:
                counts[value] = counts.get(value, 0) + 1
        if record.time is not None:
            self.first = record.time if self.first is None else min(self.first, record.time)
            self.last = record.time if self.last is None else max(self.last, record.time)
            self.timeline.add(record.time, record.levelno)

    def message(self) -> str:
        """Return the one message, or what all have in common, or the most frequent."""
        if len(self.messages) == 1:
            return next(iter(self.messages))
        masks = {mask(message) for message in self.messages}
        if len(masks) == 1:
            return masks.pop()
        best = max(self.messages, key=lambda message: self.messages[message])
        others = len(self.messages) - 1
        more = "+" if others + 1 >= _NAMES else ""
        return f"{best} (and {others:,}{more} other message{'' if others == 1 else 's'})"


def collect(records: Iterable[Record]) -> tuple[list[Group], int, int]:
    """Return the groups as they appeared, the number of exceptions, and how many are in no group."""
    groups: dict[Hashable, Group] = {}
    total = beyond = 0
    for record in records:
        exc = record.exc
        if exc is None or record.damaged:
            continue
        total += 1
        name = key(exc)
        group = groups.get(name)
        if group is None:
            if len(groups) >= _MOST:
                beyond += 1
                continue
            group = groups[name] = Group(record, exc)
        group.add(record, exc)
    return list(groups.values()), total, beyond
