"""Bytes that every matching line of mplog's JSON must hold, so that the rest is never decoded.

Runs in the command `mplog`. The writer's spacing is canonical; a literal is used only where it holds no
quote, backslash, control or non-ASCII character, and what is found is decoded and checked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mplog.viewer import levels

Hits = Callable[[bytes, int], Iterator[tuple[int, int]]]

# Letters of other scripts that a case-insensitive ASCII letter also matches: long s, Kelvin, dotted and
# dotless i.
_FOLDING = (b"\xc5\xbf", b"\xe2\x84\xaa", b"\xc4\xb0", b"\xc4\xb1")


@dataclass(frozen=True)
class Needle:
    """Say that a matching line holds one of `literals`, or a match of `regex`."""

    literals: tuple[bytes, ...] = ()
    regex: bytes | None = None
    ignore_case: bool = False

    def __str__(self) -> str:
        if self.regex is not None:
            return f"regex {self.regex.decode()}"
        shown = " or ".join(literal.decode() for literal in self.literals)
        return f"{shown} (any case)" if self.ignore_case else shown

    def hits(self) -> Hits:
        """Return the function that yields (begin, end) of the lines with a hit in a block up to a limit."""
        if self.regex is not None:
            return _regex_hits(re.compile(self.regex))
        if self.ignore_case:
            return _folded_hits(tuple(literal.lower() for literal in self.literals))
        if len(self.literals) == 1:
            return _literal_hits(self.literals[0])
        return _many_hits(self.literals)


def _literal_hits(literal: bytes) -> Hits:
    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        find, rfind = block.find, block.rfind
        at = find(literal, 0, limit)
        while at >= 0:
            end = find(b"\n", at, limit)
            if end < 0:
                end = limit
            yield rfind(b"\n", 0, at) + 1, end
            at = find(literal, end, limit)

    return hits


def _regex_hits(regex: re.Pattern[bytes]) -> Hits:
    search = regex.search

    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        find, rfind = block.find, block.rfind
        match = search(block, 0, limit)
        while match is not None:
            at = match.start()
            end = find(b"\n", at, limit)
            if end < 0:
                end = limit
            yield rfind(b"\n", 0, at) + 1, end
            match = search(block, end, limit)

    return hits


def _many_hits(literals: Sequence[bytes]) -> Hits:
    each = [_literal_hits(literal) for literal in literals]

    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        return iter(sorted({bounds for one in each for bounds in one(block, limit)}))

    return hits


def _folded_hits(literals: tuple[bytes, ...]) -> Hits:
    inner = _many_hits(literals)

    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        if not block.isascii() and any(letter in block for letter in _FOLDING):
            return _every_line(block, limit)
        return inner(block.lower(), limit)

    return hits


def _every_line(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
    begin = 0
    while begin < limit:
        end = block.find(b"\n", begin, limit)
        if end < 0:
            end = limit
        yield begin, end
        begin = end + 1


def _safe(text: str) -> bool:
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def level_needle(low: int, high: int) -> Needle | None:
    """Return the needle for the levels from `low` to `high`; None where nearly every line would hit.

    It leaves out the standard names outside the range, so that levels of anybody's own are decoded and asked.
    """
    if low <= levels.INFO <= high:
        return None
    outside = "|".join(f'{name}"' for number, name in levels.STANDARD.items() if not low <= number <= high)
    return Needle(regex=f'Z","level":"(?!{outside})'.encode())


def field_needle(field: str, value: str | None, *, whole: bool = False, bare: bool = False) -> Needle | None:
    """Return the needle for a field's key, with the beginning of its value (`whole`: all of it) if given."""
    if not _safe(field) or "." in field or field in ("source", "offset", "format", "damaged", "levelno"):
        return None
    key = f'"{field}":'.encode()
    if value is None:
        return Needle((key,)) if field not in ("time", "level", "msg", "logger", "process", "pid") else None
    if not value or not _safe(value):
        return None
    quoted = key + b'"' + value.encode() + (b'"' if whole else b"")
    if field in ("msg", "logger", "process", "thread", "file", "func"):
        return Needle((quoted,))
    if field in ("pid", "line", "seq"):
        return Needle((key + value.encode(),)) if bare else None
    if not whole:
        return None
    # An own field's type is unknown: 42 may be written 42, "42" or 42.0; other numbers have too many
    # spellings.
    if _numeric(value) and (not bare or len(value) > 15):
        return Needle((key,))
    return Needle((quoted, key + value.encode()))


def any_needle(needles: Sequence[Needle | None]) -> Needle | None:
    """Return what holds a hit of any of these; None when one of them is None, or they do not go together."""
    found: list[bytes] = []
    for needle in needles:
        if needle is None or needle.regex is not None or needle.ignore_case:
            return None
        found += needle.literals
    return Needle(tuple(dict.fromkeys(found))) if 0 < len(found) <= 8 else None


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_META = re.compile(r"[\\.^$*+?{}\[\]()|]")


def regex_needle(regex: re.Pattern[str]) -> Needle | None:
    """Return the longest literal that every match of an expression must hold, if that is plain to see."""
    literal = longest_literal(regex.pattern)
    if len(literal) < 3 or not _safe(literal):
        return None
    return Needle((literal.encode(),), ignore_case=bool(regex.flags & re.IGNORECASE))


def longest_literal(pattern: str) -> str:
    """Return the longest run of plain characters outside groups, classes and alternatives; "" when unsure."""
    if "|" in pattern or "(?" in pattern:
        return ""
    best = run = ""
    depth = at = 0
    in_class = False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            escaped = pattern[at + 1 : at + 2]
            at += 2
            if escaped and not escaped.isalnum() and not in_class and not depth:
                run += escaped
            else:
                best, run = max(best, run, key=len), ""
            continue
        at += 1
        if in_class:
            in_class = char != "]" or pattern[at - 2] == "["
        elif char == "[":
            best, run, in_class = max(best, run, key=len), "", True
        elif char in "*?{":
            best, run = max(best, run[:-1], key=len), ""
            at = _after_repeat(pattern, at, char)
        elif char in "()":
            best, run = max(best, run, key=len), ""
            depth += 1 if char == "(" else -1
        elif _META.match(char) is None and not depth:
            run += char
        else:
            best, run = max(best, run, key=len), ""
    return max(best, run, key=len)


def _after_repeat(pattern: str, at: int, char: str) -> int:
    return pattern.find("}", at) + 1 if char == "{" and "}" in pattern[at:] else at
