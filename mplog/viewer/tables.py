"""Aligned tables, bars and colours for a person, JSON for a program. Runs in the command `mplog`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from mplog.viewer import colours, escapes
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.values import json_text

_COLOURS = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "magenta": "35",
    "bad": "1;31",
}  # fmt: skip
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NARROW = 60  # columns below which sentences are wrapped at words
_READABLE, _LEAST = 24, 4  # columns that a text keeps: while others can be left out for it, and in any case


def clean(text: str) -> str:
    """Return text on one line with its control characters escaped, tabs as blanks: it fits into a column."""
    return escapes.escape(text).replace("\t", " ")


class Page:
    """Write lines for a person; knows the stream, its width, and whether it takes colours and blocks."""

    def __init__(self, stream: TextIO, *, color: str = "auto", utc: bool = False) -> None:
        self.stream = stream
        self.utc = utc
        self.colored = colours.wanted(color, stream.isatty())
        given = shutil.get_terminal_size((100, 24)).columns if stream.isatty() else _given_width()
        self.known = given is not None
        """Whether somebody looks at it in so many columns: then no row may be longer."""
        self.width = max(20, given or 100)
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        self.blocks = encoding.startswith("utf") or encoding == "cp65001"

    def line(self, text: str = "") -> None:
        """Write a line; characters the stream cannot show become escapes."""
        write(text + "\n", self.stream)

    def paint(self, text: str, colour: str) -> str:
        """Return text in a colour, where colours are shown."""
        if not self.colored or not colour or not text:
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def sentence(self, *parts: tuple[str, str]) -> None:
        """Write (text, colour) as a line, or in several where the page is narrow."""
        plain = "".join(text for text, _ in parts)
        if not self.known or self.width >= _NARROW or columns(plain) < self.width:
            self.line("".join(self.paint(text, colour) for text, colour in parts))
            return
        colour = parts[-1][1]
        for line in textwrap.wrap(plain, self.width - 1, subsequent_indent="  "):
            self.line(self.paint(line, colour))

    def row(self, *parts: tuple[str, str | int]) -> None:
        """Write (text, colour or level) as one line, cut to the width."""
        out, room = "", self.width
        for text, colour in parts:
            shown = cut(text, room)
            room -= columns(shown)
            out += self.level(shown, colour) if isinstance(colour, int) else self.paint(shown, colour)
            if shown != text:
                break
        self.line(out.rstrip())

    def title(self, text: str) -> None:
        """Write a heading with an empty line above it."""
        self.line()
        self.line(self.paint(text, "bold"))

    def level(self, text: str, levelno: int) -> str:
        """Return text in its level's colour."""
        colour = colours.of_level(levelno) if self.colored else ""
        return f"{colour}{text}{colours.RESET}" if colour and text else text

    def stamp(self, time: float | None, *, seconds: bool = False) -> str:
        """Return a time as `2026-11-22 11:11:11.123`, or without the fraction."""
        if time is None:
            return "-"
        try:
            moment = datetime.fromtimestamp(time, UTC if self.utc else None)
        except (ValueError, OverflowError, OSError):
            return str(time)
        text = moment.strftime("%Y-%m-%d %H:%M:%S")
        return text if seconds else f"{text}.{moment.microsecond // 1000:03d}"

    def bar(self, share: float, width: int) -> str:
        """Return a bar of `share` (0 to 1) of `width` columns."""
        eighths = round(max(0.0, min(1.0, share)) * width * 8)
        if share > 0:
            eighths = max(1, eighths)
        if not self.blocks:
            return "#" * ((eighths + 7) // 8)
        return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[str]], align: str, colours: Sequence[str] = (),
        drop: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """Write aligned columns; `align` has < or > for each, ~ if cut in the middle, = if never cut.

        The last one is cut to the width; others only where `drop` is given and the width is known.

        Args:
            head: the names of the columns.
            rows: the cells, already text; control characters are escaped here.
            align: one character a column.
            colours: a colour name for each column, "" for none.
            drop: the columns that are left out, one after the other, where there is no room for all.
        """
        cells = [[clean(cell) for cell in row] for row in rows]
        kept, widths = self.fitted([list(head), *cells], align, drop)
        self.line(self.paint(joined(head, kept, widths, align), "dim"))
        for row in cells:
            parts = [_cell(row[i], widths[i], align[i]) for i in kept]
            parts[-1] = parts[-1].rstrip()
            if colours:
                parts = [self.paint(part, colours[i]) for part, i in zip(parts, kept, strict=True)]
            self.line("  ".join(parts).rstrip())

    def fitted(self, rows: Sequence[Sequence[str]], align: str, drop: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return which columns there is room for, and how wide each column is."""
        widths = [max(columns(row[i]) for row in rows) for i in range(len(align))]
        kept = list(range(len(align)))
        if drop and self.known:
            whole = sum(widths) + 2 * (len(widths) - 1) <= self.width
            return (kept, widths) if whole else _fitted(kept, widths, align, self.width - 1, drop)
        room = self.width - sum(widths[:-1]) - 2 * (len(align) - 1) - 1
        if align[-1] in "<~" and widths[-1] > room:
            widths[-1] = min(widths[-1], max(room, _READABLE))
        return kept, widths


def _fitted(
    kept: list[int], widths: list[int], align: str, width: int, drop: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Cut texts while they stay readable, then leave columns out, then cut texts more."""
    for gone in (None, *drop):
        kept = [i for i in kept if i != gone]
        found = _shrunk(kept, widths, align, width, _READABLE)
        if found is not None:
            return kept, found
    found = _shrunk(kept, widths, align, width, _LEAST)
    return kept, widths if found is None else found


def _shrunk(kept: list[int], widths: list[int], align: str, width: int, least: int) -> list[int] | None:
    """Return the widths with texts cut, the widest first, so that a row fits; None if it does not."""
    found = list(widths)
    texts = [i for i in kept if align[i] in "<~"]
    over = sum(found[i] for i in kept) + 2 * (len(kept) - 1) - width
    while over > 0:
        widest = max(texts, key=found.__getitem__, default=None)
        if widest is None or found[widest] <= least:
            return None
        found[widest] -= 1
        over -= 1
    return found


def joined(cells: Sequence[str], kept: Sequence[int], widths: Sequence[int], align: str) -> str:
    """Return a row of a table."""
    return "  ".join(_cell(cells[i], widths[i], align[i]) for i in kept).rstrip()


def _cell(text: str, width: int, side: str) -> str:
    size = columns(text)
    if size > width:
        text = cut_middle(text, width) if side == "~" else cut(text, width)
        size = columns(text)
    blanks = " " * (width - size)
    return blanks + text if side == ">" else text + blanks


def columns(text: str) -> int:
    """Return how many terminal columns text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def cut(text: str, width: int) -> str:
    """Return text shortened to so many terminal columns, with an ellipsis where something is missing."""
    if columns(text) <= width:
        return text
    if width < 1:
        return ""
    text = text[: width - 1]
    while columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def cut_middle(text: str, width: int) -> str:
    """Return text shortened in its middle: of names and places the end tells more than that."""
    if columns(text) <= width:
        return text
    if width < 2:
        return cut(text, width)
    head = cut(text, (width + 1) // 2)
    end = text[len(text) - (width - columns(head)) :]
    while columns(head) + columns(end) > width:
        end = end[1:]
    return head + end


def _given_width() -> int | None:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 5 and int(given) else None


def number(value: float) -> str:
    """Return a count as 1,234,567."""
    return f"{value:,}"


def rate(count: int, seconds: float) -> str:
    """Return records a second, with as many digits as a person reads; "-" where there is no span of time."""
    if seconds <= 0:
        return "-"
    value = count / seconds
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s" if value >= 0.1 else f"{value * 60:.2f}/min"


def duration(seconds: float) -> str:
    """Return a span of time: 431 ms, 12.4 s, 3 min 20 s, 5 h 12 min, 3 d 4 h."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rfc3339(time: float | None) -> str | None:
    """Return a time as mplog writes it into JSON."""
    if time is None:
        return None
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return None


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Write one JSON object, indented: for programs, and still readable."""
    text = json_text(value)
    with contextlib.suppress(msgspec.MsgspecError):
        text = msgspec.json.format(text, indent=2)
    write(text + "\n", stream or sys.stdout)


def write(text: str, stream: TextIO) -> None:
    """Write text; characters that the stream cannot show become escapes.

    Raises:
        ViewerError: the disk is full, say. A closed pipe is the caller's business.
    """
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if not stream.isatty():
            return
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(stream, error) from None


def finish(status: int, stream: TextIO | None = None) -> int:
    """Write out what is buffered, and return the exit status.

    Raises:
        ViewerError: as `write`.
    """
    stream = stream or sys.stdout
    try:
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(stream, error) from None
    return status


def _unwritable(stream: TextIO, error: OSError) -> ViewerError:
    # What is buffered would fail again, with a traceback, when the interpreter ends.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return ViewerError(f"the output cannot be written: {error.strerror or error}")


def plural(count: int, noun: str) -> str:
    """Return "1 record", "2,000 records", "3 processes"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"
