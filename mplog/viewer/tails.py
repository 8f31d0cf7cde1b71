"""A record's own fields as key=value text behind the message. Runs in the command `mplog`."""

from __future__ import annotations

from mplog.viewer import colours
from mplog.viewer.escapes import escape, escape_lines
from mplog.viewer.fields import SCHEMA, getter
from mplog.viewer.lines import Record
from mplog.viewer.look import Look
from mplog.viewer.values import short


class FieldText:
    """Turn own fields into ` key=value key=value`; `stack` becomes further lines.

    Args:
        look: which fields (`keys`, `hide`, `skip_unchanged`), and whether coloured.
    """

    def __init__(self, look: Look) -> None:
        self._shows = look.shows()
        self._chosen = bool(look.keys)
        self._skip = look.skip_unchanged
        self._before: dict[tuple[str, int | None], dict[str, object]] = {}
        self._keys: dict[str, str] = {}
        self._colour = look.colour
        names = [name for name in look.keys if name in SCHEMA or name in ("source", "offset") or "." in name]
        self.extra = [(name, getter(name)) for name in names if name not in ("time", "msg", "level", "logger", "exc")]

    def text(self, record: Record) -> str:
        """Return a record's fields, beginning with a space; "" for none."""
        if record.logger == "mplog" and "event" in record.fields and not self._chosen:
            return self._own_event(record)
        out: list[str] = []
        stack = ""
        keys, shows = self._keys, self._shows
        fields = self._changed(record) if self._skip else record.fields
        for name, get in self.extra:
            value = get(record) if name not in record.fields else None
            if value is not None:
                out.append(f"{keys.get(name) or self._key(name)}{short(value)}")
        for name, value in fields.items():
            if shows is not None and not shows(name):
                continue
            if name == "stack" and type(value) is str:
                stack = "\n" + escape_lines(value.strip("\n"))
                continue
            if type(value) is int and -(1 << 60) < value < 1 << 60:
                out.append(f"{keys.get(name) or self._key(name)}{value}")
            elif type(value) is float:
                out.append(f"{keys.get(name) or self._key(name)}{value!r}")
            else:
                out.append(f"{keys.get(name) or self._key(name)}{short(value)}")
        return "".join(out) + stack

    @staticmethod
    def _own_event(record: Record) -> str:
        """Return what mplog's own message does not say already: the last traceback of whoever crashed."""
        crash = record.fields.get("faulthandler")
        return "\n" + escape_lines(crash.strip("\n")) if isinstance(crash, str) and crash else ""

    def _key(self, name: str) -> str:
        shown = escape(name)
        text = f" {colours.DIM}{shown}={colours.RESET}" if self._colour else f" {shown}="
        if len(self._keys) < 10_000:
            self._keys[name] = text
        return text

    def _changed(self, record: Record) -> dict[str, object]:
        key = (record.process, record.pid)
        before = self._before.get(key, {})
        self._before[key] = {**before, **record.fields}
        return {name: value for name, value in record.fields.items() if before.get(name, self) != value}
