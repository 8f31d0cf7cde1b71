"""The bound logger of `mplog.get_logger`: from a structlog call straight into the journal.

Where mplog's handler is the only one that would see the record, no `logging.LogRecord` is made: the line
comes from the template of the call site. Other handlers, filters, exceptions and stacks get their record.
Runs in a worker.
"""

from __future__ import annotations

import inspect
import io
import logging
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic_ns, time_ns
from types import CodeType, FrameType
from typing import Any, NamedTuple

import structlog

from mplog import _chain, worker
from mplog._context import fields
from mplog._record import CLASHING, encode_own, quote, render
from mplog._template import Table, new_site, sites, stamp, task_name, who
from mplog._values import cut, safe_str

Later = Coroutine[Any, Any, None]

_OPTIONS = frozenset(("exc_info", "stack_info", "stacklevel", "event"))
"""Keywords that say how to log; all others are fields."""
_OF_RECORDS = frozenset(dir(logging.LogRecord)) | frozenset(
    logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "asctime", "taskName"}
)
_INTERNAL = frozenset(("_record", "_logger", "_name", "_from_structlog"))
_LogRecord = logging.LogRecord
_getframe = sys._getframe
_root = logging.root
_tables: dict[str, dict[int, Table]] = {}


class _Place(NamedTuple):
    """Where a call stood that is carried out later: what is used of a frame."""

    f_code: CodeType
    f_lasti: int
    f_lineno: int


class _Event(NamedTuple):
    """A call, on its way to a record."""

    level: int
    msg: str
    own: Mapping[str, Any]
    exc_info: Any
    stack: str | None


def _method(level: int, name: str) -> Callable[..., None]:
    def method(self: BoundLogger, event: Any = None, /, *args: Any, **fields: Any) -> None:
        if self._logger.isEnabledFor(level):
            self._log(level, name, event, args, fields, _getframe(1))

    method.__name__ = name
    method.__doc__ = f"Log an event at level {logging.getLevelName(level)}; further keywords are its fields."
    return method


