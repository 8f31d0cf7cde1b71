"""Bytes that every matching line of mplog's JSON must hold, so that the rest is never decoded.

Runs in the command `mplog`. The writer's spacing is canonical; a literal is used only where it holds no
quote, backslash, control or non-ASCII character, and what is found is decoded and checked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from mplog.viewer import levels

Hits = Callable[[bytes, int], Iterator[tuple[int, int]]]

# Letters of other scripts that a case-insensitive ASCII letter also matches: long s, Kelvin, dotted and
# dotless i.
_FOLDING = (b"\xc5\xbf", b"\xe2\x84\xaa", b"\xc4\xb0", b"\xc4\xb1")


class Needle(msgspec.Struct, frozen=True):
    """Say that a matching line of JSON holds one of `literals`, or a match of `regex`.

    `text` is what a line of the record holds in mplog's text layout, or None. An `anchored` expression begins with
    the newline before a record; the first record of a block is then always taken.
    """

    literals: tuple[bytes, ...] = ()
    regex: bytes | None = None
    ignore_case: bool = False
    anchored: bool = False
    text: Needle | None = None

    def __str__(self) -> str:
        if self.regex is not None:
            return f"regex {self.regex.decode()}"
        shown = " or ".join(literal.decode() for literal in self.literals)
        return f"{shown} (any case)" if self.ignore_case else shown

    def hits(self) -> Hits:
        """Return the function that yields (begin, end) of the lines with a hit in a block up to a limit."""
        if self.regex is not None:
            return _regex_hits(re.compile(self.regex), first=self.anchored)
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


def _regex_hits(regex: re.Pattern[bytes], *, first: bool) -> Hits:
    search = regex.search

    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        find, rfind = block.find, block.rfind
        begin = 0
        if first and limit:
            begin = find(b"\n", 0, limit)
            if begin < 0:
                begin = limit
            yield 0, begin
        match = search(block, begin, limit)
        while match is not None:
            at = match.end() - 1
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
    names = [name for number, name in levels.STANDARD.items() if not low <= number <= high]
    json_names, text_names = "|".join(f'{name}"' for name in names), "|".join(f"{name} " for name in names)
    text = Needle(regex=rf"\n\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} (?!{text_names})".encode(), anchored=True)
    return Needle(regex=f'Z","level":"(?!{json_names})'.encode(), text=text)


def field_needle(field: str, value: str | None, *, whole: bool = False, bare: bool = False) -> Needle | None:
    """Return the needle for a field's key, with the beginning of its value (`whole`: all of it) if given."""
    if not _safe(field) or "." in field or field in ("source", "offset", "format", "damaged", "levelno"):
        return None
    key = f'"{field}":'.encode()
    if value is None:
        return _own_needle((key,), field) if field not in _ALWAYS else None
    if not value or not _safe(value):
        return None
    quoted = key + b'"' + value.encode() + (b'"' if whole else b"")
    if field in ("msg", "logger", "process", "thread", "file", "func"):
        shown = field in ("msg", "logger", "process")
        return Needle((quoted,), text=Needle((value.encode(),)) if shown else None)
    if field in ("pid", "line", "seq"):
        text = Needle((f"[{value}] ".encode(),)) if field == "pid" else None
        return Needle((key + value.encode(),), text=text) if bare else None
    if not whole:
        return None
    # An own field's type is unknown: 42 may be written 42, "42" or 42.0; others have too many spellings.
    if _numeric(value) and (not bare or len(value) > 15):
        return _own_needle((key,), field)
    return _own_needle((quoted, key + value.encode()), field)


def _own_needle(literals: tuple[bytes, ...], field: str) -> Needle:
    """Return the needle for an own field; in text it stands as ` key=value` if its name is a plain one."""
    plain = re.fullmatch(r"[A-Za-z_][\w]*", field) is not None and field not in ("exc", "stack")
    return Needle(literals, text=Needle((f" {field}=".encode(),)) if plain else None)


def any_needle(needles: Sequence[Needle | None]) -> Needle | None:
    """Return what holds a hit of any of these; None when one of them is None, or they do not go together."""
    found: list[bytes] = []
    for needle in needles:
        if needle is None or needle.regex is not None or needle.ignore_case:
            return None
        found += needle.literals
    if not 0 < len(found) <= 8:
        return None
    text = any_needle([needle.text for needle in needles if needle is not None])
    return Needle(tuple(dict.fromkeys(found)), text=text)


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_ALWAYS = ("time", "level", "msg", "logger", "process", "pid")
_META = re.compile(r"[\\.^$*+?{}\[\]()|]")


def regex_needle(regex: re.Pattern[str]) -> Needle | None:
    """Return the longest literal that every match of an expression must hold, if that is plain to see."""
    literal = longest_literal(regex.pattern)
    if len(literal) < 3 or not _safe(literal):
        return None
    folded = bool(regex.flags & re.IGNORECASE)
    return Needle((literal.encode(),), ignore_case=folded, text=Needle((literal.encode(),), ignore_case=folded))


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
