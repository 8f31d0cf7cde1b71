"""The layout for people: HH:MM:SS.mmm NAME │ LEVEL logger: message key=value. Runs in the command `mplog`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mplog.viewer import colours, tracebacks
from mplog.viewer.escapes import escape, escape_lines
from mplog.viewer.lanes import Lanes
from mplog.viewer.lines import Record
from mplog.viewer.longlines import left_out
from mplog.viewer.look import Look
from mplog.viewer.tails import FieldText
from mplog.viewer.times import SECONDS
from mplog.viewer.timespec import Calendar

LONGEST_NAME = 28
_CACHED = 20_000
_SHOWN_OF_DAMAGED = 400
_LONGEST_REMEMBERED = 10_000


class Pretty:
    """Render records as aligned, coloured lines; continuation lines keep the gutter.

    What repeats is remembered: the clock of each minute and second, and everything between clock and message for each
    process, level and logger. `date` is the day of the last line; a new day gets a line of its own.
    """

    def __init__(self, look: Look, *, grow: bool = False) -> None:
        self.look = look
        self.grow = grow
        self.date = ""
        self.muted = False
        self._first_date = ""
        self._first_at = 0
        self._names = look.names
        self._calendar = Calendar(look.zone)
        self._clocks: dict[str, tuple[str, str]] = {}
        self._minutes: dict[str, tuple[str, str]] = {}
        self._heads: dict[tuple[str, int | None, str, str, str], tuple[str, str, str]] = {}
        self._pids: dict[str, int | None] = {}
        self._fields = FieldText(look)
        self._lanes = Lanes(look.lanes, look.colour, look.width, look.lane_count) if look.lanes else None
        self._last: dict[object, float] = {}
        self._tracebacks: dict[tuple[str, str], str] = {}
        colour = look.colour
        self._dim, self._reset = (colours.DIM, colours.RESET) if colour else ("", "")

    def render(self, records: Iterable[Record]) -> str:
        """Return the lines of records, each with its newline."""
        out: list[str] = []
        clocks, heads, add = self._clocks, self._heads, out.append
        plain = self.look.delta is None and self._lanes is None
        tail_of = self._fields.text
        for record in records:
            if record.damaged:
                add(self._damaged(record))
                continue
            stamp = record.time_text
            known = clocks.get(stamp[:19]) if record.format == "mplog" else None
            if known is None or len(stamp) != 27 or not stamp[20:23].isdecimal():
                known, fraction = self._clock(record)
            else:
                fraction = stamp[20:23]
            clock, date = known
            if date != self.date:
                add(self._date_line(date, out))
            key = (record.process, record.pid, record.level, record.logger, record.source)
            head = heads.get(key)
            if head is None:
                head = self._head(record)
            msg = record.msg
            fields = tail_of(record) if record.fields or self._fields.extra else ""
            if plain and msg.isprintable() and "\n" not in fields:
                add(f"{clock}{fraction} {head[0]}{msg}{head[1]}{fields}\n")
                if record.exc is not None:
                    add(self._below(record.exc, head[2]))
            else:
                add(self._general(record, f"{clock}{fraction}", head, fields))
        return "".join(out)

    def _clock(self, record: Record) -> tuple[tuple[str, str], str]:
        stamp = record.time_text
        own = record.format == "mplog" and len(stamp) == 27 and stamp[20:23].isdecimal()
        minute = self._minutes.get(stamp[:17])
        if own and minute is not None and stamp[17:19] in SECONDS and stamp[19] == ".":
            return self._remember(stamp, f"{minute[0]}{stamp[17:19]}.", minute[1])
        time = record.time
        if time is None:
            return (self._dim + " " * 9, self.date), "   "
        micro = round(time * 1e6)
        second = micro // 1_000_000
        clock, date = self._calendar.clock(second), self._calendar.date(second)
        if not own:
            return (f"{self._dim}{clock}.", date), f"{micro % 1_000_000 // 1000:03d}"
        if clock[6:] == stamp[17:19]:  # as in all zones but those of long ago
            if len(self._minutes) > _CACHED:
                self._minutes.clear()
            self._minutes[stamp[:17]] = (f"{self._dim}{clock[:6]}", date)
        return self._remember(stamp, f"{self._dim}{clock}.", date)

    def _remember(self, stamp: str, clock: str, date: str) -> tuple[tuple[str, str], str]:
        if len(self._clocks) > _CACHED:
            self._clocks.clear()
        known = self._clocks[stamp[:19]] = (clock, date)
        return known, stamp[20:23]

    def take_dates(self) -> tuple[str, int, str]:
        """Return the first day, the byte where its line belongs, and the last day, since the last call.

        For who puts parts together: whether a part begins a new day, only the part before it can tell.
        """
        found = (self._first_date, self._first_at, self.date)
        self._first_date = self.date = ""
        self._first_at = 0
        return found

    def _date_line(self, date: str, before: list[str]) -> str:
        first, self.date = not self.date, date
        if self.muted and first:
            self._first_date = date
            self._first_at = len("".join(before).encode("utf-8", "backslashreplace"))
            return ""
        return date_line(date, self.look)

    def label(self, record: Record) -> str:
        """Return the name shown for a record's process; with its pid where several share the name."""
        name, pid = record.process, record.pid
        if not name:
            return f"[{pid}]" if pid is not None else ""
        if name not in self.look.shared and self._pids.setdefault(name, pid) != pid:
            self.look.shared.add(name)
            self._heads.clear()
        if name in self.look.shared and pid is not None:
            name = f"{name}[{pid}]"
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME - 13]}…{name[-12:]}"
        return escape(name)

    def _head(self, record: Record) -> tuple[str, str, str]:
        look, reset = self.look, self._reset
        label = self.label(record)
        if len(label) > self._names and (self.grow or not self._names):
            self._names = len(label)
            self._heads.clear()
        tone = self._tone(record)
        name = f"{tone}{label:<{self._names}}{reset}" if label else " " * self._names
        source = look.sources.get(record.source, "")
        before = f"{reset}{self._dim}{source} {reset}" if source else reset
        gutter = f"{tone}│{reset} " if self._names else ""
        level = escape(record.level)
        shown = f"{colours.of_level(record.levelno) if look.colour else ''}{level}{reset}" if level else ""
        pad = " " * (9 - len(level)) if len(level) < 8 else " "
        logger = f"{self._dim}{escape(record.logger)}:{reset} " if record.logger else ""
        style = colours.of_message(record.levelno) if look.colour else ""
        text = f"{before}{name} {gutter}" if self._names else f"{before}"
        text += f"{shown}{pad if level else ''}{logger}{style}"
        if len(self._heads) > _CACHED:
            self._heads.clear()
        head = (text, reset if style else "", self._gutter(record, 0, ""))
        self._heads[record.process, record.pid, record.level, record.logger, record.source] = head
        return head

    def _tone(self, record: Record) -> str:
        if not self.look.colour:
            return ""
        if self.look.colour_by == "level":
            return colours.of_level(record.levelno)
        if self.look.colour_by == "logger":
            return colours.of_name(record.logger) if record.logger else ""
        return colours.of_name(record.process) if record.process else colours.of_name(str(record.pid or ""))

    def _general(self, record: Record, clock: str, head: tuple[str, str, str], fields: str) -> str:
        delta = self._delta(record) if self.look.delta else ""
        lanes, more_lanes = self._lanes.of(record) if self._lanes is not None else ("", "")
        first, *rest = escape_lines(record.msg).split("\n")
        fields, *blocks = fields.split("\n")
        rest += blocks
        if record.exc is not None:
            rest += tracebacks.render(record.exc, self.look.tb, colour=self.look.colour)
        line = f"{clock}{delta} {self._reset}{lanes}{head[0]}{first}{head[1]}{fields}\n"
        if not rest:
            return line
        gutter = self._gutter(record, len(delta), more_lanes)
        return line + "".join(f"{gutter}{text}\n" for text in rest)

    def _below(self, exc: dict[str, Any], gutter: str) -> str:
        """Return an exception behind the gutter, remembered by its text: the same error comes again and again."""
        text = exc.get("text")
        key = (gutter, text) if type(text) is str and len(text) <= _LONGEST_REMEMBERED else None
        known = self._tracebacks.get(key) if key is not None else None
        if known is None:
            lines = tracebacks.render(exc, self.look.tb, colour=self.look.colour)
            known = "".join(f"{gutter}{line}\n" for line in lines)
            if key is not None:
                if len(self._tracebacks) >= 256:
                    self._tracebacks.clear()
                self._tracebacks[key] = known
        return known

    def _gutter(self, record: Record, extra: int, lanes: str) -> str:
        source = self.look.sources.get(record.source, "")
        space = " " * (13 + extra) + lanes + " " * (len(source) + 1 if source else 0)
        if not self._names:
            return space + " " * 4
        return f"{space}{' ' * self._names} {self._tone(record)}│{self._reset}     "

    def _delta(self, record: Record) -> str:
        if record.time is None:
            return " " * 11
        key: object = (record.process, record.pid) if self.look.delta == "process" else None
        last = self._last.get(key)
        if last is None or self.look.delta != "start":
            self._last[key] = record.time
        return f" {spell_delta(record.time - last) if last is not None else '':>10}"

    def _damaged(self, record: Record) -> str:
        text = escape(record.msg[: _SHOWN_OF_DAMAGED * 4])
        if len(text) > _SHOWN_OF_DAMAGED or len(record.msg) > _SHOWN_OF_DAMAGED * 4:
            size = len(record.raw) + left_out(record.raw)
            text = f"{text[:_SHOWN_OF_DAMAGED]}… ({size:,} bytes)"
        width = f"{'':{self._names}} ╎ " if self._names else ""
        source = self.look.sources.get(record.source, "")
        lead = f"{'?':>12} {source + ' ' if source else ''}{width}"
        return f"{self._dim}{lead}damaged at byte {record.offset:,}: {text}{self._reset}\n"


