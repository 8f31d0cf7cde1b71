"""Conditions on records, and the bytes that a matching line must hold. Runs in the command `mplog`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from mplog.viewer import levels
from mplog.viewer.fields import canonical, getter, reader
from mplog.viewer.lines import Record, text_of
from mplog.viewer.needles import Needle, any_needle, field_needle, level_needle, regex_needle

Predicate = Callable[[Record], bool]


class Condition(Protocol):
    """One condition: `predicate()` decides, `needle()` names bytes that every matching line holds."""

    def predicate(self) -> Predicate:
        """Return the function that decides on a record."""
        ...

    def needle(self) -> Needle | None:
        """Return what to look for in the bytes, or None when the bytes say nothing."""
        ...


class All(msgspec.Struct, frozen=True):
    """Every part holds."""

    parts: Sequence[Condition]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Either) else str(part) for part in self.parts)

    def predicate(self) -> Predicate:
        """Return the conjunction; cheap special cases for none, one and two parts."""
        tests = [part.predicate() for part in self.parts]
        if not tests:
            return lambda _record: True
        if len(tests) == 1:
            return tests[0]
        if len(tests) == 2:
            one, two = tests
            return lambda record: one(record) and two(record)
        return lambda record: all(test(record) for test in tests)

    def needles(self) -> list[Needle]:
        """Return every needle of the parts: a matching line holds each."""
        found: list[Needle] = []
        for part in self.parts:
            if isinstance(part, All):
                found += part.needles()
            else:
                needle = part.needle()
                if needle is not None:
                    found.append(needle)
        return found

    def needle(self) -> Needle | None:
        """Return the first needle; `needles` has them all."""
        return next(iter(self.needles()), None)


class Either(msgspec.Struct, frozen=True):
    """At least one part holds."""

    parts: Sequence[Condition]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))

    def predicate(self) -> Predicate:
        """Return the disjunction."""
        tests = [part.predicate() for part in self.parts]
        if len(tests) == 1:
            return tests[0]
        return lambda record: any(test(record) for test in tests)

    def needle(self) -> Needle | None:
        """Return the union of the parts' needles; None as soon as one has none."""
        return any_needle([part.needle() for part in self.parts])


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: Condition

    def __str__(self) -> str:
        return f"not ({self.part})"

    def predicate(self) -> Predicate:
        """Return the negation."""
        test = self.part.predicate()
        return lambda record: not test(record)

    def needle(self) -> Needle | None:
        """Return None: absence leaves no trace."""
        return None


class LevelRange(msgspec.Struct, frozen=True):
    """The level's number is between two numbers, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        low, high = levels.name(self.low), levels.name(self.high)
        if self.low == self.high:
            return f"level is {low}"
        return f"level is {low} or worse" if self.high >= 1 << 30 else f"level is between {low} and {high}"

    def predicate(self) -> Predicate:
        """Return the comparison."""
        low, high = self.low, self.high
        if high >= 1 << 30:
            return lambda record: record.levelno >= low
        return lambda record: low <= record.levelno <= high

    def needle(self) -> Needle | None:
        """Return the known names in the range."""
        return level_needle(self.low, self.high)


class LoggerLevels(msgspec.Struct, frozen=True):
    """The level is at least that of the record's nearest named logger; "" is the root, other loggers pass."""

    loggers: dict[str, int]

    def __str__(self) -> str:
        return "level by logger: " + ", ".join(f"{k or 'others'}>={levels.name(v)}" for k, v in self.loggers.items())

    def predicate(self) -> Predicate:
        """Return the test, with the level of each logger remembered."""
        least: dict[str, int] = {}

        def test(record: Record) -> bool:
            name = record.logger
            known = least.get(name)
            if known is None:
                if len(least) > 4096:
                    least.clear()
                known = least[name] = self._least(name)
            return record.levelno >= known

        return test

    def _least(self, name: str) -> int:
        while name and name not in self.loggers:
            name = name.rpartition(".")[0]
        return self.loggers.get(name, 0)

    def needle(self) -> Needle | None:
        """Return the known names from the lowest level on."""
        return level_needle(min((*self.loggers.values(), self.loggers.get("", 0))), 1 << 30)


class Glob(msgspec.Struct, frozen=True):
    """A text field matches a shell pattern; `logger` without a wildcard also means its children."""

    field: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.field} is like {self.pattern!r}"

    def predicate(self) -> Predicate:
        """Return the match, remembered for each value: names are few."""
        get = getter(self.field)
        match = re.compile(fnmatch.translate(self.pattern)).match
        children = self.pattern + "." if self.field == "logger" and not _has_magic(self.pattern) else None
        seen: dict[str, bool] = {}

        def test(record: Record) -> bool:
            value = get(record) or ""
            known = seen.get(value)
            if known is None:
                known = match(value) is not None or (children is not None and value.startswith(children))
                if len(seen) < 4096:
                    seen[value] = known
            return known

        return test

    def needle(self) -> Needle | None:
        """Return the literal beginning of the pattern."""
        literal = re.split(r"[*?\[]", self.pattern, maxsplit=1)[0]
        return field_needle(self.field, literal, whole=literal == self.pattern and self.field != "logger")


def _has_magic(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


class Grep(msgspec.Struct, frozen=True):
    """A regular expression is found in the message or the exception (no field), or in one field."""

    regex: re.Pattern[str]
    field: str | None = None

    def __str__(self) -> str:
        case = ", any case" if self.regex.flags & re.IGNORECASE else ""
        return f"{self.field or 'message or exception'} matches {self.regex.pattern!r}{case}"

    def predicate(self) -> Predicate:
        """Return the search."""
        search = self.regex.search
        if self.field is None:
            return lambda record: (
                search(record.msg) is not None
                or (record.exc is not None and search(exception_text(record.exc)) is not None)
            )
        get = reader(self.field)
        if canonical(self.field) == "exc":
            return lambda record: record.exc is not None and search(exception_text(record.exc)) is not None
        return lambda record: (value := get(record)) is not None and search(text_of(value)) is not None

    def needle(self) -> Needle | None:
        """Return the longest literal every match holds."""
        return regex_needle(self.regex)


def exception_text(exc: dict[str, Any], depth: int = 0) -> str:
    """Return what can be searched of an exception: its text, else type and message along the chain."""
    text = exc.get("text")
    if isinstance(text, str):
        return text
    head = f"{text_of(exc.get('type'))}: {text_of(exc.get('message'))}"
    inner = exc.get("cause") or exc.get("context")
    if isinstance(inner, dict) and depth < 20:
        return f"{exception_text(inner, depth + 1)}\n{head}"
    return head


class Exists(msgspec.Struct, frozen=True):
    """The record has the field, with a value."""

    field: str

    def __str__(self) -> str:
        return f"{self.field} is there"

    def predicate(self) -> Predicate:
        """Return the test for a value."""
        get = getter(self.field)
        return lambda record: get(record) is not None

    def needle(self) -> Needle | None:
        """Return the field's key as it is written."""
        return field_needle(self.field, None) if self.field == canonical(self.field) else None
