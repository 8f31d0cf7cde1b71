"""Attach a process to a session: its journal, its handler, its levels.

Runs in a worker (the parent is one, too). Nothing here imports the listener's side, and a logging call never raises.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from mplog._shared import context, control, exits
from mplog._shared.descriptors import say
from mplog._shared.spool import of_variable
from mplog._worker import fastpath
from mplog._worker.attached import (
    AT_FORK,
    ENVIRONMENT,
    EXPLICIT,
    INHERITED,
    Handle,
    Worker,
    after_fork,
    checking,
    flushing,
    forked,
    guard,
    leaving,
    say_last,
)
from mplog.config import Config

__all__ = [
    "AT_FORK",
    "ENVIRONMENT",
    "EXPLICIT",
    "INHERITED",
    "Handle",
    "Worker",
    "WorkerHandler",
    "after_fork",
    "attach",
    "begin_capture",
    "find",
    "guard",
    "install",
    "leaving",
    "uninstall",
    "warn",
]


class WorkerHandler(logging.handlers.QueueHandler):
    """Be a `QueueHandler` whose queue is this process's journal.

    Put it wherever a `logging.Handler` goes, or into `dictConfig` as ``{"()": "mplog.WorkerHandler"}``. Runs in a
    worker; a call may wait for room as the session's `overflow` says, and never raises. Without a session one
    warning is given and records of level WARNING and above go to stderr.

    Args:
        session: a `Session`; without it the one this process is attached to at the time of the record.
    """

    def __init__(self, session: Any = None) -> None:
        super().__init__(self)  # type: ignore[arg-type]
        self.was_closed = False
        if session is not None:
            session.attach(root=False)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """Write a record into the journal: what `QueueHandler` asks of its queue."""
        worker = current
        if worker is not None:
            worker.log(record)
            return
        warn("a WorkerHandler has no session; call `mplog.setup()` in the parent or `mplog.attach()` here.", once=True)
        if record.levelno >= logging.WARNING and logging.lastResort is not None:
            logging.lastResort.handle(record)

    def put(self, record: logging.LogRecord) -> None:
        """Do the same; some call it on a queue."""
        self.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record as it is: it is rendered when it is encoded."""
        return record

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record into the journal."""
        self.put_nowait(record)

    def close(self) -> None:
        """Note that other configuration closed the handler: the next record puts it back (see `fastpath`)."""
        self.was_closed = True
        super().close()

    def reopen(self) -> None:
        """Go back to the root logger, from which other configuration has taken the handler."""
        self.was_closed = False
        if self not in logging.root.handlers:
            logging.root.addHandler(self)
        # `dictConfig` empties this list, and the next one closes, and so tells, only those that are in it.
        known: Any = logging._handlerList  # type: ignore[attr-defined]
        if not any(found() is self for found in known):
            known.append(weakref.ref(self))

    def handle(self, record: logging.LogRecord) -> Any:
        """Filter and write a record, without a lock: the journal needs none, and a fork may not meet one held.

        A record that another `WorkerHandler`, on a logger on the way up, has written already is not written again.
        """
        passed: Any = self.filter(record)
        if passed:
            last, handler = getattr(_latest, "written", (None, None))
            if last is not None and handler is not self and last() is record:
                return passed
            self.put_nowait(passed if isinstance(passed, logging.LogRecord) else record)
            _latest.written = (weakref.ref(record), self)
        return passed


class _Attachment:
    """What attaching changed in `logging`, to be put back."""

    def __init__(self, levels: dict[str, int]) -> None:
        self.handler: WorkerHandler | None = None
        self._added = False
        self._levels: list[tuple[logging.Logger, int, int]] = []
        for name, level in levels.items():
            logger = logging.getLogger(name or None)
            self._levels.append((logger, logger.level, level))
            logger.setLevel(level)

    def add_root(self) -> None:
        """Give the root logger a handler, unless it has one of ours."""
        if self.handler is not None:
            return
        found = [handler for handler in logging.root.handlers if isinstance(handler, WorkerHandler)]
        self._added = not found
        self.handler = found[0] if found else WorkerHandler()
        if self._added:
            logging.root.addHandler(self.handler)

    def undo(self) -> None:
        """Put levels and handlers back; a level that somebody else has set meanwhile stays."""
        if self.handler is not None and self._added:
            logging.root.removeHandler(self.handler)
        for logger, before, ours in self._levels:
            if logger.level == ours:
                logger.setLevel(before)


current: Worker | None = None
"""The session this process belongs to."""
undoing: list[Callable[[], object]] = []
"""What else has to be put back when this process leaves its session."""
_attachment: _Attachment | None = None
_capture: Any = None
"""The module `capture`, while something is captured."""
_warned: set[str] = set()
_latest = threading.local()


def install(handle: Handle, config: Config, rank: int, *, root: bool = True, capture: bool = True) -> Worker:
    """Attach this process to a session, unless it is already, or came to another one in a stronger way.

    With `capture` false, `begin_capture` is left to the caller: a listener wants the descriptors as they were.

    Raises:
        OSError: the session's directory cannot be used.
    """
    global current, _attachment
    worker = current
    if worker is not None:
        if worker.handle.id == handle.id or rank < worker.rank:
            worker.rank = max(worker.rank, rank)
        else:
            uninstall()
            worker = None
    if worker is None or _attachment is None:
        context.guard_children()
        current = worker = worker or Worker(handle, config, rank)
        _attachment = _Attachment(dict(config.level))
        control.heed(worker.spool)
        exits.watch(worker.spool.path)
        undoing.append(exits.unwatch)
        undoing.append(control.undo)
    if root and _attachment.handler is None:
        _attachment.add_root()
        fastpath.install(worker, _attachment.handler, guard=guard, after_fork=after_fork)
    if capture:
        begin_capture(worker)
    return worker


def begin_capture(worker: Worker) -> None:
    """Capture what this process's settings name, if anything; see `capture`."""
    global _capture
    if worker.config.capture:
        from mplog import capture

        _capture = capture
        flushing.append(capture.flush)
        checking.append(capture.check)
        capture.install(worker)


