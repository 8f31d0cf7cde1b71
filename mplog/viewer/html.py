"""`-o html`: one self-contained page with time line, errors and table. Runs in the command `mplog`."""

from __future__ import annotations

import base64
import hashlib
import html
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from importlib import resources
from typing import Any, TextIO

import msgspec

from mplog.viewer import excgroups, levels
from mplog.viewer.escapes import escape_lines
from mplog.viewer.family import Family, Life
from mplog.viewer.lines import Record, text_of
from mplog.viewer.tables import clean, plural
from mplog.viewer.timeline import spark

MOST = 200_000
"""Records in the table of a page; of a longer log the newest."""

_SCRIPTS = ("data.js", "timeline.js", "table.js", "app.js")
_LONGEST = {"msg": 10_000, "fields": 4_000, "exc": 20_000}
_encode = msgspec.json.Encoder().encode


def write_html(
    records: Iterable[Record],
    out: TextIO,
    *,
    title: str = "log",
    most: int | None = None,
    damaged: Callable[[], int] | None = None,
) -> int:
    """Write a page that shows the records in any browser, without a network.

    Args:
        records: the records, in the order of time; damaged lines are counted.
        out: where the page goes; it is written in UTF-8's characters.
        title: what the page is called.
        most: so many records are in table and histogram, the newest, by default `MOST`; lanes and errors know them all.
        damaged: returns, when all is read, how many damaged lines there were beside those among the records.

    Returns:
        The number of records.
    """
    data = _Data(MOST if most is None else most)
    for record in records:
        data.add(record)
    if damaged is not None:
        data.damaged += damaged()
    before, after = _page(title)
    out.write(before)
    for piece in data.pieces(title):
        # Within a script element only `<` is special (HTML, 13.2.5.4): no `</script`, no `<!--` can arise.
        out.write(piece.decode("utf-8", "backslashreplace").replace("<", "\\u003c"))
    out.write(after)
    return data.total


