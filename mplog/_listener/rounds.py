"""Whose turn it is to be looked at: hundreds of processes that say nothing must cost next to nothing.

Journals in which something happens are looked at in each step; as long as there are such, the others every few
milliseconds only, else all, which is then quick. What a step may write is what was written before the last look at all.
Runs in the listener.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mplog._listener.journals import Journal

FEW = 16
"""Journals up to which all are looked at in each step."""
MANY = 64
"""Journals above which an idle listener waits longer between two steps."""
QUIET_EVERY = 15_000_000
"""Nanoseconds between two looks at quiet journals while others are lively: less than records are held back."""
LIVELY_FOR = 100_000_000
"""Nanoseconds for which a journal is lively after its last line."""


class _Watch:
    """Quiet journals, where their next byte will appear, side by side: what is looked at most often is small."""

    def __init__(self, journals: Iterable[Journal]) -> None:
        self._journals: list[Journal] = []
        self._others: list[Journal] = []
        self._fds, self._offsets = array("i"), array("q")
        for journal in journals:
            if journal.dead and journal.exhausted:
                continue
            place = None if journal.dead or journal.is_lively else journal.reader.quiet_place()
            if place is None:
                self._others.append(journal)
            else:
                self._journals.append(journal)
                self._fds.append(place[0])
                self._offsets.append(place[1])

    def stirred(self) -> list[Journal]:
        """Return the journals in which there may be something to read."""
        found = self._others.copy()
        pread = os.pread
        for index, (fd, offset) in enumerate(zip(self._fds, self._offsets, strict=True)):
            try:
                if pread(fd, 1, offset) == b"\0":
                    continue
            except OSError:
                pass  # whoever reads it meets that again, and deals with it
            found.append(self._journals[index])
        return found


class Rounds:
    """All journals, and among them the lively ones."""

    def __init__(self) -> None:
        self._all: dict[str, Journal] = {}
        self._lively: dict[str, Journal] = {}
        self._watch: _Watch | None = None
        self.looked_at = 0
        """Monotonic ns of the last look at all journals."""

    def enter(self, journal: Journal) -> None:
        """Take a journal in."""
        self._all[journal.name] = journal
        self.wake(journal)

    def leave(self, journal: Journal) -> None:
        """Forget a journal."""
        for part in (self._all, self._lively):
            part.pop(journal.name, None)
        self._watch = None

    def wake(self, journal: Journal) -> None:
        """Have a journal looked at in each step, until it is quiet again."""
        self._lively[journal.name] = journal
        self._watch = None

    def forget(self) -> None:
        """Forget which descriptors quiet journals have: some were closed."""
        self._watch = None

    def lively(self) -> list[Journal]:
        """Return the journals in which something happens: all with unread lines, or with lines not in a batch yet."""
        return list(self._lively.values())

    def due(self, now: int, *, force: bool) -> list[Journal]:
        """Return the journals to look into now (monotonic ns), all of them with `force`."""
        if force or len(self._all) <= FEW:
            self.looked_at = now
            return list(self._all.values())
        if self._lively and now - self.looked_at < QUIET_EVERY:
            return self.lively()
        self.looked_at = now
        if self._watch is None:
            self._watch = _Watch(journal for journal in self._all.values() if journal.name not in self._lively)
        return [*self.lively(), *self._watch.stirred()]

    def calm(self, now: int) -> None:
        """Note which of the lively journals have become quiet."""
        for journal in self.lively():
            if not journal.is_lively and now - journal.active_at > LIVELY_FOR:
                del self._lively[journal.name]
                self._watch = None
