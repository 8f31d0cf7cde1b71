"""Count what a session wrote, dropped and met, for `Session.stats`. Runs in the listener."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mplog._listener.delivery import Delivery
    from mplog._listener.journals import Journal

MOST_ENDED = 10_000
"""Ended processes that are listed one by one; older ones only count in the totals."""


class Stats:
    """Totals of a listener, and a line for each process."""

    def __init__(self) -> None:
        self.records = 0
        self.late = 0
        self.damaged = 0
        self.errors = 0
        self.restarts = 0
        self._ended: list[dict[str, Any]] = []

    def of(self, journal: Journal) -> dict[str, Any]:
        """Return the counts of a process, for `bury`."""
        return _line(journal)

    def bury(self, journal: Journal, counts: dict[str, Any]) -> None:
        """Keep the counts of a process whose journal is gone."""
        self.damaged += journal.damaged
        if journal.identity:
            self._ended.append(counts)
            del self._ended[:-MOST_ENDED]

    def to_json(self, journals: Iterable[Journal], deliveries: Iterable[Delivery]) -> bytes:
        """Return the counts as one JSON object."""
        living = [_line(journal) for journal in journals if journal.identity]
        content = {
            "listener": {"pid": os.getpid()},
            "records": self.records,
            "late": self.late,
            "damaged": self.damaged + sum(journal.damaged for journal in journals),
            "dropped": sum(line["dropped"] for line in [*self._ended, *living]),
            "restarts": self.restarts,
            "handlers": {
                delivery.target.name: {"failed": delivery.failed, "skipped": delivery.skipped}
                for delivery in deliveries
            },
            "processes": [*self._ended, *living],
        }
        return json.dumps(content, separators=(",", ":")).encode()


def _line(journal: Journal) -> dict[str, Any]:
    identity = journal.identity
    return {
        "name": identity.get("process"),
        "pid": identity.get("pid"),
        "written": journal.count,
        "dropped": journal.dropped(),
        "alive": not journal.dead,
    }
