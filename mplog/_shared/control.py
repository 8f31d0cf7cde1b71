"""Levels changed at run time: asked for in `control.json` in the spool, obeyed in every process.

    change() --> control.json --SIGURG--> Control.look() in each process --> Logger.setLevel

A process looks when it logs, at most every half second. One that makes nothing but disabled calls would
never look, and a test in each of those would cost more than they do, so a change is announced with SIGURG,
too: its default is to be ignored, so it hurts nobody who does not expect it, and it needs no thread. The
listener sends it once more when a change has run out. Where the application has a handler of its own for
SIGURG it is left alone.
"""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from mplog._shared import lock as _lock
from mplog._shared.announce import announce
from mplog._shared.spool import Spool

FILE = "control.json"
EVER = 1 << 63
LONGEST = 366 * 86400.0
"""Seconds that a change may last at most."""
_PATIENCE = 1.0
"""Seconds to wait for `logging`'s own lock: a signal may come while another thread holds it."""


class Change(NamedTuple):
    """One wish: a logger's level, in the processes whose name matches, until a moment."""

    level: int
    logger: str
    process: str | None
    until: int | None
    """Monotonic ns, or None for ever."""

    def matches(self, process: str) -> bool:
        """Tell whether it is for the process of this name."""
        from fnmatch import fnmatchcase

        return self.process is None or fnmatchcase(process, self.process)


def change(
    spool: Spool, level: object, *, logger: object = "", process: object = None, duration: object = None
) -> Change:
    """Change a level in all running processes of a session, and in those that come. Runs in any process.

    Args:
        spool: the session's directory.
        level: a level's name or number.
        logger: the logger's name; `""`, `"root"` or `"*"` is the root logger.
        process: a pattern as in `fnmatch` for process names, or None for all.
        duration: seconds (or ``"5m"``) after which the level goes back by itself, or None for ever.

    Raises:
        ConfigError: an argument is wrong; nothing was changed.
        SessionError: the session has ended.
    """
    from mplog._parent.parse import parse_level
    from mplog.exceptions import SessionError

    wish = Change(parse_level(level, "level"), _logger_name(logger), _pattern(process), _until(duration))
    if spool.read_session() is None:
        raise SessionError(f"the session in {spool.path!r} has ended; there is no process to change `level` in.")
    with _writing(spool):
        now = time.monotonic_ns()
        kept = [
            old
            for old in read_changes(spool)
            if (old.until is None or old.until > now)
            and not (old[1:3] == wish[1:3] and (wish.until is None or old.until is not None))
        ]
        content = {"changes": [found._asdict() for found in (*kept, wish)]}
        spool.write_file(FILE, json.dumps(content, separators=(",", ":")).encode() + b"\n")
    if _heeding is not None and _heeding.spool.path == spool.path:
        _heeding.look()
    announce(spool)
    return wish


def _logger_name(value: object) -> str:
    from mplog.exceptions import ConfigError

    if not isinstance(value, str):
        raise ConfigError(f"`logger` is {value!r}; use the logger's name, or '' for the root logger.")
    return "" if value in ("root", "*") else value


def _pattern(value: object) -> str | None:
    from mplog.exceptions import ConfigError

    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ConfigError(f"`process` is {value!r}; use a pattern such as 'ForkPoolWorker-*', or None for all.")


def _until(duration: object) -> int | None:
    from mplog._parent.parse import parse_interval
    from mplog.exceptions import ConfigError

    if duration is None:
        return None
    seconds = parse_interval(duration, "duration")
    if not 0 < seconds <= LONGEST:
        raise ConfigError(f"`duration` is {duration!r}; use more than 0 seconds, a year at most, or None for ever.")
    return time.monotonic_ns() + int(seconds * 1e9)


@contextlib.contextmanager
def _writing(spool: Spool) -> Iterator[None]:
    """Keep others from changing the file between our reading and writing it."""
    with _mutex:
        fd = _lock.acquire(spool.file("control.lock"), wait=True)
        try:
            yield
        finally:
            if fd is not None:
                _lock.release(fd)


def read_changes(spool: Spool) -> list[Change]:
    """Return the changes asked for, oldest first; what makes no sense is left out."""
    try:
        with open(spool.file(FILE), "rb") as file:
            entries = json.loads(file.read())["changes"]
        return [found for found in (_checked(entry) for entry in entries) if found is not None]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _checked(entry: Any) -> Change | None:
    kinds: dict[str, Any] = {"level": int, "logger": str, "process": str | None, "until": int | None}
    if isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in kinds.items()):
        return Change(entry["level"], entry["logger"], entry.get("process"), entry.get("until"))
    return None


