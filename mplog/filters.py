"""Less noise: samples, rate limits, and a ring of DEBUG records that are only written when something goes wrong.

Runs in a worker. Each filter goes on a logger, on a handler, into `dictConfig` (``{"()": "mplog.filters.Sample",
"rate": 0.1}``) and among structlog's processors. What a filter leaves out it counts: the next record that passes
carries the count as ``left_out``, and what is left at the end of the process is said in a record of its own.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any

from mplog import worker
from mplog._shared.record import encode_record
from mplog.exceptions import ConfigError

__all__ = ["DebugRing", "RateLimit", "Sample"]

MOST_SITES = 4096
"""Different messages that are counted one by one; further ones share a count."""

_LEVELS = {"warn": 30, "exception": 40, "fatal": 50, "msg": 20, "notset": 0}

Event = MutableMapping[str, Any]


class _Site:
    """The count of one message."""

    __slots__ = ("left_out", "state", "then")

    def __init__(self, state: float, then: float) -> None:
        self.state, self.then = state, then
        self.left_out = 0


class _Counting(logging.Filter, ABC):
    """Leave records out by message, and count them.

    Args:
        keep: level at and above which every record passes.
    """

    def __init__(self, keep: int | str) -> None:
        super().__init__()
        self.keep = _level(keep)
        self._lock = threading.Lock()
        self._sites: dict[tuple[str, str], _Site] = {}
        self._announced = False
        _all.add(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record passes; add ``left_out`` to it if others did not."""
        if record.levelno >= self.keep:
            return True
        left_out = self._decide(record.name, record.msg)
        if left_out > 0:
            record.left_out = left_out
        return left_out >= 0

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        """Do the same for an event of structlog.

        Raises:
            structlog.DropEvent: the event is left out.
        """
        if _method_level(method) >= self.keep:
            return event
        left_out = self._decide(str(event.get("logger", getattr(logger, "name", ""))), event.get("event", ""))
        if left_out < 0:
            raise _drop_event()
        if left_out:
            event["left_out"] = left_out
        return event

    def report(self) -> None:
        """Write one record about what was left out and is not said yet. Called at the end of the process."""
        with self._lock:
            total = sum(site.left_out for site in self._sites.values())
            for site in self._sites.values():
                site.left_out = 0
        if total:
            noun = "record" if total == 1 else "records"
            logging.getLogger("mplog.filters").warning(
                "%s left out %d %s at the end", type(self).__name__, total, noun, extra={"left_out": total}
            )

    def forget(self) -> None:
        """Leave the counts to the parent. Runs in a forked child."""
        self._lock = threading.Lock()
        self._sites = {}

    def _decide(self, logger: str, msg: object) -> int:
        """Return -1 to leave a record out, else how many were left out before it."""
        key = (logger, msg if type(msg) is str else type(msg).__name__)
        with self._lock:
            site = self._sites.get(key)
            if site is None:
                if len(self._sites) >= MOST_SITES:
                    key = ("", "")
                site = self._sites.setdefault(key, self._begin())
            if self._passes(site):
                left_out, site.left_out = site.left_out, 0
                return left_out
            site.left_out += 1
        if not self._announced:
            self._announced = True
            _report_at_end()
        return -1

    @abstractmethod
    def _begin(self) -> _Site:
        """Return the count of a message that comes for the first time."""

    @abstractmethod
    def _passes(self, site: _Site) -> bool:
        """Tell whether the next record of a message passes. The caller holds the lock."""


class Sample(_Counting):
    """Let a share of the records of each message pass: the first one, and then evenly.

    Runs in a worker. A message is a logger and a text before its arguments are put in.

    Args:
        rate: the share that passes, above 0 and up to 1; 0.01 is one in a hundred.
        keep: level at and above which every record passes.

    Raises:
        ConfigError: `rate` or `keep` makes no sense.
    """

    def __init__(self, rate: float, *, keep: int | str = logging.WARNING) -> None:
        if not _is_number(rate) or not 0 < rate <= 1:
            raise ConfigError(f"`rate` is {rate!r}; pass the share of records that stays, above 0 and up to 1.")
        super().__init__(keep)
        self.rate = rate

    def _begin(self) -> _Site:
        return _Site(1.0 - self.rate, 0.0)

    def _passes(self, site: _Site) -> bool:
        site.state += self.rate
        if site.state < 1.0 - 1e-9:
            return False
        site.state -= 1.0
        return True


