"""The bound logger of `mplog.get_logger`: from a structlog call straight into the journal.

Where mplog's handler is the only one that would see the record, no `logging.LogRecord` is made: the line
comes from the template of the call site. Other handlers, filters, exceptions and stacks get their record.
Runs in a worker.
"""

from __future__ import annotations

import inspect
import logging
import multiprocessing.process
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import Callable
from math import isfinite
from time import monotonic_ns
from types import CodeType, FrameType
from typing import Any, Self

import msgspec

from mplog import worker
from mplog._shared.context import fields, shared
from mplog._shared.record import FIELDS, encode_own, quote
from mplog._worker import chain, fastpath
from mplog._worker.events import name_of_level, number, text_of
from mplog._worker.recorded import Later, RecordLogger
from mplog._worker.template import local, new_site, task_name, who

Site = tuple[int, object, bytes, bytes, bytes, CodeType]
"""A call site's level and usual event, the template of its line, that of a line with any event, what stands between
such an event and who logs, and the code, to be kept alive."""
Table = dict[int, Site]
"""Sites of one logger by the address of the call's instruction (see `template`)."""

_NO_EVENT = object()
MAX_SITES = 4096
MAX_TEXT = 1024
"""Characters of an event that is kept with its call site."""
_OPTIONS = frozenset(("exc_info", "stack_info", "stacklevel", "event"))
"""Keywords that say how to log; all others are fields."""
_UNUSUAL = _OPTIONS | frozenset(FIELDS) | {"exc", "levelno"}
_STOCK = (logging.Logger, logging.RootLogger)
_SAME = frozenset((bool, type(None)))
"""Types of which msgspec makes the JSON that `encode_own` makes, whatever the value."""
_LogRecord = logging.LogRecord
_process: Any = multiprocessing.process
_getframe = sys._getframe
_root = logging.root
_to_json = msgspec.json.Encoder().encode
_bound_around = shared()
_tables: dict[str, Table] = {}
_next_second = fastpath.next_second
_guard, _ours = worker.guard, fastpath.ours


def _caller() -> FrameType:
    """Return who called the caller; itself where the interpreter did, as `atexit` does."""
    try:
        return _getframe(2)
    except ValueError:
        return _getframe(1)