class Control:
    """Obey the changes in this process. Runs in a worker; nothing in it raises into a logging call.

    Args:
        spool: the session's directory.
        before: the `Control` of the process this one was forked from, whose levels were inherited.
    """

    def __init__(self, spool: Spool, before: "Control | None" = None) -> None:
        self.spool = spool
        self._path = spool.file(FILE)
        self._ours: dict[str, tuple[int, int]] = dict(before._ours) if before else {}
        """Logger name -> its own level, and the one set here."""
        self._changes: list[Change] = []
        self._seen: tuple[int, int, int] | None = (0, 0, 0)
        self._process = ""
        self._next = EVER
        self._looking = threading.Lock()
        self._again = False
        self._timer: threading.Timer | None = None

    def look(self) -> None:
        """Obey what has changed since the last look: one `stat` when nothing has."""
        self._again = True  # If a signal comes in the middle, or another thread is at it, it looks once more.
        while self._again and self._looking.acquire(blocking=False):
            try:
                self._again = False
                self._look()
            finally:
                self._looking.release()

    def undo(self) -> None:
        """Put the levels back."""
        self._apply({})
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            seen: tuple[int, int, int] | None = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError:
            seen = None
        now = time.monotonic_ns()
        process = process_name()
        if seen == self._seen and now < self._next and process == self._process:
            return
        if seen != self._seen:
            self._changes = read_changes(self.spool) if seen else []
        live = [found for found in self._changes if found.until is None or found.until > now]
        if self._apply({found.logger: found.level for found in live if found.matches(process)}):
            self._seen, self._process = seen, process
            self._next = min((found.until for found in live if found.until is not None), default=EVER)
            self._set_timer(now)

    def _apply(self, wanted: dict[str, int]) -> bool:
        """Set the levels that are wanted, put back those that no longer are; False: not now."""
        lock = logging._lock  # type: ignore[attr-defined]
        if not lock.acquire(timeout=_PATIENCE):
            return False
        try:
            for name, (own, ours) in list(self._ours.items()):
                if name not in wanted:
                    del self._ours[name]
                    logger = logging.getLogger(name or None)
                    if logger.level == ours:  # Else the application has set it meanwhile.
                        logger.setLevel(own)
            for name, level in wanted.items():
                logger = logging.getLogger(name or None)
                own, ours = self._ours.get(name, (logger.level, logger.level))
                self._ours[name] = (own if logger.level == ours else logger.level, level)
                logger.setLevel(level)
        finally:
            lock.release()
        return True

    def _set_timer(self, now: int) -> None:
        """Where no signal can come, a raised level would never go back without a thread that waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._next < EVER and not expects_signal():
            self._timer = threading.Timer(max(0.0, (self._next - now) / 1e9), self.look)
            self._timer.name, self._timer.daemon = "mplog-level", True
            self._timer.start()


_heeding: Control | None = None
"""What this process obeys."""
_mutex = threading.RLock()
_registered: list[object] = []


def heed(spool: Spool) -> None:
    """Begin to obey in this process. Runs in a worker, when it attaches."""
    global _heeding
    _heeding = Control(spool)
    with contextlib.suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGURG) is signal.SIG_DFL:
            signal.signal(signal.SIGURG, _on_signal)
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _registered:
        _registered.append(look)
        # In a forked child of `multiprocessing`, once it has its own name.
        util.register_after_fork(look, _on_signal)
    look()


def undo() -> None:
    """Obey no more. Runs in a worker, when it leaves its session."""
    global _heeding
    heeding, _heeding = _heeding, None
    if heeding is not None:
        heeding.undo()
    with contextlib.suppress(ValueError):
        if expects_signal():
            signal.signal(signal.SIGURG, signal.SIG_DFL)


def expects_signal() -> bool:
    """Tell whether this process obeys SIGURG."""
    return signal.getsignal(signal.SIGURG) is _on_signal


def after_fork() -> None:
    """Begin anew with the levels inherited. Runs in a forked child, whose name is not set yet."""
    global _heeding, _mutex
    _mutex = threading.RLock()
    if _heeding is not None:
        _heeding = Control(_heeding.spool, _heeding)


def look() -> None:
    """Look for changes now; never raises."""
    if _heeding is not None:
        with contextlib.suppress(Exception):
            _heeding.look()


def _on_signal(*_: object) -> None:
    """Look for changes: somebody has announced one."""
    look()


def process_name() -> str:
    """Return what `multiprocessing` calls this process."""
    process = sys.modules.get("multiprocessing.process")
    return str(process.current_process().name) if process else "MainProcess"
