"""An event in full: through the application's processors, and with a `logging.LogRecord` for all handlers.

What `bound` leaves to it: other handlers, filters, exceptions, stacks, redaction. Runs in a worker.
"""

import logging
import sys
from collections.abc import Coroutine
from types import CodeType, FrameType
from typing import Any, NamedTuple

import structlog

from mplog import worker
from mplog._shared.context import fields
from mplog._shared.record import CLASHING
from mplog._shared.values import safe_str
from mplog._worker import chain
from mplog._worker.events import Event, depth, event_of, exc_info_of, is_wanted, stack_of, text_of

Later = Coroutine[Any, Any, None]

_OF_RECORDS = frozenset(dir(logging.LogRecord)) | frozenset(
    logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "asctime", "taskName"}
)


class _Place(NamedTuple):
    """Where a call stood that is carried out later: what is used of a frame."""

    f_code: CodeType
    f_lasti: int
    f_lineno: int


class RecordLogger(structlog.BoundLoggerBase):
    """Write events by way of a record."""

    _logger: logging.Logger
    _processors: Any

    def _in_full(self, level: int, method: str, event: Any, args: Any, kw: dict[str, Any], place: Any) -> None:
        """Write an event as `logging` does, with a record; through the application's processors first."""
        try:
            if event is None:
                event = kw.pop("event", None)
            for _ in range(depth(kw.pop("stacklevel", 1))):
                place = getattr(place, "f_back", None) or place
            own = {**fields(), **self._context, **kw}
            if args:
                event = text_of(event, args)
            if self._processors:
                found = self._processed(level, method, event, own, place)
                if found is None:
                    return
            else:
                exc_info, stack = own.pop("exc_info", None), own.pop("stack_info", None)
                found = Event(level, text_of(event, ()), own, exc_info, stack)
            self._handle(found, place)
        except Exception as error:  # the application must not suffer from its log
            if worker.current is not None:
                worker.current.fail(error)

    def _processed(self, level: int, method: str, event: Any, own: dict[str, Any], place: Any) -> Event | None:
        """Return what the application's processors make of an event, or None if they drop it."""
        if event is not None:
            own["event"] = event
        stack = structlog.contextvars._ASYNC_CALLING_STACK  # where its processors look for the caller
        token = stack.set(place if isinstance(place, FrameType) else sys._getframe())
        try:
            result = chain.run(self._processors, self._logger, method, own, _report)
        except structlog.DropEvent:
            return None
        finally:
            stack.reset(token)
        return event_of(result, level, self._logger.name)

    def _handle(self, event: Event, place: Any) -> None:
        """Give a record of an event to the handlers of `logging`."""
        logger, own = self._logger, event.own
        msg, stack = event.msg, event.stack
        if worker.current is None and not logger.hasHandlers():  # for `lastResort`, which shows no fields
            msg = " ".join([msg, *(f"{name}={value!r}" for name, value in own.items())])
        if stack is not None and not isinstance(stack, str):
            stack = stack_of(place) if is_wanted(stack) and isinstance(place, FrameType) else None
        code = place.f_code
        record = logger.makeRecord(
            logger.name,
            event.level,
            code.co_filename,
            place.f_lineno or 0,
            msg,
            (),
            exc_info_of(event.exc_info),
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
            self._in_full(level, method, event, args, kw, place)

    def _later(self, level: int, method: str, event: Any, args: Any, kw: dict[str, Any], frame: FrameType) -> Later:
        """Return a coroutine that logs; what will have changed by then is looked up now."""
        for _ in range(depth(kw.pop("stacklevel", 1))):
            frame = frame.f_back or frame
        if kw.get("exc_info") is True:
            kw["exc_info"] = sys.exc_info()
        if kw.get("stack_info") is True:
            kw["stack_info"] = stack_of(frame)
        place = _Place(frame.f_code, frame.f_lasti, frame.f_lineno or 0)
        return self._write(level, method, event, args, kw, place)


def _reconnect() -> None:
    """Put our handler back where `dictConfig` or its like has closed it and taken it away."""
    handler = None if worker._attachment is None else worker._attachment.handler
    if handler is not None and handler.was_closed:
        handler.reopen()


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
    record = logging.LogRecord("mplog", logging.WARNING, "", 0, what, (), None)
    record.__dict__.update(event="processor_failed", processor=name, failed=count)
    record.__dict__[CLASHING] = {}
    here.log(record)