def _method(level: int, name: str) -> Callable[..., None]:
    """Return the method for a level: the shortest way that is right.

    One long function: a call inside it costs as much as a field.
    """

    def method(self: BoundLogger, event: Any = None, /, *args: Any, **own: Any) -> None:
        logger: Any = self._logger
        if not logger.isEnabledFor(level):
            return
        try:
            frame = _getframe(1)
        except ValueError:  # called by the interpreter itself, as `atexit` does
            frame = _getframe()
        here = worker.current
        # As `Logger.callHandlers` goes: is ours, on the root logger, the one handler on the way up?
        while logger is not _root:
            if logger.handlers or logger.filters or not logger.propagate:
                break
            logger = logger.parent
        handlers = logger.handlers
        if (
            here is None
            or handlers != _ours
            or (handler := _ours[0]).filters
            or handler.level
            or logger.filters
            or logger is not _root
            or self._processors
            or not _UNUSUAL.isdisjoint(own)
            or here.redact is not None
            or logging._logRecordFactory is not _LogRecord  # type: ignore[attr-defined]
        ):
            self._in_full(level, name, event, args, own, frame)
            return
        try:
            if not _guard[0]:
                worker.after_fork()
            given = own
            if _bound_around or self._context:
                given = {**fields(), **self._context, **own}
                if not _UNUSUAL.isdisjoint(given):
                    self._in_full(level, name, event, args, own, frame)
                    return
            if _get_running_loop() is not None and (task := task_name()) is not None:
                given = {**given, "task_" if "task" in given else "task": task}
            tail = b"}"
            if given:
                for value in given.values():
                    kind = type(value)
                    if kind is str or (kind is int and -0x8000000000000000 <= value < 0x8000000000000000):
                        continue
                    if kind not in _SAME and (kind is not float or not isfinite(value)):
                        tail = _tail(given)
                        break
                else:
                    try:
                        json = _to_json(given)
                    except UnicodeError:  # half of a surrogate pair
                        json = b"\xff"
                    # What is not ASCII may need an escape.
                    tail = json.replace(b"{", b",", 1) if json.isascii() and 127 not in json else _tail(given)
            code = frame.f_code
            site = self._sites.get(id(code) + frame.f_lasti)
            if site is None or site[0] != level:
                site = self._site(level, frame, event)
            _, usual, whole, other, middle, _ = site
            journal = here.journal or here.open()  # before the clock is read: opening takes its time
            key = monotonic_ns()
            start, zeros, second = fastpath.second
            micros = (key - start) // 1000
            if not 0 <= micros < 1_000_000:
                zeros, second, micros = _next_second(key)
            try:
                thread, thread_name, process_name, names = local.who
                if thread._name is not thread_name or _process._current_process._name is not process_name:
                    names = _introduce()
            except AttributeError:
                names = _introduce()
            if event is not usual or args:
                text = event if type(event) is str and not args else text_of(event, args)
                names = b"%b%b%b" % (quote(text).encode(), middle, names)
                whole = other
            seq = journal.seq + 1
            line = whole % (zeros, key, second, micros, names, seq, tail)
            length = len(line)
            if length <= here.max_record:
                # The claim, as in `JournalWriter.write`: no call from here to the copy.
                begin = journal.used
                end = begin + length
                if journal.seq + 1 == seq and end <= journal.size:
                    journal.seq = seq
                    journal.used = end
                    try:
                        journal.memory[begin:end] = line  # type: ignore[index]
                    except BaseException:
                        journal.blank(journal.memory, begin, end, seq)
                else:
                    cut = whole.rindex(b"%d")
                    head = whole[:cut] % (zeros, key, second, micros, names)
                    journal.write(head, b"%b%b\n" % (whole[cut + 2 : -3], tail), level)
                if key >= here.check_at:
                    here.check(key)
                return
        except Exception as error:  # the application must not suffer from its log
            here.fail(error)
            return
        self._in_full(level, name, event, args, own, frame)

    method.__name__ = name
    method.__doc__ = f"Log an event at level {logging.getLevelName(level)}; further keywords are its fields."
    return method


