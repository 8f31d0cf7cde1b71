"""Exceptions that nobody caught become records, wherever in a process they end up. Runs in a worker.

    sys.excepthook          the program, and what `subprocess` started
    threading.excepthook    a thread
    Process.run             a child of multiprocessing, where `sys.excepthook` is not called
    pool tasks              multiprocessing.Pool and ProcessPoolExecutor; the caller gets the exception all the same
    sys.unraisablehook      finalizers and the like

asyncio reports what it meets to its own logger, which reaches the log as every other logger does. Each hook calls
the one that was there before.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from mplog._shared import descriptors

LOGGER = "mplog.uncaught"

_before: dict[str, Any] = {}
_failures: dict[str, int] = {}
_quiet = False
_bootstrap_before: Any = None
"""Kept when the hooks are gone: others may have wrapped ours."""


def install(*, stderr_is_log: bool) -> None:
    """Set the hooks of this process.

    Args:
        stderr_is_log: whether stderr is captured, so that Python's own tracebacks there would be second reports.
    """
    global _quiet, _bootstrap_before
    _quiet = stderr_is_log
    if _before:
        return
    from multiprocessing.process import BaseProcess

    _bootstrap_before = BaseProcess._bootstrap  # type: ignore[attr-defined]
    _before.update(excepthook=sys.excepthook, unraisablehook=sys.unraisablehook, thread=threading.excepthook)
    sys.excepthook, sys.unraisablehook = _on_exception, _on_unraisable
    threading.excepthook = _on_thread
    BaseProcess._bootstrap = _bootstrap  # type: ignore[attr-defined]
    _wrap_pools()


def uninstall() -> None:
    """Put back what was there before, unless others have set hooks on top, which then call through."""
    if not _before:
        return
    from multiprocessing.process import BaseProcess

    if sys.excepthook is _on_exception:
        sys.excepthook = _before["excepthook"]
    if sys.unraisablehook is _on_unraisable:
        sys.unraisablehook = _before["unraisablehook"]
    if threading.excepthook is _on_thread:
        threading.excepthook = _before["thread"]
    if BaseProcess._bootstrap is _bootstrap:  # type: ignore[attr-defined]
        BaseProcess._bootstrap = _bootstrap_before  # type: ignore[attr-defined]
    for module, name in _POOLS:
        found = sys.modules.get(module)
        if found is not None and isinstance(getattr(found, name, None), _Reporting):
            setattr(found, name, getattr(found, name).original)
    _before.clear()


def report(level: int, text: str, error: BaseException | None, *, skip: int = 0, **fields: Any) -> None:
    """Write the record about an exception, without its `skip` outermost frames. Never raises an `Exception`."""
    try:
        logger = logging.getLogger(LOGGER)
        if not _before or not logger.isEnabledFor(level):
            return
        trace = error.__traceback__ if error is not None else None
        for _ in range(skip):
            trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
        info: Any = (type(error), error, trace) if error is not None else None
        file, line, func = "", 0, ""
        while trace is not None:
            code = trace.tb_frame.f_code
            file, line, func, trace = code.co_filename, trace.tb_lineno, code.co_name, trace.tb_next
        with descriptors.Exempt():
            logger.handle(logger.makeRecord(LOGGER, level, file, line, text, (), info, func, fields))
    except Exception as failed:  # a handler or filter of the application; the program goes the way it went
        _fail("handler", failed)


def _name(error: BaseException | type[BaseException] | None) -> str:
    kind = error if isinstance(error, type) else type(error)
    return getattr(kind, "__qualname__", "?")


def _chain(name: str, default: Any, *args: Any) -> None:
    """Call the hook that was there before; one of the application that raises costs one counted note."""
    hook = _before.get(name, default)
    if hook is default and _quiet:
        return
    with descriptors.Exempt():
        try:
            hook(*args)
        except Exception as error:  # an application's hook may raise anything
            _fail(getattr(hook, "__qualname__", name), error)
            if not _quiet:
                default(*args)


def _fail(what: str, error: Exception) -> None:
    count = _failures[what] = _failures.get(what, 0) + 1
    if what == "handler":
        if count == 1:
            descriptors.write_original(2, f"mplog: an uncaught exception could not be reported: {error!r}\n")
        return
    if count == 10 ** (len(str(count)) - 1):
        times = "" if count == 1 else f" for the {count}th time"
        report(logging.WARNING, f"the hook {what} raised {_name(error)}{times}", error, hook=what, count=count)


def _on_exception(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        report(logging.CRITICAL, f"uncaught {_name(kind)}: the program ends", error.with_traceback(trace))
    _chain("excepthook", sys.__excepthook__, kind, error, trace)


def _on_thread(args: Any) -> None:
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else "?"
        report(logging.ERROR, f"uncaught {_name(args.exc_type)} in thread {name}", args.exc_value)
    _chain("thread", threading.__excepthook__, args)


def _on_unraisable(args: Any) -> None:
    try:
        where = getattr(args.object, "__qualname__", None) or type(args.object).__qualname__
    except Exception:  # the object's own code
        where = "?"
    report(logging.ERROR, f"unraisable {_name(args.exc_type)} in {where}", args.exc_value)
    _chain("unraisablehook", sys.__unraisablehook__, args)


def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a child of multiprocessing; what its `run` raises is reported before multiprocessing prints it."""
    _wrap_pools()
    original = self.run

    def run() -> None:
        try:
            original()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            report(logging.CRITICAL, f"uncaught {_name(error)}: {self.name} ends", error, skip=1)
            if _quiet:
                # multiprocessing would print the traceback to stderr, which is the log. The exit code is the same.
                raise SystemExit(1) from None
            raise

    self.run = run
    return _bootstrap_before(self, *args, **kwargs)


_POOLS = (
    ("multiprocessing.pool", "ExceptionWithTraceback"),
    ("concurrent.futures.process", "_ExceptionWithTraceback"),
)
"""What pool workers wrap a task's exception in, before they send it to the caller."""


class _Reporting:
    """Report an exception on its way into the wrapper that takes it to the caller."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __call__(self, error: BaseException, trace: Any) -> Any:
        """Report, and wrap."""
        report(logging.ERROR, f"uncaught {_name(error)} in a pool's task", error)
        return self.original(error, trace)


def _wrap_pools() -> None:
    for module, name in _POOLS:
        found = sys.modules.get(module)
        wrapper = getattr(found, name, None)
        if wrapper is not None and not isinstance(wrapper, _Reporting):
            setattr(found, name, _Reporting(wrapper))
