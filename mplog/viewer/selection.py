"""What the options under "Select" ask for, as one condition and a span of time.

Runs in the command `mplog`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from mplog.viewer.comparisons import Compare, level_number
from mplog.viewer.conditions import (
    All,
    Condition,
    Either,
    Glob,
    Grep,
    LevelRange,
    LoggerLevels,
    Not,
    Predicate,
)
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.fields import SCHEMA, canonical

TOP = 1 << 30
_FIELD = re.compile(r"([A-Za-z_@][\w.@-]*)(!=|!~|>=|<=|=|~|>|<)(.*)", re.DOTALL)
_GREP_FIELD = re.compile(r"([A-Za-z_][\w.]*)~(.+)", re.DOTALL)


class Selection(msgspec.Struct):
    """Hold the conditions on records, and the span of time in epoch seconds; None is open."""

    condition: All = msgspec.field(default_factory=lambda: All(()))
    since: float | None = None
    until: float | None = None
    wanted_fields: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Say whether there is no condition but time: then damaged lines belong to what is shown."""
        return not self.condition.parts

    def predicate(self) -> Predicate | None:
        """Return the test of a record, time apart; None when every record passes."""
        return None if self.everything else self.condition.predicate()


def is_condition(argument: str) -> bool:
    """Say whether a positional argument is FIELD=VALUE and not a file."""
    return _FIELD.fullmatch(argument) is not None and not os.path.exists(argument)


def build(args: argparse.Namespace, conditions: list[str], zone: tzinfo | None = None) -> Selection:
    """Return the selection that parsed options and FIELD=VALUE arguments ask for.

    Raises:
        ViewerError: an unknown level, a wrong expression, query or time.
    """
    from mplog.viewer.timespec import parse_time

    parts: list[Condition] = [_levels(text) for text in args.level or ()]
    for option, name in (("process", "process"), ("thread", "thread"), ("logger", "logger")):
        parts += _globs(name, getattr(args, option) or ())
    if args.pid:
        parts.append(_one_of([Compare("pid", "=", str(pid)) for pid in args.pid]))
    if args.grep:
        parts.append(_one_of([_grep(text, "-g") for text in args.grep]))
    parts += [Not(_grep(text, "-G")) for text in args.grep_not or ()]
    parts += _field_conditions(conditions, zone)
    if args.query:
        from mplog.viewer.query import parse

        parts += [parse(text, zone=zone) for text in args.query]
    since = None if args.since is None else parse_time(args.since, zone=zone)
    until = None if args.until is None else parse_time(args.until, zone=zone)
    if since is not None and until is not None and since > until:
        raise ViewerError(f"--since {args.since!r} is later than --until {args.until!r}; exchange them")
    wanted = tuple(name for name in _own_fields(parts) if name)
    return Selection(All(tuple(parts)), since, until, wanted)


def _one_of(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _globs(name: str, patterns: Sequence[str]) -> list[Condition]:
    wanted = [Glob(name, pattern) for pattern in patterns if not pattern.startswith("!")]
    found: list[Condition] = [Not(Glob(name, pattern[1:])) for pattern in patterns if pattern.startswith("!")]
    return [_one_of([*wanted]), *found] if wanted else found


def _grep(text: str, option: str) -> Condition:
    from mplog.viewer.query import smart_regex

    match = _GREP_FIELD.fullmatch(text)
    name, pattern = (match[1], match[2]) if match else (None, text)
    try:
        return Grep(smart_regex(pattern), name)
    except ViewerError as error:
        raise ViewerError(f"{option}: {error.sentence}\n  {pattern}\n  {_caret(pattern)}") from None


def _caret(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return " " * (error.pos or 0) + "^"
    return "^"


def _levels(text: str) -> Condition:
    """Return the condition of one -l: LEVEL, LOW..HIGH, =A,B or a list with app.db=debug."""
    if text.startswith("="):
        numbers = [level_number(word) for word in text[1:].split(",")]
        return _one_of([LevelRange(number, number) for number in numbers])
    if ".." in text:
        low, _, high = text.partition("..")
        lowest, highest = level_number(low) if low else 0, level_number(high) if high else TOP
        if lowest > highest:
            raise ViewerError(f"-l {text!r} is an empty range; write the lower level first: {high}..{low}")
        return LevelRange(lowest, highest)
    loggers: dict[str, int] = {}
    for word in text.split(","):
        name, _, level = word.rpartition("=")
        loggers[name.strip()] = level_number(level)
    if list(loggers) == [""]:
        return LevelRange(loggers[""], TOP)
    return LoggerLevels(loggers)


def _field_conditions(arguments: list[str], zone: tzinfo | None) -> list[Condition]:
    """Return FIELD=VALUE arguments as conditions: one field twice means either, different fields both."""
    same: dict[str, list[Condition]] = {}
    others: list[Condition] = []
    for argument in arguments:
        match = _FIELD.fullmatch(argument)
        assert match is not None
        name, op, text = match[1], match[2], match[3]
        found = _field_condition(name, op, text, zone)
        if op == "=":
            same.setdefault(name, []).append(found)
        else:
            others.append(found)
    return [*(_one_of(parts) for parts in same.values()), *others]


def _field_condition(name: str, op: str, text: str, zone: tzinfo | None) -> Condition:
    if op in ("~", "!~"):
        found = _grep(f"{name}~{text}" if text else "", name)
        return Not(found) if op == "!~" else found
    real = canonical(name)
    if real in ("level", "levelno"):
        return Compare(name, op, float(level_number(text)))
    if real == "time":
        from mplog.viewer.timespec import parse_time

        return Compare(name, op, parse_time(text, zone=zone))
    return Compare(name, op, text)


def _own_fields(parts: list[Condition]) -> list[str]:
    found: list[str] = []
    for part in parts:
        inner = getattr(part, "parts", None) or ([part.part] if isinstance(part, Not) else None)
        if inner is not None:
            found += _own_fields(list(inner))
        else:
            name = getattr(part, "field", None)
            if isinstance(name, str) and canonical(name) not in SCHEMA and not isinstance(part, Glob):
                found.append(name)
    return list(dict.fromkeys(found))
