"""`track`: show how far a loop in a worker is. Runs in the worker."""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mplog import worker
from mplog._shared.control import process_name
from mplog._shared.slots import Progress, Slot
from mplog.exceptions import ConfigError

T = TypeVar("T")

SHOW_EVERY = 100_000_000
"""Nanoseconds between two looks of the terminal."""
LOG_EVERY = 5_000_000_000
"""Nanoseconds between two lines in the log, where there is no terminal."""


def track(iterable: Iterable[T], description: str | None = None, total: int | None = None) -> Iterator[T]:
    """Iterate, and show on the session's console how far this process is. Runs in a worker.

    On a terminal there is a bar below the log lines, one for each loop of each process, drawn by the listener.
    Elsewhere there is a record of the logger `mplog.track` every five seconds. While it iterates it raises only
    what the iterable raises.

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
    return _follow(found, _Loop(description or "", total))


def _follow(iterator: Iterator[T], loop: _Loop) -> Iterator[T]:
    """Yield what the iterator yields; one is done when the next is asked for."""
    clock = time.monotonic_ns
    done, show_at = 0, 0
    try:
        for found in iterator:
            if (now := clock()) >= show_at:
                show_at = now + SHOW_EVERY
                loop.show(done, now)
            yield found
            done += 1
    finally:
        loop.end(done)


class _Loop:
    """Tell how far a loop is: on the terminal, or in the log."""

    def __init__(self, description: str, total: int | None) -> None:
        self._description = description
        self._total = total
        self._started = time.monotonic_ns()
        self._log_at = self._started + LOG_EVERY
        self._slot: Slot | None = None
        self._logged = False

    def show(self, done: int, now: int) -> None:
        """Tell that so many are done; never raises."""
        with contextlib.suppress(Exception):  # how far the loop is must not end it
            here = worker.current
            if here is None:
                return
            progress = self._progress(done)
            if self._slot is None:
                with contextlib.suppress(OSError):
                    self._slot = Slot(here.spool, here.claim().journal)
            if self._slot is not None:
                self._slot.show(progress)
            elif now >= self._log_at:
                self._log(progress, now)

    def end(self, done: int) -> None:
        """Tell that the loop has ended; never raises."""
        with contextlib.suppress(Exception):  # the same
            if self._slot is not None:
                self._slot.close()
            if self._logged:
                self._log(self._progress(done), time.monotonic_ns())

    def _progress(self, done: int) -> Progress:
        return Progress(process_name(), os.getpid(), self._description, done, self._total, self._started)

    def _log(self, progress: Progress, now: int) -> None:
        self._log_at = now + LOG_EVERY
        self._logged = True
        text = sentence(progress, (now - self._started) / 1e9)
        fields = {"done": progress.done, "total": progress.total}
        logging.getLogger("mplog.track").info("%s", text, extra=fields)


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
