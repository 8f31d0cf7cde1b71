"""Hand batches to console and user handlers, each on a thread of its own, so that none holds up the file.

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from mplog._listener.fold import Fold
from mplog._listener.merge import PREFIX
from mplog._listener.terminal import Terminal
from mplog._shared import descriptors
from mplog._shared.record import decode, level_number, to_log_record

LEVEL_AT = PREFIX + len('{"time":"2026-11-22T11:11:11.123456Z","level":"')
"""Where the level's name begins in a line; our writer's spacing is canonical."""

HANGS_AFTER, STUCK_AFTER = 1.0, 10.0
"""Seconds in one call after which a handler is no longer waited for, and after which that is reported."""
REPORT_EVERY = 60.0
"""Seconds in which one handler's failures are reported once."""
QUEUE = 8 << 20
"""Bytes of lines that wait for one target."""
PATIENCE, PATIENCE_PER_SECOND = 1.0, 0.02
"""Seconds for which a target that is a little too slow may hold up the file, at most and earned in each second."""


EVER = (1 << 64) - 1


class Target(Protocol):
    """What takes lines: the console, a handler."""

    name: str
    gone: bool
    """Whether it will never take anything again."""

    def deliver(self, lines: list[bytes]) -> int:
        """Handle lines; return how many failed."""

    def pause(self) -> float | None:
        """Return the seconds after which `settle` wants to be called, or None."""

    def settle(self, *, final: bool = False) -> None:
        """Handle what was held back, as far as it is due; all of it at the end."""


class Delivery:
    """A thread with a bounded queue in front of one `Target`. What does not fit is skipped and counted.

    Args:
        target: what takes the lines.
        essential: whether nothing else gets them, so that it is waited for.
    """

    def __init__(self, target: Target, *, essential: bool = False) -> None:
        self.target = target
        self.generation = 0
        """The last batch that is through."""
        self.failed = 0
        self.skipped = 0
        self.since = 0.0
        """When the current call began (monotonic), 0 if there is none."""
        self._under_way = 0
        """How many lines that call is about."""
        self._left = 0
        """How many lines the target had not taken when it was given up at the end."""
        self.essential = essential
        self._patience = PATIENCE
        self._looked = time.monotonic()
        self._lost = False
        self._reported = (0, 0)
        self._reported_at: dict[str, float] = {}
        self._queue: deque[tuple[int, list[bytes]]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"mplog-{target.name}", daemon=True)
        self._thread.start()

    @property
    def hangs(self) -> bool:
        """Whether the target has not come back for `HANGS_AFTER` seconds."""
        since = self.since
        return bool(since) and time.monotonic() - since > HANGS_AFTER

    @property
    def stuck(self) -> bool:
        """Whether the target has not come back for `STUCK_AFTER` seconds."""
        since = self.since
        return bool(since) and time.monotonic() - since > STUCK_AFTER

    @property
    def idle(self) -> bool:
        """Whether everything handed over is through."""
        with self._changed:
            return not self._queue and not self.since

    def holds_up(self) -> bool:
        """Tell whether the listener should wait a little, because the queue is full and the target is at work."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        full = self._bytes > QUEUE
        if not full or (self.stuck if self.essential else self.hangs):
            self._patience = min(PATIENCE, self._patience + passed * PATIENCE_PER_SECOND)
            return False
        if self.essential:
            return True
        self._patience = max(0.0, self._patience - passed)
        return self._patience > 0.0

    def put(self, generation: int, lines: list[bytes]) -> None:
        """Hand over a batch. Never waits; what is gone for ever gets none."""
        if self.target.gone:
            return
        size = sum(map(len, lines))
        with self._changed:
            if self._bytes > QUEUE:
                self.skipped += len(lines)
                self._lost = True
                return
            self._queue.append((generation, lines))
            self._bytes += size
            self._changed.notify_all()

    def through(self) -> int:
        """Return the batch up to which nothing has to be kept for this target.

        One that hangs or skips is not waited for: its journals would fill the spool, and hold up everybody.
        """
        with self._changed:
            if not self._queue and not self.since:
                self._lost = False
                return EVER
            return EVER if self._lost or self.hangs else self.generation

    def report(self) -> tuple[str, str] | None:
        """Return event and message of a record about what goes wrong here, the same event once in a while; or None."""
        found = self._trouble()
        now = time.monotonic()
        if found is None or now - self._reported_at.get(found[0], -REPORT_EVERY) < REPORT_EVERY:
            return None
        self._reported_at[found[0]] = now
        return found

    def _trouble(self) -> tuple[str, str] | None:
        name = self.target.name
        if self._left:
            return "handler_left", f"handler {name} did not take all of the last {self._left} records in time"
        if self.stuck:
            return "handler_hangs", f"handler {name} hangs; the file goes on without it"
        failed, skipped = self._reported
        if self.skipped > skipped and self.idle:
            self._reported = failed, self.skipped
            return "handler_skipped", f"handler {name} was too slow and skipped {self.skipped - skipped} records"
        if self.failed > failed:
            self._reported = self.failed, skipped
            return "handler_failed", f"handler {name} failed for {self.failed - failed} records"
        return None

    def finish(self, deadline: float) -> bool:
        """Wait until the queue is empty, at the latest until `deadline` (monotonic), and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        # Each waits for itself: one that hangs must not cost the others their time.
        wait = max(0.0, deadline - time.monotonic())
        self._thread.join(min(wait, 1.0) if self.hangs else wait)
        if not self._thread.is_alive():
            return True
        with self._changed:
            queued = sum(len(lines) for _, lines in self._queue)
            self._left = self._under_way + queued + self.skipped - self._reported[1]
        return False

    def _run(self) -> None:
        while True:
            with self._changed:
                closing = self._closing
                if not self._queue and not closing:
                    self._changed.wait(self.target.pause())
                generation, lines = self._queue.popleft() if self._queue else (self.generation, [])
                self.since = time.monotonic()
                self._under_way = len(lines)
            # What a handler prints in a process whose output is captured is no output of the application.
            with descriptors.Exempt():
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
            text = name.decode("utf-8", "replace")
            if level_number(text) == logging.INFO and name != b"INFO":
                # A level that only the worker's process knows: the record itself says its number.
                try:
                    keep = level_number(text, decode(line[PREFIX:])) >= least
                except ValueError:
                    keep = True
                if keep:
                    kept.append(line)
                continue
            known[name] = level_number(text) >= least
        if known[name]:
            kept.append(line)
    return kept


