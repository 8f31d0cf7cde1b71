"""An attached process: its place in a session, its journal, and its end. Runs in a worker.

The parent is one, too. A logging call never raises. Nothing here imports the listener's side.
"""

import atexit
import contextlib
import json
import logging
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from mplog._shared import clock, control, launch
from mplog._shared.account import Policy
from mplog._shared.descriptors import say
from mplog._shared.drops import drop_line
from mplog._shared.journal import JournalWriter
from mplog._shared.owner import Owner, identity
from mplog._shared.record import encode_record
from mplog._shared.spool import Spool
from mplog._worker import fastpath, template
from mplog.config import Config

ENVIRONMENT, AT_FORK, INHERITED, EXPLICIT = range(4)
"""How a process came to its session; a stronger way replaces a weaker one."""

CHECK_EVERY = 500_000_000
"""Nanoseconds after which a record makes its process look for the listener and for new levels."""


leaving: list[Callable[[], object]] = []
"""Called when this process ends or leaves its session, while it can still log."""
flushing: list[Callable[[], object]] = []
"""Called after these, when nobody writes any more."""
checking: list[Callable[[], object]] = []
"""Called when a record makes its process look around."""
forked: list[Callable[[], object]] = []
"""Called in a forked child, at the latest at its first record."""

guard = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""One byte that a fork makes zero, also one from C that runs no Python hook."""
with contextlib.suppress(OSError, ValueError, AttributeError):
    guard.madvise(18)  # MADV_WIPEONFORK, Linux 4.14, linux/mman.h; `mmap` has no name for it
guard[0] = 1


def after_fork() -> None:
    """Forget what belongs to the parent. Runs in the forked child, at the latest at its first record."""
    guard[0] = 1
    template.forget()
    for call in forked:
        call()


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
        self.spool.keep_way()
        self.failures = 0
        self._failed = ""
        self._counted = 0
        """How many failures the journal has counted as dropped records."""
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
                directories = self.spool.writable_directories()
                who = {**identity(), "obeys": control.expects_signal()}
                try:
                    owner = Owner(directories, who)
                except OSError:
                    # The first directory may be full, and the second one not made yet.
                    if all(map(os.path.isdir, directories)):
                        raise
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
                    self.spool.writable_directories(),
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
                    self._count_failures()
            return self.journal

    def log(self, record: logging.LogRecord) -> None:
        """Write a record into the journal. Never raises an `Exception`; what goes wrong is counted."""
        try:
            if not guard[0]:
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
        # The record that has led here is written: it does not fail any more.
        with contextlib.suppress(Exception):
            self._hold()
            self._count_failures()
            clock.check()
            fastpath.refresh()
            control.look()
            for call in checking:
                call()
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
            if self._owner is not None:
                self._owner.furnish()  # There was no room for it perhaps.
        with contextlib.suppress(Exception):
            if not self.spool.wake() and not self.ended:
                launch.ensure(self.spool, self.handle.session.encode())

    def fail(self, error: Exception) -> None:
        """Count a record that could not be written, and say so once."""
        self.failures += 1
        self._failed = "the spool could not be used" if isinstance(error, OSError) else "a logging call failed"
        if self.failures == 1:
            with contextlib.suppress(Exception):  # nobody's stack may be deep enough for that
                say(f"a record could not be written ({type(error).__name__}: {error}); further ones are only counted.")

    def _count_failures(self) -> None:
        """Have the journal count what could not be written, which a record in the log then says."""
        count = self.failures - self._counted
        if count and self.journal is not None:
            self._counted += count
            self.journal.lose(count, self._failed)

    def end(self) -> None:
        """Say goodbye: what was dropped is reported and the owner file says that the process ended in order."""
        with contextlib.suppress(Exception):
            if not self.ended:
                say_last()
            with self._lock:
                if self._owner is None or self.ended:
                    return
                self.ended = True
                if self.journal is not None:
                    self._count_failures()
                    self.journal.report_drops()
                self._owner.say_bye(self.journal.seq if self.journal else 0)

    def close(self) -> None:
        """Say goodbye and give the journal to the listener; the process no longer belongs to the session."""
        with self._lock:
            self.end()
            if self._finalizer is not None:
                self._finalizer.cancel()
            atexit.unregister(self.end)
            self._hold()
            if self.journal is not None:
                self.journal.close()
            if self._owner is not None:
                self._owner.release()
            self.journal = self._owner = None
            self.spool.leave_way()
            with contextlib.suppress(Exception):
                self.spool.wake()

    def forget(self) -> None:
        """Leave the journal to the parent; this process opens its own at its first record."""
        self._lock = threading.RLock()
        self.journal = self._owner = self._finalizer = None
        self.ended = False
        self.failures = self._counted = 0
        self.check_at = 0
        self.rank = min(self.rank, AT_FORK)

    def register_end(self) -> None:
        """Have `end` called when this process ends, as far as there is a way."""
        # multiprocessing's children run these at their end, in which atexit is not run (before 3.13).
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            self._finalizer = util.Finalize(None, self.end, exitpriority=-1100)
        else:
            atexit.register(self.end)


def say_last() -> None:
    """Let everybody say what they still have to; each of them costs itself only."""
    for call in (*leaving, *flushing):
        with contextlib.suppress(Exception):
            call()
