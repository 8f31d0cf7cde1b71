"""Comparisons of a field with a value, and levels as people name them. Runs in the command `mplog`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import msgspec

from mplog.viewer import levels
from mplog.viewer.conditions import Predicate
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.fields import canonical, getter, nearest
from mplog.viewer.lines import Record, text_of
from mplog.viewer.needles import Needle, field_needle, level_needle
from mplog.viewer.values import utc_text


class Compare(msgspec.Struct, frozen=True):
    """A field compares with a value: numbers as numbers, text as text, levels by rank, times as times.

    A record without the field satisfies only `!=`.
    """

    field: str
    op: str
    value: Any

    def __str__(self) -> str:
        name, value = canonical(self.field), self.value
        if name in ("level", "time"):
            value = levels.name(int(value)) if name == "level" else utc_text(value)
        return f"{self.field} {self.op} {value}"

    def predicate(self) -> Predicate:
        """Return the comparison."""
        name = canonical(self.field)
        if name in ("level", "levelno"):
            return _compare_numbers(lambda record: record.levelno, self.op, self.value)
        get = getter(self.field)
        if name == "time" or (isinstance(self.value, float)):
            return _compare_numbers(get, self.op, self.value)
        return _compare_values(get, self.op, str(self.value))

    def needle(self) -> Needle | None:
        """Return the field with its value for `=`, or only the field's key where it must be present."""
        name = canonical(self.field)
        if name in ("level", "levelno"):
            low, high = _bounds(self.op, self.value)
            return None if low is None or high is None else level_needle(low, high)
        if self.op == "!=" or name == "time" or name != self.field:
            return None
        if self.op == "=" and "." not in self.field:
            return field_needle(name, str(self.value), whole=True, bare=_plain_number(str(self.value)))
        return field_needle(name, None) if "." not in self.field else None


def _plain_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _bounds(op: str, value: float) -> tuple[int | None, int | None]:
    number, top = int(value), 1 << 30
    return {
        "=": (number, number), ">=": (number, top), ">": (number + 1, top),
        "<=": (0, number), "<": (0, number - 1),
    }.get(op, (None, None))  # fmt: skip


def _compare_numbers(get: Callable[[Record], Any], op: str, value: float) -> Predicate:
    def number(record: Record) -> float | None:
        found = get(record)
        if type(found) is int or type(found) is float:
            return found
        return _float(found) if isinstance(found, str) else None

    if op == "=":
        return lambda record: number(record) == value
    if op == "!=":
        return lambda record: number(record) != value
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[op]
    return lambda record: (found := number(record)) is not None and compare(found, value)


def _compare_values(get: Callable[[Record], Any], op: str, value: str) -> Predicate:
    as_number = _float(value)

    def same(found: Any) -> bool:
        if isinstance(found, str):
            return found == value
        if as_number is not None and type(found) in (int, float):
            return bool(found == as_number)
        return found is not None and text_of(found) == value

    if op == "=":
        return lambda record: same(get(record))
    if op == "!=":
        return lambda record: not same(get(record))
    if as_number is not None:
        return _compare_numbers(get, op, as_number)
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[op]
    return lambda record: isinstance(found := get(record), str) and compare(found, value)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def level_number(text: str) -> int:
    """Return the number of a level given by name, by first letter or by number.

    Raises:
        ViewerError: nobody knows the level; the nearest name is in the sentence.
    """
    word = text.strip()
    if word.isascii() and word.isdigit() and len(word) < 9:
        return int(word)
    found = levels.SHORT.get(word.lower()) or levels.number(word)
    if found or word.upper() == "NOTSET":
        return found
    usual = ("debug", "info", "warning", "error", "critical", "notice", "trace", "fatal", "success")
    raise ViewerError(f"unknown level {text!r}{nearest(word, usual) or '; levels are ' + ', '.join(usual[:5])}")
