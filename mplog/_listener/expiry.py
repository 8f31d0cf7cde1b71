"""Announce that changed levels have run out. Runs in the listener."""

from __future__ import annotations

import contextlib
import os

from mplog._shared.announce import announce
from mplog._shared.control import FILE, expects_signal, read_changes
from mplog._shared.spool import Spool

LOOK_EVERY = 200_000_000
"""Nanoseconds between two looks for what has run out."""


class Expiry:
    """Announce that changes have run out. Runs in the listener.

    Args:
        spool: the session's directory.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._path = spool.file(FILE)
        self._seen = (0, 0)
        self._look_at = 0
        self._ends: list[int] = []

    def look(self, now: int) -> None:
        """Announce what has run out until `now` (monotonic ns); never raises."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        try:
            found = os.stat(self._path)
        except OSError:
            return
        if (found.st_ino, found.st_mtime_ns) != self._seen:
            self._seen = (found.st_ino, found.st_mtime_ns)
            self._ends = [found.until for found in read_changes(self._spool) if found.until is not None]
        if any(end <= now for end in self._ends):
            self._ends = [end for end in self._ends if end > now]
            with contextlib.suppress(OSError):
                announce(self._spool, own=expects_signal())