def _async_method(level: int, name: str) -> Callable[..., Later]:
    def method(self: BoundLogger, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        return self._later(level, name, event, args, fields, _caller())

    method.__name__ = f"a{name}"
    method.__doc__ = f"Do what `{name}` does when it is awaited; a journal makes nobody wait."
    mark: Any = getattr(inspect, "markcoroutinefunction", lambda function: function)  # Python 3.12
    return mark(method)  # type: ignore[no-any-return]


class BoundLogger(RecordLogger):
    """Log events with fields, on the fast path: the class behind `get_logger` and `configure_structlog`.

    Runs in a worker; a call may wait for room as the session's `overflow` says, and never raises. The level
    that counts is that of the `logging.Logger` of the same name, whose other attributes and methods are
    passed through. `bind`, `unbind`, `try_unbind` and `new` are structlog's.

    Args:
        logger: the `logging.Logger`.
        processors: the application's steps before the journal.
        context: the fields that are bound.
    """

    def __new__(cls, logger: logging.Logger, processors: Any, context: Any) -> Self:  # noqa: ARG004  # `__init__` takes them
        """Choose the class: only loggers of an application's own class need a slower one."""
        kind: Any = _WithOwnLogger if cls is BoundLogger and type(logger) not in _STOCK else cls
        return super().__new__(kind)  # type: ignore[no-any-return]

    def __init__(self, logger: logging.Logger, processors: Any, context: Any) -> None:
        super().__init__(logger, processors, context)
        self._sites = _tables.setdefault(logger.name, {})

    debug = _method(10, "debug")
    info = msg = _method(20, "info")
    warning = warn = _method(30, "warning")
    error = _method(40, "error")
    critical = fatal = _method(50, "critical")
    adebug = _async_method(10, "debug")
    ainfo = amsg = _async_method(20, "info")
    awarning = awarn = _async_method(30, "warning")
    aerror = _async_method(40, "error")
    acritical = afatal = _async_method(50, "critical")

    def exception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log an event at level ERROR with the exception that is being handled."""
        if self._logger.isEnabledFor(40):
            fields.setdefault("exc_info", True)
            self._in_full(40, "exception", event, args, fields, _caller())

    def aexception(self, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        """Do what `exception` does when it is awaited."""
        fields.setdefault("exc_info", True)
        return self._later(40, "exception", event, args, fields, _caller())

    def log(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log an event at any level.

        Args:
            level: a number, or a name that `logging` knows.
            event: the text, and arguments for its ``%`` marks.
            args: these arguments.
            fields: the event's fields.
        """
        value = number(level)
        if self._logger.isEnabledFor(value):
            self._in_full(value, name_of_level(value), event, args, fields, _caller())

    def alog(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        """Do what `log` does when it is awaited."""
        value = number(level)
        return self._later(value, name_of_level(value), event, args, fields, _caller())

    def is_enabled_for(self, level: int) -> bool:
        """Return whether an event of this level would be written."""
        return self._logger.isEnabledFor(level)

    def get_effective_level(self) -> int:
        """Return the level from which on events are written."""
        return self._logger.getEffectiveLevel()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle to the logger's name and what is bound; the other process has processors of its own."""
        own = None if self._processors is chain.CHAIN else self._processors
        return (_restore, (type(self), self._logger.name, own, self._context))

    def _site(self, level: int, place: Any, event: Any) -> Site:
        """Make and keep what is the same for all records of a call site, the event's text among it."""
        found = new_site({}, self._logger.name, level, place)
        if len(self._sites) >= MAX_SITES:
            self._sites.clear()
        before, middle, after, own = [part.replace("%", "%%") for part in found[:4]]
        start, end = f'%b%x {{"time":"%b.%06dZ{before}', f"%b{after}%d{own}%b\n"
        other = f"{start}{end}".encode()
        site: Site = (level, _NO_EVENT, other, other, found.middle.encode(), found.code)
        if type(event) is str and len(event) <= MAX_TEXT:
            whole = f"{start}{quote(event).replace('%', '%%')}{middle}{end}".encode()
            site = (level, event, whole, *site[3:])
        self._sites[id(place.f_code) + place.f_lasti] = site
        return site


class _WithOwnLogger(BoundLogger):
    """A bound logger around a logger of the application's class, with what that class has beside the usual.

    A class with a `__getattr__` is slow before Python 3.12: each attribute takes the long way.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._logger, name)


class _OfLogger:
    """An attribute or method of the `logging.Logger` behind a bound logger."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, bound: BoundLogger | None, owner: type) -> Any:
        return self if bound is None else getattr(bound._logger, self._name)

    def __set__(self, bound: BoundLogger, value: Any) -> None:
        setattr(bound._logger, self._name, value)


for _name in dir(logging.root):
    if not (_name.startswith("_") or hasattr(BoundLogger, _name)):
        setattr(BoundLogger, _name, _OfLogger(_name))


def _tail(own: dict[str, Any]) -> bytes:
    """Return a line's end with the own fields, with all escapes."""
    return f"{encode_own(own)}}}".encode()


def _introduce() -> bytes:
    """Make and keep the part of a line that says who logs, as `fastpath` does."""
    thread, names = threading.current_thread(), who().encode()
    local.who = (thread, thread.name, _process.current_process().name, names)
    return names


def _restore(kind: type[BoundLogger], name: str, processors: Any, context: Any) -> BoundLogger:
    """Make a bound logger again where it was unpickled."""
    return kind(logging.getLogger(name), chain.CHAIN if processors is None else processors, context)