class RateLimit(_Counting):
    """Let so many records of each message pass a second, and a few more in a burst.

    Runs in a worker. A message is a logger and a text before its arguments are put in.

    Args:
        per_second: records a second, above 0; 0.1 is one in ten seconds.
        burst: records that may come at once, at least 1; by default `per_second`, rounded up.
        keep: level at and above which every record passes.
        clock: returns seconds, monotonic.

    Raises:
        ConfigError: an argument makes no sense.
    """

    def __init__(
        self,
        per_second: float,
        burst: int | None = None,
        *,
        keep: int | str = logging.ERROR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _is_number(per_second) or not 0 < per_second < 1e9:
            raise ConfigError(f"`per_second` is {per_second!r}; pass a number of records a second, above 0.")
        if burst is not None and (not _is_number(burst) or burst < 1):
            raise ConfigError(f"`burst` is {burst!r}; pass how many records may come at once, at least 1.")
        super().__init__(keep)
        self.per_second = per_second
        self.burst = int(burst) if burst is not None else math.ceil(per_second)
        self._clock = clock

    def _begin(self) -> _Site:
        return _Site(float(self.burst), self._clock())

    def _passes(self, site: _Site) -> bool:
        now = self._clock()
        site.state = min(float(self.burst), site.state + (now - site.then) * self.per_second)
        site.then = now
        if site.state < 1.0:
            return False
        site.state -= 1.0
        return True


class DebugRing(logging.Filter):
    """Keep the last DEBUG records of this process out of the log, and write them when an ERROR comes.

    Runs in a worker. They are rendered and redacted when they are logged, and have the times they were logged at and
    the field ``ring``. Put it on mplog's handler (`attach`), on a logger, or among structlog's processors; the level
    has to let DEBUG through. A forked child begins with an empty ring.

    Args:
        size: how many records are kept, at least 1.
        below: records below this level are kept back.
        trigger: a record of this level or above writes the ring.

    Raises:
        ConfigError: an argument makes no sense.
    """

    def __init__(
        self, size: int = 1000, *, below: int | str = logging.INFO, trigger: int | str = logging.ERROR
    ) -> None:
        if not _is_number(size) or size < 1:
            raise ConfigError(f"`size` is {size!r}; pass how many records are to be kept, at least 1.")
        super().__init__()
        self.below, self.trigger = _level(below), _level(trigger)
        self._ring: deque[tuple[bytes, bytes, int]] = deque(maxlen=int(size))
        self._pushed_out = 0
        _all.add(self)

    def attach(self) -> DebugRing:
        """Put the ring on this process's handler of mplog, if it is not there; return it. For initializers, too."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, worker.WorkerHandler) and self not in handler.filters:
                handler.addFilter(self)
        return self

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record back, or write the ring before one that is an error."""
        if record.levelno < self.below:
            self._keep(record)
            return False
        if record.levelno >= self.trigger and self._ring:
            self.write()
        return True

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        """Do the same for an event of structlog.

        Raises:
            structlog.DropEvent: the event is kept back.
        """
        level = _method_level(method)
        if level < self.below:
            fields = {str(name): value for name, value in event.items() if name not in _NOT_FIELDS}
            name = str(event.get("logger", getattr(logger, "name", "")))
            text = event.get("event", "")
            record = logging.LogRecord(name, level, "", 0, text, None, event.get("exc_info") or None)
            record.__dict__.update({key: value for key, value in fields.items() if key not in record.__dict__})
            self._keep(record)
            raise _drop_event()
        if level >= self.trigger and self._ring:
            self.write()
        return event

    def write(self) -> int:
        """Write what is kept into the log now; return how many records that were."""
        here = worker.current
        if here is None:
            return 0
        written = 0
        ring, self._ring = self._ring, deque(maxlen=self._ring.maxlen)
        pushed_out, self._pushed_out = self._pushed_out, 0
        try:
            journal = here.journal or here.open()
            for head, tail, level in ring:
                more = b',"left_out":%d' % pushed_out if pushed_out and not written else b""
                key = b"%016x" % time.monotonic_ns()
                written += journal.write(key + head[16:], tail[:-2] + b',"ring":true' + more + b"}\n", level)
        except Exception as error:  # a logging call never raises
            here.fail(error)
        return written

    def forget(self) -> None:
        """Leave what is kept to the parent. Runs in a forked child."""
        self._ring.clear()
        self._pushed_out = 0

    def _keep(self, record: logging.LogRecord) -> None:
        here = worker.current
        if here is None:
            return
        head, tail = encode_record(
            record,
            0,
            max_record=here.max_record - 64,
            redact=here.redact,
            show_locals=here.config.show_locals,
        )
        self._pushed_out += len(self._ring) == self._ring.maxlen
        self._ring.append((head, tail, record.levelno))


_NOT_FIELDS = frozenset(("event", "logger", "level", "exc_info", "_record", "_from_structlog"))
_all: weakref.WeakSet[Any] = weakref.WeakSet()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _level(value: int | str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = logging.getLevelNamesMapping().get(str(value).upper())
    if found is None:
        raise ConfigError(f"the level is {value!r}; pass a level's name or number.")
    return found


def _method_level(method: str) -> int:
    known = _LEVELS.get(method)
    return known if known is not None else logging.getLevelNamesMapping().get(method.upper(), logging.INFO)


def _drop_event() -> BaseException:
    import structlog

    return structlog.DropEvent()


def _report_at_end() -> None:
    """Have the counts said when this process ends or leaves its session."""
    if _report_all not in worker.leaving:
        worker.leaving.append(_report_all)
        atexit.register(_report_all)


def _report_all() -> None:
    for found in list(_all):
        if isinstance(found, _Counting):
            found.report()


def _forget_all() -> None:
    for found in list(_all):
        found.forget()


os.register_at_fork(after_in_child=_forget_all)
