"""Remove what dead sessions have left beside this one, where nothing of it is missing in a log.

A session whose processes were all killed at once leaves its directory; nobody comes back to it until its log file is
used again. Runs in a listener process when it has nothing to do, and in the command `mplog`.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from mplog._listener.commit import CommitLog
from mplog._listener.intake import Intake
from mplog._listener.reader import split_lines
from mplog._shared import lock
from mplog._shared.spool import Spool

OLD = 60.0
"""Seconds for which a session must have been dead, as far as its files tell, before its directory is removed."""
LONGEST = 0.2
"""Seconds that a listener spends on it; the next one goes on."""


def sweep(spool: Spool) -> None:
    """Remove the directories of dead sessions beside `spool` in which no record waits. Never raises an `OSError`."""
    root = os.path.dirname(spool.path)
    deadline = time.monotonic() + LONGEST
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if time.monotonic() > deadline:
                return
            if path != spool.path and not name.endswith(".lock"):
                with contextlib.suppress(OSError):
                    _remove_dead(path)


def waits(spool: Spool) -> bool:
    """Tell whether anything in a dead session's directory is in no log: a record, output, a count of what was dropped.

    Raises:
        OSError: that cannot be told.
    """
    commits = CommitLog(spool.file("commits"))
    commits.load(use=False)
    if commits.undelivered or commits.rotating is not None:
        return True
    intake = Intake(spool.journal_directories, commits.progress)
    try:
        intake.scan(force=True)
        if not intake.scanned_at or intake.outputs.files():  # not seen is not empty
            return True
        for journal in intake.journals.values():
            if journal.lives() or journal.state().drops is not None:
                return True
            journal.dead = True
            while data := journal.reader.read(1 << 20, dead=True)[0]:
                if split_lines(data):
                    return True
    finally:
        intake.close()
    return False


def _remove_dead(path: str) -> None:
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    spool = _whole(path)
    if spool is None or time.time() - _last_change(spool) < OLD or spool.listener_pid() is not None:
        return
    session = lock.acquire(spool.lock_path)
    if session is None:
        return
    try:
        listener = lock.acquire(spool.listener_lock)
        if listener is None:
            return
        try:
            if not waits(spool):
                _remove(spool)
        finally:
            lock.release(listener)
    finally:
        # Also if it went by itself just before it was locked, which has made the lock's file anew.
        lock.release(session, remove=None if os.path.isdir(path) else spool.lock_path)


def _whole(path: str) -> Spool | None:
    """Return a session's spool with its second place, which lies beside its own log file."""
    session = Spool(path).read_session()
    config = session.get("config") if session else None
    if not isinstance(config, dict):
        return None
    file = config.get("file")
    second = None
    if isinstance(file, str):
        second = os.path.join(os.path.dirname(os.path.realpath(file)), ".mplog", os.path.basename(path))
    return Spool(path, second if second != path else None)


def _remove(spool: Spool) -> None:
    intake = Intake(spool.journal_directories, {})
    intake.scan(force=True)
    if all(intake.remove(journal) for journal in list(intake.journals.values())) and spool.close_journals():
        spool.clear()


def _last_change(spool: Spool) -> float:
    moments = [0.0]
    for path in (spool.path, spool.file("status"), spool.file("starting"), spool.journals):
        with contextlib.suppress(OSError):
            moments.append(os.stat(path).st_mtime)
    return max(moments)
