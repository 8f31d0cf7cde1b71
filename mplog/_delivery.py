"""Hand batches to console and user handlers, each on a thread of its own, so that none holds up the file.

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from mplog import _descriptors
from mplog._fold import Fold
from mplog._merge import PREFIX
from mplog._record import decode, level_number, to_log_record

LEVEL_AT = PREFIX + len('{"time":"2026-11-22T11:11:11.123456Z","level":"')
"""Where the level's name begins in a line; our writer's spacing is canonical."""

STUCK_AFTER = 10.0
"""Seconds in one call after which a handler counts as hanging and is no longer waited for."""


class Target(Protocol):
    """What takes lines: the console, a handler."""

    name: str
    max_bytes: int

    def deliver(self, lines: list[bytes]) -> int:
        """Handle lines; return how many failed."""

    def pause(self) -> float | None:
        """Return the seconds after which `settle` wants to be called, or None."""

    def settle(self, *, final: bool = False) -> None:
        """Handle what was held back, as far as it is due; all of it at the end."""


class Delivery:
    """A thread with a bounded queue in front of one `Target`. What does not fit is skipped and counted."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.generation = 0
        """The last batch that is through."""
        self.failed = 0
        self.skipped = 0
        self.since = 0.0
        """When the current call began (monotonic), 0 if there is none."""
        self._queue: deque[tuple[int, list[bytes]]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"mplog-{target.name}", daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """Whether the target has not come back for `STUCK_AFTER` seconds."""
        return bool(self.since) and time.monotonic() - self.since > STUCK_AFTER

    @property
    def idle(self) -> bool:
        """Whether everything handed over is through."""
        return not self._queue and not self.since

    def put(self, generation: int, lines: list[bytes]) -> None:
        """Hand over a batch. Never waits."""
        size = sum(map(len, lines))
        with self._changed:
            if self._queue and self._bytes + size > self.target.max_bytes:
                self.skipped += len(lines)
                lines, size = [], 0
            self._queue.append((generation, lines))
            self._bytes += size
            self._changed.notify_all()

    def finish(self, deadline: float) -> bool:
        """Wait until the queue is empty, at the latest until `deadline` (monotonic), and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                closing = self._closing
                if not self._queue and not closing:
                    self._changed.wait(self.target.pause())
                generation, lines = self._queue.popleft() if self._queue else (self.generation, [])
                self.since = time.monotonic()
            # What a handler prints in a process whose output is captured is no output of the application.
            with _descriptors.Exempt():
                if lines:
                    try:
                        self.failed += self.target.deliver(lines)
                    except Exception:  # a handler of the user may raise anything; the next batch gets its chance
                        self.failed += len(lines)
                elif self.target.pause() is not None:
                    with contextlib.suppress(Exception):  # a formatter of the user
                        self.target.settle(final=closing)
            with self._changed:
                self._bytes -= sum(map(len, lines))
                self.generation = generation
                self.since = 0.0
                self._changed.notify_all()
                if closing and not self._queue and not lines:
                    return


def at_level(lines: list[bytes], least: int) -> list[bytes]:
    """Return the lines of level `least` or above, without decoding them."""
    if least <= 0:
        return lines
    known: dict[bytes, bool] = {}
    kept = []
    for line in lines:
        name = line[LEVEL_AT : line.find(b'"', LEVEL_AT)]
        if name not in known:
            known[name] = level_number(name.decode("utf-8", "replace")) >= least
        if known[name]:
            kept.append(line)
    return kept


class ConsoleTarget:
    """Write formatted lines to a stream of this process, by descriptor where it has one."""

    name = "console"
    max_bytes = 1 << 20

    def __init__(
        self, stream: Any, format_line: Callable[[dict[str, Any]], str], level: int, fold: Fold | None = None
    ) -> None:
        self._stream = stream
        self._format = format_line
        self._level = level
        self._fold = fold
        self._gone = False

    def deliver(self, lines: list[bytes]) -> int:
        """Write the lines at the console's level; a console that is gone (EPIPE, hang-up) is left alone."""
        if self._gone:
            return 0
        failed = 0
        texts = []
        for line in at_level(lines, self._level):
            try:
                fields = decode(line[PREFIX:])
                shown = [fields] if self._fold is None else self._fold.push(fields)
                texts += map(self._format, shown)
            except Exception:  # one record that cannot be shown must not cost the others
                failed += 1
        self._show(texts)
        return failed

    def pause(self) -> float | None:
        """Return the seconds until the next summary of folded records is due, or None."""
        return None if self._fold is None else self._fold.pause()

    def settle(self, *, final: bool = False) -> None:
        """Show the summaries that are due."""
        if self._fold is not None:
            self._show([self._format(fields) for fields in self._fold.due(math.inf if final else None)])

    def _show(self, texts: list[str]) -> None:
        if not texts or self._gone:
            return
        try:
            self._write("\n".join(texts) + "\n")
        except (OSError, ValueError):
            self._gone = True

    def _write(self, text: str) -> None:
        stream = self._stream
        try:
            fd = _descriptors.original(stream.fileno())
        except (OSError, ValueError, AttributeError):
            stream.write(text)
            stream.flush()
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        data = text.encode(encoding, "backslashreplace")
        while data:
            data = data[os.write(fd, data) :]


class HandlerTarget:
    """Hand records to a `logging.Handler`, as `LogRecord` with every documented attribute."""

    max_bytes = 64 << 20

    def __init__(self, handler: logging.Handler) -> None:
        self.handler = handler
        self.name = handler.get_name() or type(handler).__name__

    def deliver(self, lines: list[bytes]) -> int:
        """Call `Handler.handle` for each record at the handler's level."""
        failed = 0
        for line in at_level(lines, self.handler.level):
            try:
                self.handler.handle(to_log_record(decode(line[PREFIX:])))
            except Exception:  # costs this record in this handler
                failed += 1
        return failed

    def pause(self) -> float | None:
        """Return None: nothing is held back."""
        return None

    def settle(self, *, final: bool = False) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Flush and close the handler."""
        with contextlib.suppress(Exception):
            self.handler.flush()
        with contextlib.suppress(Exception):
            self.handler.close()


def say(text: str) -> None:
    """Write one line about mplog itself to stderr; what goes wrong here cannot be said anywhere."""
    if 2 in _descriptors.saved:
        _descriptors.write_original(2, f"mplog: {text}\n")
        return
    with contextlib.suppress(Exception), _descriptors.Exempt():
        sys.stderr.write(f"mplog: {text}\n")
        sys.stderr.flush()
