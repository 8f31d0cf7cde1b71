"""Fold identical records of many processes into one line with a count, for a person who watches. Runs in the listener.

The first record is shown at once. What repeats it within `WINDOW` is counted, and shown as one line when the window
is over: the same text, ``.. x 64 in 8 processes``. Only the console folds; the file and other handlers get everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WINDOW = 1.0
"""Seconds for which repetitions of a record are held back."""
MOST = 1024
"""Different records that are watched at a time; further ones are shown as they come."""


class _Group:
    """A record that was shown, and how often it came."""

    __slots__ = ("count", "last", "processes", "until")

    def __init__(self, fields: dict[str, Any], until: float) -> None:
        self.count = 1
        self.last = fields
        self.processes = {(fields["process"], fields["pid"])}
        self.until = until


class Fold:
    """Decide which records a console shows.

    Args:
        clock: returns seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._groups: dict[tuple[Any, ...], _Group] = {}

    def push(self, fields: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what is to be shown now that this record has come: itself if it is new, summaries that are due."""
        now = self._clock()
        shown = self.due(now) if self._groups else []
        key = _key(fields)
        group = self._groups.get(key)
        if group is not None:
            group.count += 1
            group.last = fields
            if len(group.processes) < MOST:
                group.processes.add((fields["process"], fields["pid"]))
            return shown
        if len(self._groups) < MOST:
            self._groups[key] = _Group(fields, now + WINDOW)
        return [*shown, fields]

    def due(self, now: float | None = None) -> list[dict[str, Any]]:
        """Return the summaries of the groups whose window is over; of all of them for `now` = infinity."""
        now = self._clock() if now is None else now
        shown = []
        for key, group in list(self._groups.items()):
            if group.until > now:
                break
            del self._groups[key]
            if group.count > 1:
                shown.append(_summary(group))
        return shown

    def pause(self) -> float | None:
        """Return the seconds until the next summary may be due, or None if nothing is held back."""
        for group in self._groups.values():
            return max(0.0, group.until - self._clock())
        return None


def _key(fields: dict[str, Any]) -> tuple[Any, ...]:
    exc = fields.get("exc")
    error = (exc.get("type"), exc.get("message")) if isinstance(exc, dict) else None
    return fields["level"], fields["logger"], fields["msg"], error


def _summary(group: _Group) -> dict[str, Any]:
    fields = {name: value for name, value in group.last.items() if name != "exc"}
    processes = len(group.processes)
    where = "1 process" if processes == 1 else f"{processes} processes"
    fields["msg"] = f"{fields['msg']} .. x {group.count} in {where}"
    return fields