def measure(look: Look, records: Sequence[Record]) -> None:
    """Find the common width of the process names, and the names that several pids share."""
    names: dict[str, int | None] = {}
    for record in records:
        if record.process:
            if names.setdefault(record.process, record.pid) != record.pid:
                look.shared.add(record.process)
        elif record.pid is not None:
            names[f"[{record.pid}]"] = None
    widths = [
        len(name) + (2 + len(str(pid)) if name in look.shared and look.output == "pretty" else 0)
        for name, pid in names.items()
    ]
    if look.lanes is not None:
        threads = look.lanes == "thread"
        look.lane_count = len({(r.process, r.pid, r.thread if threads else "") for r in records if not r.damaged})
    look.names = max([look.names, *(min(width, LONGEST_NAME) for width in widths)])


def date_line(date: str, look: Look) -> str:
    """Return the line that begins a day."""
    if not date or date == "?":
        return ""
    dim, reset = (colours.DIM, colours.RESET) if look.colour else ("", "")
    return f"{dim}── {date} ──{reset}\n"


def spell_delta(seconds: float) -> str:
    """Return a distance in time with its unit: +0.000123, +12.345, +3m07s."""
    sign = "-" if seconds < 0 else "+"
    size = abs(seconds)
    if size < 1:
        return f"{sign}{size * 1000:.3f}ms"
    if size < 100:
        return f"{sign}{size:.3f}s"
    if size < 6000:
        return f"{sign}{int(size // 60)}m{int(size % 60):02d}s"
    return f"{sign}{int(size // 3600)}h{int(size % 3600 // 60):02d}m"
