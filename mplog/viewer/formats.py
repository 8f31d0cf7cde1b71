"""Output for programs and for one's own taste: raw, json, jsonl, logfmt, csv, short, a template.

Runs in the command `mplog`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from mplog.viewer import colours
from mplog.viewer.escapes import escape, escape_json, escape_lines
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.fields import canonical, getter
from mplog.viewer.lines import Record, text_of
from mplog.viewer.look import Look
from mplog.viewer.pretty import Pretty
from mplog.viewer.timespec import Calendar
from mplog.viewer.values import as_object, json_text, short, utc_text


class Renderer(Protocol):
    """Turn records into text. `begin` and `end` frame the whole output."""

    def begin(self) -> str:
        """Return what comes before the first record."""
        ...

    def render(self, records: Iterable[Record]) -> str:
        """Return the text of records."""
        ...

    def end(self) -> str:
        """Return what comes after the last record."""
        ...


class _Each:
    """A renderer made of a function for one record."""

    def __init__(self, one: Callable[[Record], str], begin: str = "", end: str = "") -> None:
        self._one, self._begin, self._end = one, begin, end

    def begin(self) -> str:
        return self._begin

    def render(self, records: Iterable[Record]) -> str:
        return "".join(map(self._one, records))

    def end(self) -> str:
        return self._end


class _JsonArray(_Each):
    """One JSON document: an array with a record a line."""

    def __init__(self, one: Callable[[Record], str]) -> None:
        super().__init__(one)
        self._any = False

    def render(self, records: Iterable[Record]) -> str:
        texts = [self._one(record) for record in records]
        if not texts:
            return ""
        lead = ",\n" if self._any else "[\n"
        self._any = True
        return lead + ",\n".join(texts)

    def end(self) -> str:
        return "\n]\n" if self._any else "[]\n"


class _Raw(_Each):
    """The file's lines; one that holds several records is written once."""

    def __init__(self) -> None:
        super().__init__(_raw)
        self._last: dict[str, int] = {}

    def render(self, records: Iterable[Record]) -> str:
        texts = []
        for record in records:
            if record.format != "json" or self._last.get(record.source) != record.offset:
                texts.append(_raw(record))
            self._last[record.source] = record.offset
        return "".join(texts)


class _Pretty(Pretty):
    def begin(self) -> str:
        return ""

    def end(self) -> str:
        return ""


def renderer(look: Look, *, grow: bool = False) -> Renderer:
    """Return the renderer of an output format.

    Raises:
        ViewerError: the template is wrong.
    """
    if look.template is not None:
        return _Each(template(look.template, look))
    if look.output == "raw":
        return _Raw()
    if look.output == "jsonl":
        return _Each(_jsonl(look))
    if look.output == "json":
        one = _object(look)
        return _JsonArray(lambda record: json_text(one(record)))
    if look.output == "logfmt":
        return _Each(_logfmt(look))
    if look.output == "csv":
        return _csv(look)
    if look.output == "short":
        return _Each(_short(look))
    return _Pretty(look, grow=grow)


def _raw(record: Record) -> str:
    text = record.raw.decode("utf-8", "backslashreplace")
    if record.format in ("mplog", "json"):
        return escape_json(text) + "\n"
    return escape_lines(text) + "\n"


def _object(look: Look) -> Callable[[Record], dict[str, Any]]:
    """Return the function that makes an object of a record, with the fields that are to be shown."""
    shows = look.shows()
    inside = [(name, getter(name)) for name in look.keys if "." in name and not _is_glob(name)]
    if not inside:
        return lambda record: as_object(record, shows)

    def one(record: Record) -> dict[str, Any]:
        found = as_object(record, shows)
        for name, get in inside:
            value = get(record)
            if value is not None:
                found.setdefault(name, value)
        return found

    return one


def _is_glob(name: str) -> bool:
    return any(char in name for char in "*?[")


def _jsonl(look: Look) -> Callable[[Record], str]:
    everything, object_of = look.shows() is None, _object(look)

    def one(record: Record) -> str:
        if everything and record.format == "mplog":
            return _raw(record)
        return json_text(object_of(record)) + "\n"

    return one


def _logfmt(look: Look) -> Callable[[Record], str]:
    object_of = _object(look)

    def one(record: Record) -> str:
        parts = []
        for name, value in object_of(record).items():
            if name == "exc" and isinstance(value, dict):
                value = value.get("text") or f"{text_of(value.get('type'))}: {text_of(value.get('message'))}"
            key = re.sub(r'[\s="]', "_", escape(name))
            parts.append(f"{key}={short(value) if value != '' else chr(34) * 2}")
        return " ".join(parts) + "\n"

    return one


_COLUMNS = ("time", "level", "msg", "logger", "process", "pid", "thread", "file", "line", "func", "seq")


def _csv(look: Look) -> Renderer:
    import csv
    import io

    columns = _columns(look)
    getters = [_cell(name, look) for name in columns]

    def one(record: Record) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([get(record) for get in getters])
        return text.getvalue()

    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow([escape(name) for name in columns])
    return _Each(one, head.getvalue())


