"""`Logger._log` without a LogRecord, where nobody would notice the difference. Runs in a worker.

The standard library spends two thirds of a call on building the record and finding the caller. Where mplog's handler
is the only one that would see the record, and no filter, factory, subclass or patch asks for it, the line is built
from a template kept for each call site. Everywhere else the call goes the standard way, unchanged.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from mmap import mmap
from time import gmtime, monotonic_ns, strftime
from types import CodeType
from typing import TYPE_CHECKING, Any

from mplog._shared import clock
from mplog._shared.context import fragment
from mplog._shared.values import quote, safe_repr
from mplog._worker.template import address, new_site
from mplog._worker.template import who as who_text

if TYPE_CHECKING:
    from mplog.worker import Worker, WorkerHandler

MOST_SITES = 4096
"""Call sites kept; code made at run time must not fill the memory."""
LARGE = 64 * 1024
"""Characters of a message above which it goes the standard way, where it is cut to `max_record`."""

BEHIND = len("%d%b\n")
"""Characters of a template behind the key `seq`."""

Site = tuple[Any, int, bytes, CodeType]
"""A logger and a level at a call site, the template of the lines there, and the code, to be kept alive."""
_PLAIN = frozenset((int, str, float, bool, type(None)))
_ASYNC = sys.version_info >= (3, 12)

__name__ = "logging.mplog"  # structlog and others look for the caller past all modules called logging.*
_Logger = logging.Logger
_LogRecord = logging.LogRecord
_handle, _call_handlers = _Logger.handle, _Logger.callHandlers
_make_record, _find_caller = _Logger.makeRecord, _Logger.findCaller
_NAMES = ("debug", "info", "warning", "error", "critical", "_log")
_stock: dict[str, Any] = {name: getattr(_Logger, name) for name in _NAMES}
_installed: dict[str, Any] = {}
_getframe, _modules = sys._getframe, sys.modules
_SOURCE = _stock["_log"].__code__.co_filename

# What the methods below use is global, not bound to closures: a disabled call would pay for each cell.
_worker: Any = None
_handler: Any = None
ours: list[Any] = [None]
"""The root logger's handlers while mplog's is the only one."""
_process: Any = None
_guard: Any = None
_after_fork: Any = None
_root = logging.root
second: tuple[int, bytes, bytes] = (0, b"", b"")
"""The key at the start of this second, the zeros in front of a key, and the text for the second."""
_sites: dict[tuple[int, int, str], Site] = {}
_latest: dict[int, Site] = {}
"""By the address of the call alone: nearly every call site has one logger and one level."""
_stock_types: dict[type, bool] = {}
_local = threading.local()
"""`who`: thread, its name, the process's name, and the part of a line that these make."""
_level_names: dict[int, str] = {}


def install(worker: Worker, handler: WorkerHandler | None, *, guard: mmap, after_fork: Callable[[], None]) -> None:
    """Take the short way in this process from now on, unless there is no handler on root, or secrets to take out.

    Args:
        worker: this process's side of the session.
        handler: mplog's handler on the root logger.
        guard: a byte that is zero after a fork.
        after_fork: to be called in that case.
    """
    if handler is None:
        return
    global _worker, _handler, _process, _guard, _after_fork
    from multiprocessing import process  # what `record.processName` asks

    _worker, _handler, _process, _guard, _after_fork = worker, handler, process, guard, after_fork
    ours[:] = [handler]
    forget()
    refresh()
    methods: dict[str, Any] = {"_log": _make_log(handler)}
    if worker.redact is None:
        methods |= {"debug": _debug, "info": _info, "warning": _warning, "error": _error, "critical": _critical}
    for name, method in methods.items():
        method.__name__ = method.__qualname__ = name
        method.__doc__ = _stock[name].__doc__
        setattr(_Logger, name, method)
        _installed[name] = method


def uninstall() -> None:
    """Take the standard way again; what somebody else has patched meanwhile stays."""
    for name, method in _installed.items():
        if _Logger.__dict__.get(name) is method:
            setattr(_Logger, name, _stock[name])
    _installed.clear()


