"""Attach a process to a session: its journal, its handler, its levels.

Runs in a worker (the parent is one, too). Nothing here imports the listener's side, and a logging call never raises.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import mmap
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from mplog._shared import clock, context, control, descriptors, exits, launch
from mplog._shared.drops import drop_line
from mplog._shared.journal import JournalWriter, Policy
from mplog._shared.owner import Owner, identity
from mplog._shared.record import encode_record
from mplog._shared.spool import Spool
from mplog._worker import fastpath, template
from mplog.config import Config

ENVIRONMENT, AT_FORK, INHERITED, EXPLICIT = range(4)
"""How a process came to its session; a stronger way replaces a weaker one."""

CHECK_EVERY = 500_000_000
"""Nanoseconds after which a record makes its process look for the listener and for new levels."""


class Handle(NamedTuple):
    """All a process needs to attach; small, plain data."""

    id: str
    path: str
    second: str | None
    session: str
    """Content of `session.json`."""

    def spool(self) -> Spool:
        """Return the session's directory."""
        return Spool(self.path, self.second)

    def config(self) -> Config:
        """Return the session's settings."""
        return Config.from_json(json.dumps(json.loads(self.session)["config"]))


class Worker:
    """This process's side of a session. The journal is opened at the first record.

    Args:
        handle: the session.
        config: this process's settings; level and capture may differ from the session's.
        rank: how the process came to the session.
    """

    def __init__(self, handle: Handle, config: Config, rank: int) -> None:
        self.handle = handle
        clock.share(json.loads(handle.session).get("offset", clock.offset))
        self.config = config
        self.rank = rank
        self.spool = handle.spool()
        self.failures = 0
        self.ended = False
        self.check_at = 0
        self.redact: Callable[..., Any] | None = None
        if config.redact:
            from mplog.redaction import redactor

            self.redact = redactor(config.redact)
        self.max_record = config.max_record
        self.offset: int = json.loads(handle.session).get("offset") or time.time_ns() - time.monotonic_ns()
        """Wall clock less monotonic clock when the session began, ns: the same for all its processes."""
        self._lock = threading.RLock()
        self._owner: Owner | None = None
        self._finalizer: Any = None
        self.journal: JournalWriter | None = None

    def claim(self) -> Owner:
        """Make this process known to the session, without a journal yet."""
        with self._lock:
            if self._owner is None:
                directories = self.spool.journal_directories
                who = {**identity(), "obeys": control.expects_signal()}
                try:
                    owner = Owner(directories, who)
                except FileNotFoundError:
                    for directory in directories:
                        self.spool.revive(directory)
                    owner = Owner(directories, who)
                # A signal handler that logged may have been here: a process has one journal.
                earlier: Owner | None = self.__dict__["_owner"]
                if earlier is not None:
                    owner.release()
                    return earlier
                self._owner = owner
                self.register_end()
            return self._owner

    def open(self) -> JournalWriter:
        """Return this process's journal, opening it the first time.

        Raises:
            OSError: the spool allows no owner file.
        """
        with self._lock:
            if self.journal is None:
                owner = self.claim()
                config = self.config
                journal = JournalWriter(
                    owner.journal,
                    self.spool.journal_directories,
                    Policy(config.quota, config.overflow, config.block_timeout),
                    drop_line=drop_line,
                    on_drop=owner.note_drops,
                    on_wait=self.alarm,
                    on_missing=self.spool.revive,
                    on_segment=self.alarm,
                    on_slow=self._hold,
                )
                if self.journal is None:  # else a signal handler that logged has been here
                    self.journal = journal
                    if self.failures:
                        journal.lose(self.failures, "the spool could not be used")
            return self.journal

    def log(self, record: logging.LogRecord) -> None:
        """Write a record into the journal. Never raises an `Exception`; what goes wrong is counted."""
        try:
            if not _guard[0]:
                after_fork()
            # The key belongs to the moment the record was made, or files would be out of order by what rendering took.
            key = clock.key_of(record.created)
            head, tail = encode_record(
                record,
                key,
                max_record=self.max_record,
                redact=self.redact,
                show_locals=self.config.show_locals,
            )
            (self.journal or self.open()).write(head, tail, record.levelno)
            if key >= self.check_at:
                self.check(key)
        except Exception as error:  # the application must not suffer from its log
            self.fail(error)

    def check(self, key: int) -> None:
        """See whether a listener lives, and whether levels were changed; every half second at most."""
        self.check_at = key + CHECK_EVERY
        self._hold()
        clock.check()
        fastpath.refresh()
        control.look()
        if _capture is not None:
            _capture.check()
        launch.look(self.spool, self.handle.session.encode(), self.spool.listener_pid())

    def _hold(self) -> None:
        """Take the journal's lock again if the application closed its descriptor, else go on with a new journal."""
        owner = self._owner
        if owner is None or owner.is_intact():
            return
        with self._lock:
            if self._owner is not owner or owner.is_intact():
                return
            if self.journal is not None:
                self.journal.lose_descriptors()
            if not owner.lock_again():
                self.journal = self._owner = None

    def alarm(self) -> None:
        """Wake the listener, and start one if there is none."""
        with contextlib.suppress(Exception):
            if not self.spool.wake() and not self.ended:
                launch.ensure(self.spool, self.handle.session.encode())

    def fail(self, error: Exception) -> None:
        """Count a record that could not be written, and say so once."""
        self.failures += 1
        if self.failures == 1:
            warn(f"a record could not be written ({type(error).__name__}: {error}); further ones are only counted.")

    def end(self) -> None:
        """Say goodbye: what was dropped is reported and the owner file says that the process ended in order."""
        with contextlib.suppress(Exception):
            if not self.ended:
                _say_last()
            with self._lock:
                if self._owner is None or self.ended:
                    return
                self.ended = True
                if self.journal is not None:
                    self.journal.report_drops()
                self._owner.say_bye(self.journal.seq if self.journal else 0)

    def close(self) -> None:
        """Say goodbye and give the journal to the listener; the process no longer belongs to the session."""
        with self._lock:
            self.end()
            if self._finalizer is not None:
                self._finalizer.cancel()
            self._hold()
            if self.journal is not None:
                self.journal.close()
            if self._owner is not None:
                self._owner.release()
            self.journal = self._owner = None
            with contextlib.suppress(Exception):
                self.spool.wake()

    def forget(self) -> None:
        """Leave the journal to the parent; this process opens its own at its first record."""
        self._lock = threading.RLock()
        self.journal = self._owner = self._finalizer = None
        self.ended = False
        self.failures = 0
        self.check_at = 0
        self.rank = min(self.rank, AT_FORK)

    def register_end(self) -> None:
        """Have `end` called when this process ends, as far as there is a way."""
        # multiprocessing's children run these at their end, in which atexit is not run (before 3.13).
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            self._finalizer = util.Finalize(None, self.end, exitpriority=-1100)


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
leaving: list[Callable[[], object]] = []
"""Called when this process ends or leaves its session, while it can still log."""
undoing: list[Callable[[], object]] = []
"""What else has to be put back when this process leaves its session."""
_attachment: _Attachment | None = None
_capture: Any = None
"""The module `capture`, while something is captured."""
_warned: set[str] = set()
_latest = threading.local()
_guard = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""One byte that a fork makes zero, also one from C that runs no Python hook."""
with contextlib.suppress(OSError, ValueError, AttributeError):
    _guard.madvise(18)  # MADV_WIPEONFORK, Linux 4.14, linux/mman.h; `mmap` has no name for it
_guard[0] = 1


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
        fastpath.install(worker, _attachment.handler, guard=_guard, after_fork=after_fork)
    if capture:
        begin_capture(worker)
    return worker


def begin_capture(worker: Worker) -> None:
    """Capture what this process's settings name, if anything; see `capture`."""
    global _capture
    if worker.config.capture:
        from mplog import capture

        _capture = capture
        capture.install(worker)


def _say_last() -> None:
    for call in (*leaving, *((_capture.flush,) if _capture is not None else ())):
        with contextlib.suppress(Exception):  # each of them costs itself only
            call()


def uninstall() -> None:
    """Detach this process from its session and put `logging` back as it was."""
    global current, _attachment, _capture
    _say_last()
    if _capture is not None:
        _capture.uninstall()
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
    first, _, second = path.partition(os.pathsep)
    spool = Spool(first, second or None)
    session = spool.read_session()
    if session is None:
        return None
    return Handle(session["id"], first, second or None, json.dumps(session))


def after_fork() -> None:
    """Forget what belongs to the parent. Runs in the forked child, at the latest at its first record."""
    _guard[0] = 1
    template.forget()
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
    if 2 in descriptors.saved:
        descriptors.write_original(2, f"mplog: {text}\n")
        return
    with contextlib.suppress(Exception), descriptors.Exempt():
        sys.stderr.write(f"mplog: {text}\n")


os.register_at_fork(after_in_child=after_fork)
