"""`track`: show how far a loop in a worker is. Runs in the worker."""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from mplog import worker
from mplog._control import process_name
from mplog._slots import Progress, Slot
from mplog.exceptions import ConfigError

T = TypeVar("T")

SHOW_EVERY = 100_000_000
"""Nanoseconds between two looks of the terminal."""
LOG_EVERY = 5_000_000_000
"""Nanoseconds between two lines in the log, where there is no terminal."""


def track(iterable: Iterable[T], description: str | None = None, total: int | None = None) -> Track[T]:
    """Iterate, and show on the session's console how far this process is. Runs in a worker.

    On a terminal there is a bar below the log lines, one for each loop of each process, drawn by the listener.
    Elsewhere there is a record of the logger `mplog.track` every five seconds. Never raises while it iterates
    but what the iterable raises.

    Args:
        iterable: what to iterate over.
        description: what is done, for people.
        total: how many there will be, or None to ask `iterable`.

    Raises:
        ConfigError: an argument is wrong.
    """
    given: tuple[object, object] = (description, total)
    if not isinstance(given[0], str | None):
        raise ConfigError(f"`description` is {description!r}; use a short text, or None.")
    if not isinstance(given[1], int | None) or isinstance(total, bool) or (total or 0) < 0:
        raise ConfigError(f"`total` is {total!r}; use how many there will be, or None.")
    try:
        found = iter(iterable)
    except TypeError:
        raise ConfigError(f"`iterable` is {iterable!r}, which is none; use a list, a range, a generator.") from None
    if total is None:
        with contextlib.suppress(Exception):  # a hint of the application's
            total = operator.length_hint(iterable, -1)
            total = None if total < 0 else total
    return Track(found, description or "", total)


class Track(Generic[T]):
    """Be an iterator that tells how far it is.

    Args:
        iterator: what to iterate over.
        description: what is done.
        total: how many there will be, or None.
    """

    def __init__(self, iterator: Iterator[T], description: str, total: int | None) -> None:
        self._iterator = iterator
        self._description = description
        self._total = total
        self._done = -1
        self._started = time.monotonic_ns()
        self._next = 0
        self._log_at = self._started + LOG_EVERY
        self._slot: Slot | None = None
        self._logged = False

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __length_hint__(self) -> int:
        """Return how many are still to come, as far as that is known."""
        return max(0, (self._total or 0) - max(0, self._done))

    def __next__(self) -> T:
        """Return the next one; what was returned before is done."""
        self._done += 1
        now = time.monotonic_ns()
        if now >= self._next:
            self._next = now + SHOW_EVERY
            self._show(now)
        try:
            return next(self._iterator)
        except BaseException:
            self._end()
            raise

    def __del__(self) -> None:
        """Take the bar away from a loop that was left early."""
        self._end()

    def _show(self, now: int) -> None:
        try:
            here = worker.current
            if here is None:
                return
            progress = self._progress()
            if self._slot is None:
                with contextlib.suppress(OSError):
                    self._slot = Slot(here.spool, here.claim().journal)
            if self._slot is not None:
                self._slot.show(progress)
            elif now >= self._log_at:
                self._log(progress, now)
        except Exception:  # how far the loop is must not end it
            self._next = now + LOG_EVERY

    def _progress(self) -> Progress:
        done = max(0, self._done)
        return Progress(process_name(), os.getpid(), self._description, done, self._total, self._started)

    def _log(self, progress: Progress, now: int) -> None:
        self._log_at = now + LOG_EVERY
        self._logged = True
        seconds = (now - self._started) / 1e9
        logging.getLogger("mplog.track").info(
            "%s", sentence(progress, seconds), extra={"done": progress.done, "total": progress.total}
        )

    def _end(self) -> None:
        """Show the end: once."""
        slot, self._slot = self._slot, None
        with contextlib.suppress(Exception):
            if slot is not None:
                slot.close()
            if self._logged:
                self._logged = False
                self._log(self._progress(), time.monotonic_ns())
                self._logged = False


def sentence(progress: Progress, seconds: float) -> str:
    """Return how far a loop is after some seconds: ``resizing: 45/100 (45 %), 12.3/s, 4 s left``."""
    name = f"{progress.description}: " if progress.description else ""
    rate = progress.done / seconds if seconds > 0 else 0.0
    text = f"{name}{progress.done:,}"
    if progress.total:
        text += f"/{progress.total:,} ({100 * progress.done // progress.total} %)"
    text += f", {rate:,.1f}/s"
    if progress.total and rate and progress.done < progress.total:
        text += f", {(progress.total - progress.done) / rate:,.0f} s left"
    return text