def forget() -> None:
    """Forget what is true of the parent only. Runs in a forked child."""
    _local.__dict__.clear()


def refresh() -> None:
    """Follow `logging.addLevelName`, and the clock; called now and then."""
    global second
    second = (0, b"", b"")
    names = {level: logging.getLevelName(level) for level in (10, 20, 30, 40, 50)}
    if names != _level_names:
        _level_names.update(names)
        _clear()


def _debug(self: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(10):
        _emit(self, 10, msg, args, kwargs)


def _info(self: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(20):
        _emit(self, 20, msg, args, kwargs)


def _warning(self: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(30):
        _emit(self, 30, msg, args, kwargs)


def _error(self: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(40):
        _emit(self, 40, msg, args, kwargs)


def _critical(self: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(50):
        _emit(self, 50, msg, args, kwargs)


def _emit(self: Any, level: int, msg: Any, args: Any, kwargs: Any) -> None:
    """Write the line of an enabled call of one of the methods above, or let the standard way do it.

    One long function: each call inside it costs as much as three percent of the whole.
    """
    if (
        kwargs
        or type(msg) is not str
        or not (_stock_types.get(self.__class__) or _is_stock(self.__class__))
        or self.filters
        or _handler.filters
        or _handler.level > level
        or logging._logRecordFactory is not _LogRecord  # type: ignore[attr-defined]
        or _Logger.callHandlers is not _call_handlers
        or _Logger.handle is not _handle
        or _Logger.makeRecord is not _make_record
        or _Logger.findCaller is not _find_caller
        or not (logging.logThreads and logging.logProcesses and logging.logMultiprocessing)
        or (_ASYNC and "asyncio.events" in _modules and _in_task())
    ):
        return self._log(level, msg, args, **kwargs)  # type: ignore[no-any-return]
    # As `Logger.callHandlers` goes: is ours, on the root logger, the one handler on the way up?
    logger = self
    while logger is not _root:
        if logger.handlers or not logger.propagate:
            return self._log(level, msg, args)  # type: ignore[no-any-return]
        logger = logger.parent
    if _root.handlers != ours:
        return self._log(level, msg, args)  # type: ignore[no-any-return]
    if args:
        try:
            if len(args) == 1 and type(args[0]) not in _PLAIN and isinstance(args[0], Mapping):
                msg = msg % (args[0] or args)
            else:
                msg = msg % args
        except Exception:  # rendered once more, where that is taken care of
            return self._log(level, msg, args)  # type: ignore[no-any-return]
    if not msg.isascii() or "\x7f" in msg:
        text = quote(msg)
    else:
        text = encode_basestring(msg)
    if len(text) > LARGE:
        return self._log(level, "%s", (msg,))  # type: ignore[no-any-return]
    try:
        frame = _getframe(2)
        code = frame.f_code
        while code.co_filename == _SOURCE:
            frame = frame.f_back  # type: ignore[assignment]
            code = frame.f_code
    except (ValueError, AttributeError):  # called by the interpreter itself, as `atexit` does: no caller to name
        return self._log(level, "%s", (msg,))  # type: ignore[no-any-return]
    site = _latest.get(id(code) + frame.f_lasti)
    if site is None or site[0] is not self or site[1] != level:
        site = _look_up(frame, level, self)
    try:
        if not _guard[0]:
            _after_fork()
        try:
            thread, thread_name, process_name, who = _local.who
            if thread._name is not thread_name or _process._current_process._name is not process_name:
                who = _introduce()
        except AttributeError:
            who = _introduce()
        journal = _worker.journal or _worker.open()  # before the clock is read: opening takes its time
        key = monotonic_ns()
        began, zeros, stamp = second
        micros = (key - began) // 1000
        if not 0 <= micros < 1_000_000:
            zeros, stamp, micros = next_second(key)
        bound = fragment()
        tail = f"{bound}}}".encode() if bound else b"}"
        seq = journal.seq + 1
        line = site[2] % (zeros, key, stamp, micros, text.encode(), who, seq, tail)
        # The claim, as in `JournalWriter.write`: no call from here to the copy.
        length = len(line)
        start = journal.used
        end = start + length
        if journal.seq + 1 == seq and end <= journal.size:
            journal.seq = seq
            journal.used = end
            try:
                journal.memory[start:end] = line
            except BaseException:
                journal.blank(journal.memory, start, end, seq)
        else:
            head = site[2][:-BEHIND] % (zeros, key, stamp, micros, text.encode(), who)
            journal.write(head, tail + b"\n", level)
        if key >= _worker.check_at:
            _worker.check(key)
    except Exception as error:  # the application must not suffer from its log
        _worker.fail(error)
    return None


class Shown:
    """Stand for an argument that cannot be asked what it is."""

    def __init__(self, value: Any) -> None:
        self.text = safe_repr(value)

    def __repr__(self) -> str:
        """Return the argument's text."""
        return self.text


def _make_log(handler: WorkerHandler) -> Any:
    """Return the replacement of `Logger._log`: the standard way, reopened where other configuration closed it.

    `dictConfig`, `fileConfig` and `basicConfig(force=True)` close the handlers they take off the root logger; who
    only removes ours means it.
    """
    stock_log = _stock["_log"]

    def _log(self: Any, level: int, msg: Any, args: Any, *more: Any, **options: Any) -> None:
        if handler.was_closed and handler is _handler:
            handler.reopen()
        if type(args) is tuple and len(args) == 1 and type(args[0]) not in _PLAIN:
            try:
                bool(isinstance(args[0], Mapping) and args[0])
            except Exception:  # a proxy outside of its context raises at `__class__`, and `LogRecord` lets it out
                args = (Shown(args[0]),)
        stock_log(self, level, msg, args, *more, **options)

    _log.__code__ = _log.__code__.replace(co_filename=_SOURCE)
    return _log


def _is_stock(kind: type) -> bool:
    """Tell whether a logger class leaves alone all that the short way leaves out; remembered."""
    names = ("handle", "filter", "callHandlers", "makeRecord", "findCaller", "_log")
    stock = all(getattr(kind, name, None) is getattr(_Logger, name) for name in names)
    if len(_stock_types) < MOST_SITES:
        _stock_types[kind] = stock
    return stock


def _in_task() -> bool:
    """Tell whether this thread runs an event loop: the record then names its task (3.12)."""
    return _modules["asyncio.events"]._get_running_loop() is not None


def next_second(key: int) -> tuple[bytes, bytes, int]:
    """Keep what is the same for a second's lines, see `second`; return it for this key, and the microseconds."""
    global second
    now = key + clock.offset
    past = now % 1_000_000_000
    start = key - past
    zeros = b"0" * (16 - len(b"%x" % key))
    text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(now // 1_000_000_000)).encode()
    if len(b"%x" % start) == len(b"%x" % (start + 999_999_999)):  # else the keys grow by a digit in this second
        second = (start, zeros, text)
    return zeros, text, past // 1000


def _look_up(frame: Any, level: int, logger: Any) -> Site:
    """Return the template of a call site, made and kept if need be.

    The code object is kept, or its address could be another one's.
    """
    where = address(frame)
    site = _sites.get((where, level, logger.name))
    if site is None or site[0] is not logger:
        if len(_sites) >= MOST_SITES:
            _clear()
        made = new_site({}, logger.name, level, frame)
        texts = [text.replace("%", "%%") for text in (made.before, made.middle, made.after)]
        template = '%b%x {"time":"%b.%06dZ' + "%b".join(texts) + "%d%b\n"
        site = _sites[where, level, logger.name] = (logger, level, template.encode(), made.code)
    _latest[where] = site
    return site


def _clear() -> None:
    _sites.clear()
    _latest.clear()


def _introduce() -> bytes:
    """Make and keep the part of a line that says who logs: process, pid and thread."""
    thread = threading.current_thread()
    text = who_text().encode()
    _local.who = (thread, thread.name, _process.current_process().name, text)
    return text


for _function in (_debug, _info, _warning, _error, _critical, _emit):
    # To `Logger.findCaller`, which counts frames, these are parts of `logging`.
    _function.__code__ = _function.__code__.replace(co_filename=_SOURCE)