def _async_method(level: int, name: str) -> Callable[..., Later]:
    def method(self: BoundLogger, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        return self._later(level, name, event, args, fields, _getframe(1))

    method.__name__ = f"a{name}"
    method.__doc__ = f"Do what `{name}` does when it is awaited; a journal makes nobody wait."
    return inspect.markcoroutinefunction(method) if sys.version_info >= (3, 12) else method


class BoundLogger(structlog.BoundLoggerBase):
    """Log events with fields, on the fast path: the class behind `get_logger` and `configure_structlog`.

    Runs in a worker; a call may wait for room as the session's `overflow` says, and never raises. The level
    that counts is that of the `logging.Logger` of the same name, whose other attributes and methods are
    passed through. `bind`, `unbind`, `try_unbind` and `new` are structlog's.

    Args:
        logger: the `logging.Logger`.
        processors: the application's steps before the journal.
        context: the fields that are bound.
    """

    _logger: logging.Logger
    _processors: Any

    def __init__(self, logger: logging.Logger, processors: Any, context: Any) -> None:
        super().__init__(logger, processors, context)
        self._tables = _tables.setdefault(logger.name, {})

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
            self._log(40, "exception", event, args, fields, _getframe(1))

    def aexception(self, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        """Do what `exception` does when it is awaited."""
        fields.setdefault("exc_info", True)
        return self._later(40, "exception", event, args, fields, _getframe(1))

    def log(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log an event at any level.

        Args:
            level: a number, or a name that `logging` knows.
            event: the text, and arguments for its ``%`` marks.
            args: these arguments.
            fields: the event's fields.
        """
        number = _number(level)
        if self._logger.isEnabledFor(number):
            self._log(number, _name(number), event, args, fields, _getframe(1))

    def alog(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> Later:
        """Do what `log` does when it is awaited."""
        number = _number(level)
        return self._later(number, _name(number), event, args, fields, _getframe(1))

    def is_enabled_for(self, level: int) -> bool:
        """Return whether an event of this level would be written."""
        return self._logger.isEnabledFor(level)

    def get_effective_level(self) -> int:
        """Return the level from which on events are written."""
        return self._logger.getEffectiveLevel()

    def __getattr__(self, name: str) -> Any:
        """Return what else the `logging.Logger` of this name has: `setLevel`, `handlers`, .."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._logger, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle to the logger's name and what is bound; the other process has processors of its own."""
        own = None if self._processors is _chain.CHAIN else self._processors
        return (_restore, (type(self), self._logger.name, own, self._context))

    def _log(self, level: int, method: str, event: Any, args: Any, kw: dict[str, Any], place: Any) -> None:
        """Write an event on the shortest way that is right."""
        here, logger = worker.current, self._logger
        if (
            here is None
            or self._processors
            or not _OPTIONS.isdisjoint(kw)
            or not _alone(logger)
            or logging._logRecordFactory is not _LogRecord  # type: ignore[attr-defined]
        ):
            self._log_in_full(level, method, event, args, kw, place)
            return
        bound, around = self._context, fields()
        own: Any = {**around, **bound, **kw} if bound or around else kw
        try:
            if not worker._guard[0]:
                worker.after_fork()
            msg = event if type(event) is str and not args else _text(event, args)
            if "asyncio" in sys.modules and (task := task_name()) is not None:
                own = {**own, "task_" if "task" in own else "task": task}
            if (redact := here.redact) is not None:
                msg, own, _ = redact(cut(msg, 4 * here.max_record), own, None)
            table = self._tables.get(level)
            if table is None:
                table = self._tables[level] = sites(logger.name, level)
            site = table.get(id(place.f_code) + place.f_lasti) or new_site(table, logger.name, level, place)
            before, middle, after, extra, _ = site
            key = monotonic_ns()
            line = f'{key:016x} {{"time":"{stamp(time_ns())}{before}{quote(msg)}{middle}{who()}{after}'
            head, tail = line.encode(), (f"{encode_own(own)}}}\n").encode()
            if not extra and len(head) + len(tail) + 20 <= here.max_record:
                (here.journal or here.open()).write(head, tail, level)
                if key >= here.check_at:
                    here.check(key)
                return
        except Exception as error:  # the application must not suffer from its log
            here.fail(error)
            return
        self._log_in_full(level, method, event, args, kw, place)

    def _log_in_full(
        self, level: int, method: str, event: Any, args: Any, kw: dict[str, Any], place: Any
    ) -> None:
        """Write an event as `logging` does, with a record; through the application's processors first."""
        try:
            if event is None:
                event = kw.pop("event", None)
            for _ in range(_depth(kw.pop("stacklevel", 1))):
                place = getattr(place, "f_back", None) or place
            own = {**fields(), **self._context, **kw}
            if args:
                event = _text(event, args)
            if self._processors:
                found = self._processed(level, method, event, own, place)
                if found is None:
                    return
            else:
                exc_info, stack = own.pop("exc_info", None), own.pop("stack_info", None)
                found = _Event(level, _text(event, ()), own, exc_info, stack)
            self._handle(found, place)
        except Exception as error:  # the application must not suffer from its log
            if worker.current is not None:
                worker.current.fail(error)

    def _processed(
        self, level: int, method: str, event: Any, own: dict[str, Any], place: Any
    ) -> _Event | None:
        """Return what the application's processors make of an event, or None if they drop it."""
        if event is not None:
            own["event"] = event
        stack = structlog.contextvars._ASYNC_CALLING_STACK
        token = stack.set(place if isinstance(place, FrameType) else _getframe())
        try:
            result: Any = _chain.run(self._processors, self._logger, method, own, _report)
        except structlog.DropEvent:
            return None
        finally:
            stack.reset(token)
        return _event_of(result, level, self._logger.name)

    def _handle(self, event: _Event, place: Any) -> None:
        """Give a record of an event to the handlers of `logging`."""
        logger, own = self._logger, event.own
        text, stack = event.msg, event.stack
        if worker.current is None and not logger.hasHandlers():  # for `lastResort`, which shows no fields
            text = " ".join([text, *(f"{name}={value!r}" for name, value in own.items())])
        if stack is not None and not isinstance(stack, str):
            stack = _stack_of(place) if stack and isinstance(place, FrameType) else None
        code = place.f_code
        record = logger.makeRecord(
            logger.name,
            event.level,
            code.co_filename,
            place.f_lineno or 0,
            text,
            (),
            _exc_info(event.exc_info),
            code.co_name,
            None,
            stack,
        )
        record.__dict__.update({name: value for name, value in own.items() if name not in _OF_RECORDS})
        record.__dict__[CLASHING] = {name: value for name, value in own.items() if name in _OF_RECORDS}
        _reconnect()
        logger.handle(record)

    async def _write(self, level: int, method: str, event: Any, args: Any, kw: Any, place: Any) -> None:
        """Write an event now, as though it had been logged where it was called."""
        if self._logger.isEnabledFor(level):
            self._log(level, method, event, args, kw, place)

    def _later(
        self, level: int, method: str, event: Any, args: Any, kw: dict[str, Any], frame: FrameType
    ) -> Later:
        """Return a coroutine that logs; what will have changed by then is looked up now."""
        for _ in range(_depth(kw.pop("stacklevel", 1))):
            frame = frame.f_back or frame
        if kw.get("exc_info") is True:
            kw["exc_info"] = sys.exc_info()
        if kw.get("stack_info") is True:
            kw["stack_info"] = _stack_of(frame)
        place = _Place(frame.f_code, frame.f_lasti, frame.f_lineno or 0)
        return self._write(level, method, event, args, kw, place)


def _alone(logger: logging.Logger) -> bool:
    """Say whether mplog's handler on the root, unfiltered, is the only one that would see a record."""
    while True:
        if logger is _root:
            handlers = _root.handlers
            if len(handlers) != 1:
                return False
            handler = handlers[0]
            return type(handler) is worker.WorkerHandler and not handler.filters and not handler.level
        if logger.filters or logger.handlers or not logger.propagate or logger.parent is None:
            return False
        logger = logger.parent


def _event_of(result: Any, level: int, logger: str) -> _Event:
    """Return the event that the last processor has left, in any of the forms that structlog knows."""
    if type(result) is tuple and len(result) == 2:  # a logger's arguments, as `wrap_for_formatter` gives
        first = result[0][0] if result[0] else {}
        result = {**dict(result[1]), **first} if isinstance(first, Mapping) else first
    if isinstance(result, (bytes, bytearray)):
        result = bytes(result).decode("utf-8", "backslashreplace")
    if not isinstance(result, Mapping):
        return _Event(level, safe_str(result), {}, None, None)
    left = {safe_str(name): value for name, value in result.items() if name not in _INTERNAL}
    if isinstance(extra := left.get("extra"), Mapping) and ("_logger" in extra or "event" not in left):
        left |= {name: value for name, value in left.pop("extra").items() if name not in _INTERNAL}
    msg = left.pop("event") if "event" in left else left.pop("msg", None)
    if left.get("level") == _name(level):
        del left["level"]
    if left.get("logger") == logger:
        del left["logger"]
    exc_info, stack = left.pop("exc_info", None), left.pop("stack_info", None)
    return _Event(level, _text(msg, ()), left, exc_info, stack)


def _reconnect() -> None:
    """Put our handler back where `dictConfig` or its like has closed it and taken it away."""
    handler = None if worker._attachment is None else worker._attachment.handler
    if handler is not None and handler.was_closed:
        handler.was_closed = False
        if handler not in _root.handlers:
            _root.addHandler(handler)


def _text(event: Any, args: Any) -> str:
    """Return an event's text, its arguments filled in as structlog and `logging` do."""
    return "" if event is None and not args else render(event, args)


def _number(level: int | str) -> int:
    """Return a level's number; what is none counts as INFO, as a call may not raise."""
    if isinstance(level, str):
        level = logging.getLevelName(level.upper())
    return level if isinstance(level, int) else logging.INFO


def _name(level: int) -> str:
    """Return the name that structlog's processors know a level by."""
    return safe_str(logging.getLevelName(level)).lower()


def _depth(stacklevel: Any) -> int:
    return stacklevel - 1 if isinstance(stacklevel, int) else 0


def _exc_info(given: Any) -> Any:
    """Return what `logging` keeps of an ``exc_info`` argument."""
    if not given:
        return None
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    info = given if isinstance(given, tuple) and len(given) == 3 else sys.exc_info()
    return info if info[1] is not None else None


def _stack_of(frame: FrameType) -> str:
    """Return the stack as `logging` shows it."""
    text = io.StringIO()
    traceback.print_stack(frame, file=text)
    return "Stack (most recent call last):\n" + text.getvalue().rstrip("\n")


def _report(name: str, count: int, error: Exception) -> None:
    """Write down that a processor failed, ever more rarely: 1, 10, 100 times .."""
    if str(count).strip("0") != "1":
        return
    here = worker.current
    times = "its step is left out" if count == 1 else f"{count:,} times by now"
    what = f"the processor `{name}` raised {type(error).__name__}: {safe_str(error)}; {times}."
    if here is None:
        worker.warn(what)
        return
    record = _LogRecord("mplog", logging.WARNING, "", 0, what, (), None)
    record.__dict__.update(event="processor_failed", processor=name, failed=count)
    record.__dict__[CLASHING] = {}
    here.log(record)


def _restore(kind: type[BoundLogger], name: str, processors: Any, context: Any) -> BoundLogger:
    """Make a bound logger again where it was unpickled."""
    return kind(logging.getLogger(name), _chain.CHAIN if processors is None else processors, context)
