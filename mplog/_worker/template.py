"""The parts of a line that need not be written anew for each record. Runs in the calling process.

::

    0123456789abcdef {"time":"...","level":"INFO","msg":"..","logger":"app","process":....,"file":....."seq":
    `---- key -----'         stamp`--- before ---'`quote'`--- middle --''`-- who ---'`----- after ----'

`before`, `middle` and `after` belong to a call site of a logger at a level and are kept for it; `who` changes
when a process or a thread is renamed and is compared at each call. All of it is the `head` of `record`.
"""

import logging
import os
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any, NamedTuple

from mplog._shared.values import quote, safe_str

__all__ = ["Site", "forget", "head", "local", "new_site", "sites", "stamp", "task", "task_name", "who"]

MAX_SITES = 4096
"""Call sites kept for a logger at a level; programs that compile code as they run would fill memory else."""
MAX_THREADS = 256
"""Names of threads whose text is kept."""

_BILLION = 1_000_000_000
_DIGITS = tuple(f"{number:03d}" for number in range(1000))
_KNOWN_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


class Site(NamedTuple):
    """What is the same for all records of one call site."""

    before: str
    middle: str
    after: str
    own: str
    """Own fields that the level brings along: `levelno` where the name does not tell it."""
    code: CodeType
    """Kept alive, so that no other code can get its address."""


Table = dict[int, Site]
"""Sites of one logger at one level by the address of their instruction, `address`."""

_tables: dict[tuple[str, int], Table] = {}
_second: tuple[int, int, str] = (0, 0, "")
_whos: dict[object, tuple[object, str]] = {}
"""By the thread's name: the process's name, and the text for both."""
_process: Any = None
local = threading.local()
"""A thread's own copy of `who` with what it was made of, for those who save the call; empty in a forked child."""


def stamp(ns: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 in UTC with microseconds; the second's text is kept."""
    global _second
    start, end, text = _second
    if not start <= ns < end:
        second = ns // _BILLION
        start = second * _BILLION
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        _second = (start, start + _BILLION, text)
    micros = (ns - start) // 1000
    return f"{text}{_DIGITS[micros // 1000]}{_DIGITS[micros % 1000]}Z"


def who() -> str:
    """Return ``"process":"..","pid":..,"thread":".."`` of the caller, whatever was renamed meanwhile."""
    try:
        thread = threading._active[threading.get_ident()]._name  # type: ignore[attr-defined]
    except (KeyError, AttributeError):  # a thread that `threading` did not start, or a library's thread class
        thread = threading.current_thread().name
    process = _process._current_process._name if _process is not None else _process_name()
    known = _whos.get(thread)
    if known is not None and known[0] is process:
        return known[1]
    text = f'"process":{quote(safe_str(process))},"pid":{os.getpid()},"thread":{quote(safe_str(thread))}'
    if len(_whos) >= MAX_THREADS:
        _whos.clear()
    _whos[thread] = (process, text)
    return text


def task_name() -> str | None:
    """Return the name of the asyncio task that is running, or None."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        if asyncio._get_running_loop() is None:
            return None
        current = asyncio.current_task()
        return None if current is None else safe_str(current.get_name())
    except Exception:  # a loop of another library, or asyncio half imported
        return None


def task() -> str:
    """Return ``,"task":".."`` if an asyncio task is running, or nothing."""
    name = task_name()
    return "" if name is None else f',"task":{quote(name)}'


def sites(logger: str, level: int) -> Table:
    """Return the call sites known of a logger at a level; look there for `address`, else call `new_site`."""
    table = _tables.get((logger, level))
    if table is None:
        table = _tables.setdefault((logger, level), {})
    return table


def address(frame: FrameType) -> int:
    """Return the key of a frame's present instruction; callers write it out to save the call.

    The instructions lie within the code object, so no two living code objects share one of these numbers.
    """
    return id(frame.f_code) + frame.f_lasti


def new_site(table: Table, logger: str, level: int, frame: FrameType) -> Site:
    """Make the template of the call site at which `frame` is now, and keep it in `table`."""
    code = frame.f_code
    name = _KNOWN_LEVELS.get(level) if logging.getLevelName(level) == _KNOWN_LEVELS.get(level) else None
    own = ""
    if name is None:
        name = safe_str(logging.getLevelName(level))
        own = "" if name[:6] == "Level " else f',"levelno":{int(level)}'
    site = Site(
        f'","level":{quote(name)},"msg":',
        f',"logger":{quote(logger)},',
        f',"file":{quote(code.co_filename)},"line":{frame.f_lineno or 0},"func":{quote(code.co_name)},"seq":',
        own,
        code,
    )
    if len(table) >= MAX_SITES:
        table.clear()
    table[id(code) + frame.f_lasti] = site
    return site


def head(site: Site, key: int, ns: int, msg: str) -> str:
    """Return a line up to its `seq`. The hot paths write this out, as a call costs what a field does.

    Args:
        site: where the call stands.
        key: nanoseconds of the monotonic clock.
        ns: nanoseconds since 1970.
        msg: the message as a JSON literal, see `values.quote`.
    """
    return f'{key:016x} {{"time":"{stamp(ns)}{site.before}{msg}{site.middle}{who()}{site.after}'


def forget() -> None:
    """Forget who the parent was. Runs in a forked child."""
    _whos.clear()
    local.__dict__.clear()


def _process_name() -> object:
    """Return the process's name as `logging` does: multiprocessing's, if that is imported."""
    global _process
    module = sys.modules.get("multiprocessing.process")
    current = getattr(module, "_current_process", None)
    if current is None:
        return "MainProcess"
    _process = module
    return current.name


os.register_at_fork(after_in_child=forget)