def uninstall() -> None:
    """Detach this process from its session and put `logging` back as it was."""
    global current, _attachment, _capture
    say_last()
    if _capture is not None:
        _capture.uninstall()
        flushing.remove(_capture.flush)
        checking.remove(_capture.check)
        _capture = None
    worker, current = current, None
    while undoing:
        undoing.pop()()
    fastpath.uninstall()
    if _attachment is not None:
        _attachment.undo()
        _attachment = None
    if worker is not None:
        worker.close()


def attach(session: Any = None) -> None:
    """Attach this process to a session. Runs in a worker; never raises, and is idempotent.

    Args:
        session: a `Session`, or None for the one that the variable `MPLOG_SESSION` names (see `Session.env`).
    """
    try:
        if session is not None:
            session.attach()
            return
        path = os.environ.get("MPLOG_SESSION")
        if not path:
            if current is None:
                warn(
                    "`attach` finds no session: pass one, or set `MPLOG_SESSION` (see `Session.env`); "
                    "logging goes on as before.",
                    once=True,
                )
            return
        handle = find(path)
        if handle is None:
            warn(f"`MPLOG_SESSION` is {path!r}, where no session lives; logging goes on as before.", once=True)
            return
        install(handle, handle.config(), ENVIRONMENT)
    except Exception as error:  # an initializer that raises is started again for ever by a Pool
        warn(f"this process could not attach ({type(error).__name__}: {error}); logging goes on as before.")


def find(path: str) -> Handle | None:
    """Return the handle of the session in a directory, or None if there is none."""
    spool = of_variable(path)
    session = spool.read_session()
    if session is None:
        return None
    return Handle(session["id"], spool.path, spool.second, json.dumps(session))


def _forget() -> None:
    """Leave the session's journal to the parent. Runs in a forked child."""
    if current is not None:
        current.forget()
        control.after_fork()
        fastpath.forget()
        if not current.config.auto_attach:
            uninstall()
        elif _capture is not None:
            _capture.after_fork()


def warn(text: str, *, once: bool = False) -> None:
    """Write one line about mplog itself to stderr; with `once` not a second time in this process."""
    if once:
        if text in _warned:
            return
        _warned.add(text)
    say(text)


forked.append(_forget)
os.register_at_fork(after_in_child=after_fork)