def _page(title: str) -> tuple[str, str]:
    """Return the page before and after its data; its policy allows its own script and style only."""
    folder = resources.files("mplog.viewer") / "page"
    style = (folder / "page.css").read_text("utf-8")
    parts = [(folder / name).read_text("utf-8") for name in _SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    own = f"style-src {_hash(style)}; script-src {_hash(script)}"
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; {own}"
    page = (folder / "page.html").read_text("utf-8")
    page = page.replace("@@POLICY@@", policy).replace("@@TITLE@@", html.escape(clean(title)))
    before, after = page.split("@@DATA@@")
    return before.replace("@@STYLE@@", style), after.replace("@@SCRIPT@@", script)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _Names:
    """Number texts in the order they appear."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def shown(self) -> list[str]:
        return [clean(text) for text in self.numbers]


class _Data:
    """Collect what the page shows: the newest rows encoded, everything else counted."""

    def __init__(self, most: int) -> None:
        self.total = self.damaged = 0
        self.start: int | None = None
        self.rows: deque[bytes] = deque(maxlen=most)
        self.levels, self.loggers, self.places, self.threads = _Names(), _Names(), _Names(), _Names()
        self.family = Family()
        self.lanes: dict[int, int] = {}
        self.groups: dict[Hashable, tuple[int, excgroups.Group]] = {}
        self._last = 0

    def add(self, record: Record) -> None:
        if record.damaged:
            self.damaged += 1
            return
        self.total += 1
        row = [
            self._time(record.time), self.levels.number(record.level), self._lane(record),
            self.loggers.number(record.logger), self.places.number(_place(record)),
            self.threads.number(record.thread),
            record.seq, _text(record.msg, "msg"), _fields(record.fields),
        ]  # fmt: skip
        if record.exc is not None:
            row += [_text(_traceback(record.exc), "exc"), self._group(record, record.exc)]
        self.rows.append(_encode(row))

    def _time(self, time: float | None) -> int:
        if time is not None:
            micros = round(time * 1e6)
            if self.start is None:
                self.start = micros
            self._last = micros - self.start
        return self._last

    def _lane(self, record: Record) -> int:
        if not record.process and record.pid is None:
            return -1
        life = self.family.add(record)
        return self.lanes.setdefault(id(life), len(self.lanes))

    def _group(self, record: Record, exc: dict[str, Any]) -> int:
        key = excgroups.key(exc)
        if key not in self.groups and len(self.groups) >= 500:
            return -1
        number, group = self.groups.setdefault(key, (len(self.groups), excgroups.Group(record, exc)))
        group.add(record, exc)
        return number

    def pieces(self, title: str) -> Iterator[bytes]:
        """Yield the JSON text of the page's data."""
        order, processes = self._processes()
        head = {
            "title": clean(title), "total": self.total, "damaged": self.damaged, "start": self.start or 0,
            "levels": [[name, levels.number(name)] for name in self.levels.shown()],
            "loggers": self.loggers.shown(), "places": self.places.shown(), "threads": self.threads.shown(),
            "processes": processes, "order": order, "errors": self._errors(),
        }  # fmt: skip
        yield _encode(head)[:-1] + b',"rows":[\n'
        for position, row in enumerate(self.rows):
            yield b",\n" + row if position else row
        yield b"]}\n"

    def _processes(self) -> tuple[list[int], list[dict[str, Any]]]:
        """Return the lanes in the order of the tree; `order` leads from a row's number to its lane."""
        tree = list(_walk(self.family.roots()))
        order = [0] * len(self.lanes)
        for lane, (life, _) in enumerate(tree):
            if id(life) in self.lanes:
                order[self.lanes[id(life)]] = lane
        return order, [self._process(life, depth) for life, depth in tree]

    def _process(self, life: Life, depth: int) -> dict[str, Any]:
        end = life.ended if life.ended is not None else life.last
        return {
            "name": clean(life.process) or (f"pid {life.pid}" if life.pid is not None else "-"),
            "pid": life.pid, "depth": min(depth, 8),
            "start": self._offset(life.begin), "end": self._offset(end), "ended": life.end is not None,
            "died": life.died, "how": clean(life.end or ""),
            "records": life.records,
            "words": clean(life.last_msg[:300]) if life.died else "",
        }  # fmt: skip

    def _offset(self, time: float | None) -> int | None:
        return None if time is None or self.start is None else round(time * 1e6) - self.start

    def _errors(self) -> list[dict[str, Any]]:
        first = min((g.first for _, g in self.groups.values() if g.first is not None), default=0.0)
        last = max((g.last for _, g in self.groups.values() if g.last is not None), default=0.0)
        return [_error(group, first, last) for _, group in self.groups.values()]


def _walk(lives: list[Life], depth: int = 0) -> Iterator[tuple[Life, int]]:
    stack = [(life, depth) for life in reversed(lives)]
    while stack:
        life, level = stack.pop()
        yield life, level
        stack += [(child, level + 1) for child in reversed(life.children)]


def _error(group: excgroups.Group, first: float, last: float) -> dict[str, Any]:
    raised = excgroups.frames(group.exc)
    names = sorted(group.processes, key=lambda name: -group.processes[name])
    more = f" and {plural(len(names) - 1, 'other')}" if len(names) > 1 else ""
    return {
        "type": clean(excgroups.kind(group.exc)), "message": clean(group.message()[:300]),
        "count": group.count,
        "place": f"{clean(raised[-1].place)} in {clean(raised[-1].func)}" if raised else "",
        "chain": [clean(excgroups.kind(inner)) for _, inner in excgroups.links(group.exc)][:5],
        "spark": spark(group.timeline.spread(first, last, 20)),
        "processes": clean(names[0] if names else "") + more,
    }  # fmt: skip


def _place(record: Record) -> str:
    place = record.file
    if place and record.line is not None:
        place += f":{record.line}"
    return f"{place} {record.func}".strip()


def _fields(fields: dict[str, Any]) -> str | None:
    if not fields:
        return None
    return _text(" ".join(f"{name}={text_of(value)}" for name, value in fields.items()), "fields")


def _traceback(exc: dict[str, Any]) -> str:
    text = exc.get("text")
    if isinstance(text, str):
        return text
    lines = [f"{frame.place} in {frame.func}: {frame.source}" for frame in excgroups.frames(exc)]
    return "\n".join([*lines, f"{excgroups.kind(exc)}: {text_of(exc.get('message'))}"])


def _text(text: str, kind: str) -> str:
    """Return text without control characters but tab and newline, cut where it is very long."""
    most = _LONGEST[kind]
    if len(text) > most:
        text = f"{text[:most]}… ({len(text) - most:,} characters more)"
    return escape_lines(text)
