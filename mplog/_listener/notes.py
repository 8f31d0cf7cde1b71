"""Records of mplog's own: who died, what was dropped, what went wrong with the file. Runs in the listener."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

from mplog._listener.merge import bound
from mplog._shared import clock
from mplog._shared.record import encode_record

MOST = 10_000
"""Records that wait for the file; further ones are left out."""


class Notes:
    """Lines of the listener's own on their way to the log, each with the journal whose owner's death it reports.

    Args:
        level: the least level of those that are written.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._seq = 0
        self._waiting: deque[tuple[bytes, str]] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, levelno: int, msg: str, *, reports: str = "", **fields: Any) -> bool:
        """Write a record into the log; return whether it will be there, or was left out.

        Args:
            levelno: its level.
            msg: its message, final.
            reports: the journal whose owner's death it reports.
            fields: its own fields.
        """
        if levelno < self._level or len(self._waiting) >= MOST:
            return False
        record = logging.LogRecord("mplog", levelno, "", 0, msg, None, None)
        record.processName, record.threadName, record.funcName = "mplog", "listener", ""
        # A listener thread shares its pid, and with it the counted `seq`, with a worker; its thread id is its own.
        record.process = threading.get_native_id()
        record.__dict__.update(fields)
        self._seq += 1
        # As workers do: by the key records are merged, by the time people see whether they are in order.
        head, tail = encode_record(record, clock.key_of(record.created))
        self._waiting.append((head + b"%d" % self._seq + tail.rstrip(b"\n"), reports))
        return True

    def due(self, watermark: int) -> list[tuple[bytes, str]]:
        """Take those with keys up to `watermark`."""
        limit = bound(watermark)
        found = []
        while self._waiting and self._waiting[0][0] <= limit:
            found.append(self._waiting.popleft())
        return found