class ConsoleTarget:
    """Write formatted lines to a stream of this process, by descriptor where it has one."""

    name = "console"

    def __init__(
        self,
        stream: Any,
        format_line: Callable[[dict[str, Any]], str],
        level: int,
        fold: Fold | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self._stream = stream
        self._format = format_line
        self._level = level
        self._fold = fold
        self._terminal = terminal
        self.gone = False

    def deliver(self, lines: list[bytes]) -> int:
        """Write the lines at the console's level; a console that is gone (EPIPE, hang-up) is left alone."""
        if self.gone:
            return 0
        failed = 0
        texts: list[str] = []
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
        """Return the seconds until folded records or the bars of a terminal are to be shown, or None."""
        if self.gone:
            return None
        pauses = [keeper.pause() for keeper in (self._fold, self._terminal) if keeper is not None]
        return min((pause for pause in pauses if pause is not None), default=None)

    def settle(self, *, final: bool = False) -> None:
        """Show the summaries that are due, and the bars."""
        if self._fold is not None:
            self._show([self._format(fields) for fields in self._fold.due(math.inf if final else None)])
        if self._terminal is not None and not self.gone:
            try:
                self._terminal.settle(final=final)
            except OSError:
                self.gone = True

    def _show(self, texts: list[str]) -> None:
        if not texts or self.gone:
            return
        try:
            self._write("\n".join(texts) + "\n")
        except (OSError, ValueError):
            self.gone = True

    def _write(self, text: str) -> None:
        if self._terminal is not None:
            self._terminal.write(text)
            return
        stream = self._stream
        try:
            fd = descriptors.original(stream.fileno())
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

    gone = False

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