def _columns(look: Look) -> list[str]:
    """Return the columns of CSV, which have to be known before the first record.

    A wildcard stands for the schema's fields that are like it; own fields like it are in the column `fields`.
    """
    shows = Look(hide=look.hide).shows()
    usual = (*_COLUMNS, "exc", "fields")
    columns: list[str] = []
    for key in look.keys or usual:
        found = [name for name in usual if fnmatch.fnmatchcase(name, key)] if _is_glob(key) else [key]
        columns += found or ["fields"]
    return [name for name in dict.fromkeys(columns) if shows is None or shows(name)]


def _cell(name: str, look: Look) -> Callable[[Record], str]:
    if name == "fields":
        keys = () if "fields" in look.keys else look.keys
        shows = Look(keys=keys, hide=look.hide).shows() or (lambda _key: True)

        def fields(record: Record) -> str:
            shown = {key: value for key, value in record.fields.items() if shows(key)}
            return json_text(shown) if shown else ""

        return fields
    if canonical(name) == "time":
        return lambda record: utc_text(record.time) if record.time is not None else escape(record.time_text)
    get = getter(name)

    def cell(record: Record) -> str:
        value = get(record)
        if name == "exc" and isinstance(value, dict):
            value = value.get("text") or f"{text_of(value.get('type'))}: {text_of(value.get('message'))}"
        if value is None:
            return ""
        return escape_lines(value) if isinstance(value, str) else escape_json(text_of(value))

    return cell


def _short(look: Look) -> Callable[[Record], str]:
    calendar = Calendar(look.zone)
    dim, reset = (colours.DIM, colours.RESET) if look.colour else ("", "")

    def one(record: Record) -> str:
        if record.damaged:
            return f"{dim}damaged at byte {record.offset:,}: {escape(record.msg[:200])}{reset}\n"
        clock = calendar.clock(int(record.time // 1)) if record.time is not None else " " * 8
        tone = colours.of_name(record.process) if look.colour else ""
        level = colours.of_level(record.levelno) if look.colour else ""
        name = escape(record.process) or (f"[{record.pid}]" if record.pid is not None else "")
        name = f"{tone}{name:<{look.names}}{reset} " if name or look.names else ""
        message = escape(record.msg.split("\n", 1)[0])
        if record.exc is not None and look.tb != "no":
            kind = text_of(record.exc.get("type"))
            detail = text_of(record.exc.get("message")).split("\n", 1)[0]
            message += f" {dim}[{escape(kind)}{': ' if detail else ''}{escape(detail)}]{reset}"
        return f"{dim}{clock}{reset} {level}{escape(record.level)[:1] or ' '}{reset} {name}{message}\n"

    return one


_PLACE = re.compile(r"\{\{|\}\}|\{([^{}:!]*)(?::([<>^]?\d{1,3}))?\}|[{}]")


def template(text: str, look: Look) -> Callable[[Record], str]:
    """Return the function that fills a template such as `{clock} {level:<8} {user.id} {msg}`.

    `{clock}`, `{date}` and `{traceback}` are there beside the fields.

    Raises:
        ViewerError: a brace is not closed.
    """
    parts: list[Callable[[Record], str]] = []
    at = 0
    text = text.replace("\\t", "\t").replace("\\n", "\n")
    for match in _PLACE.finditer(text):
        literal = text[at : match.start()]
        at = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
        elif not match[1]:
            raise ViewerError(
                f"--template: {match[0]!r} at position {match.start()} is no field; "
                "write {level}, {msg:<40}, or {{ for a brace"
            )
        parts.append(_literal(literal))
        if match[1]:
            parts.append(_place(match[1].strip(), match[2] or "", look))
    parts.append(_literal(text[at:] + "\n"))
    return lambda record: "".join([part(record) for part in parts])


def places(text: str) -> list[str]:
    """Return the names of the fields that a template has places for."""
    return [match[1].strip() for match in _PLACE.finditer(text) if match[1]]


def _literal(text: str) -> Callable[[Record], str]:
    return lambda _record: text


def _place(name: str, spec: str, look: Look) -> Callable[[Record], str]:
    if name in ("clock", "date"):
        calendar = Calendar(look.zone)
        cut = slice(0, 10) if name == "date" else slice(11, None)
        return lambda record: format(calendar.stamp(record.time)[cut] if record.time is not None else "", spec)
    if name == "traceback":
        from mplog.viewer.tracebacks import render

        mode, colour = look.tb, look.colour
        return lambda record: "\n".join(render(record.exc, mode, colour=colour)) if record.exc else ""
    get = _cell(name, look) if canonical(name) == "time" else getter(name)

    def place(record: Record) -> str:
        value = get(record)
        shown = "" if value is None else escape(value) if isinstance(value, str) else short(value)
        return format(shown, spec)

    return place
