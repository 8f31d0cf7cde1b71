"""Bring batches into the log file, each exactly once: intent, write, done. Runs in the listener.

Whatever fails is tried again with the same batch; nothing that was taken out of a journal is forgotten.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from mplog._listener.commit import CommitLog, Intent
from mplog._shared.descriptors import say
from mplog.handlers import LogFile

RETRY_AFTER = (0.05, 1.0)
"""Seconds between tries to write to a file that fails, first and longest."""
REPEAT_AFTER = 60.0
"""Seconds in which the same trouble is said once on stderr."""
PATIENCE = 1.0
"""Seconds for which storing `done` is tried before the listener goes on without: a full spool empties only so."""


class Batch:
    """Lines on their way to the file, and the bytes they become there."""

    __slots__ = ("data", "intended", "intent", "lines", "recovered", "unstored_since")

    def __init__(self, intent: Intent, lines: list[bytes], data: bytes, *, recovered: bool = False) -> None:
        self.intent, self.lines, self.data = intent, lines, data
        self.intended = recovered
        self.recovered = recovered
        """Whether an earlier listener had stored its intent, and nobody knows yet how far it came."""
        self.unstored_since = 0.0


class BatchWriter:
    """Write one batch at a time.

    Args:
        file: the log file, or None if there is none.
        commits: where intents are stored.
        note: writes a record of the listener's own.
    """

    def __init__(self, file: LogFile | None, commits: CommitLog, note: Callable[..., object]) -> None:
        self.file = file
        self.batch: Batch | None = None
        self.errors = 0
        self._commits = commits
        self._note = note
        self._trouble: tuple[float, str] | None = None
        self._tries = 0
        self._retry_at = 0.0
        self._pause = RETRY_AFTER[0]
        self._said: dict[str, float] = {}

    def write(self, *, delivered: bool = False) -> Batch | None:
        """Go on with the batch; return it once it is in the file and that is stored, else None: call again.

        Args:
            delivered: whether nobody but the file gets it.
        """
        batch = self.batch
        if batch is None or time.monotonic() < self._retry_at:
            return None
        try:
            if not self._write_file(batch):
                return None
        except OSError as error:
            self._fail(error)
            return None
        if not self._store_done(batch, delivered=delivered):
            return None
        self.batch = None
        self._recovered()
        return batch

    def _write_file(self, batch: Batch) -> bool:
        file = self.file
        if not batch.data or file is None:
            if not batch.intended:
                self._intend(batch, None)
            return True
        if not self._prepare(batch, file):
            return False
        if not batch.data:
            return True
        assert batch.intent.file is not None
        if file.write(batch.data, batch.intent.file[2]) < len(batch.data):
            self._fail(file.error)
            return False
        if not file.sync():
            self._abandon(batch, file)
            return False
        return True

    def _prepare(self, batch: Batch, file: LogFile) -> bool:
        """Open the file, rotate it if it is time, and store the intent; False: tried again later."""
        if file.is_lost:
            # How much of a batch once begun the file got before, it has to say itself.
            batch.recovered = batch.recovered or (batch.intended and batch.intent.file is not None)
        if batch.intended and not batch.recovered:
            assert batch.intent.file is not None
            # A batch once begun is finished in its own file, also if that was renamed meanwhile.
            if not file.is_gone and file.size() >= batch.intent.file[2]:
                return True
            batch.intended = False
        if not file.ready():
            self._fail(file.error)
            return False
        if file.replaced:
            file.replaced = False
            self._note(logging.WARNING, "the log file was replaced; this is a new one", event="file_replaced")
        if batch.recovered and not self._resume(batch, file):
            return False
        if not batch.intended and batch.data:
            if file.due(len(batch.data)) and not self._rotate(file):
                return False
            file.seal()
            self._intend(batch, file)
        return True

    def _intend(self, batch: Batch, file: LogFile | None) -> None:
        if file is not None:
            batch.intent = batch.intent._replace(file=(*file.identity, file.size()))
        try:
            self._commits.intend(batch.intent)
        except OSError as error:
            # Better at least once than not at all: a full spool is emptied only by going on.
            self._commits.assume(batch.intent)
            self._say("the intent to write cannot be stored in the spool", error, "going on without")
        batch.intended = True

    def _store_done(self, batch: Batch, *, delivered: bool) -> bool:
        try:
            self._commits.done(batch.intent.generation, delivered=delivered)
        except OSError as error:
            now = time.monotonic()
            batch.unstored_since = batch.unstored_since or now
            if now - batch.unstored_since < PATIENCE:
                self._retry_at = now + RETRY_AFTER[0]
                return False
            self._commits.pending = None
            self._say("what was written cannot be noted in the spool", error, "going on without")
        return True

    def _resume(self, batch: Batch, file: LogFile) -> bool:
        """Find out how much of an interrupted batch is in its file, and complete it there."""
        assert batch.intent.file is not None
        device, inode, size = batch.intent.file
        own = file.identity == (device, inode)
        target = file if own else file.find((device, inode))
        try:
            there, foreign = 0, True
            if target is not None and target.size() >= size:
                there, foreign = target.common(batch.data, size)
                if there == len(batch.data) and not target.sync():
                    there, foreign = 0, True
            if target is not None and not own and not foreign:
                there = target.write(batch.data, size)  # It was renamed in the middle: its rest belongs to the rest.
                if there < len(batch.data):
                    self._fail(target.error)
                    return False
                target.sync()
        finally:
            if target is not None and not own:
                target.close()
        batch.recovered = False
        if there == len(batch.data):
            batch.data = b""
        elif foreign:
            # Others have written behind the half batch, or the file is gone: the lines that are not whole come again.
            batch.data = batch.data[batch.data.rfind(b"\n", 0, there) + 1 :]
            batch.intended = False
            self._note(
                logging.WARNING,
                "the log file was changed by others while the listener was away; lines may be there twice",
                event="file_replaced",
            )
        return True

    def _rotate(self, file: LogFile) -> bool:
        with contextlib.suppress(OSError):
            self._commits.rotate(file.identity)
        if not file.rotate(file.identity):
            self._say("the log file cannot be rotated", file.error, "it goes on as it is")
            if not file.ready():
                self._fail(file.error)
                return False
        with contextlib.suppress(OSError):
            self._commits.rotate(None)
        return True

    def _abandon(self, batch: Batch, file: LogFile) -> None:
        """Leave a file whose sync failed, and write the batch again to a fresh one (fsyncgate, LWN 752063)."""
        self._say("the log file could not be synced", file.error, "it is rotated away, its last batch written again")
        batch.intended = False
        self._fail(file.error)
        self._rotate(file)

    def _fail(self, error: OSError | None) -> None:
        now = time.monotonic()
        reason = (error.strerror or str(error)) if error else "unknown error"
        if self._trouble is None:
            self._trouble = (now, reason)
            self._say("the log file cannot be written", error, "the journals keep the records, trying again")
        self._tries += 1
        self._retry_at = now + self._pause
        self._pause = min(self._pause * 2, RETRY_AFTER[1])

    def _recovered(self) -> None:
        self._retry_at = 0.0
        if self._trouble is None:
            return
        since, reason = self._trouble
        seconds = time.monotonic() - since
        tries, self._tries = self._tries, 0
        self._trouble, self._pause = None, RETRY_AFTER[0]
        full = any(word in reason for word in ("space", "too large", "quota"))
        self._note(
            logging.WARNING,
            f"the log file could not be written for {seconds:.1f} s ({reason.lower()}); nothing was skipped",
            event="disk_full" if full else "file_failed",
            seconds=round(seconds, 3),
            tries=tries,
            reason=reason,
        )

    def _say(self, what: str, error: OSError | None, consequence: str) -> None:
        """Say what went wrong on stderr, the same thing once in a minute."""
        self.errors += 1
        now = time.monotonic()
        if now - self._said.get(what, -REPEAT_AFTER) < REPEAT_AFTER:
            return
        self._said[what] = now
        reason = (error.strerror or str(error)) if error else "unknown error"
        where = f"`{self.file.path}`: " if self.file is not None else ""
        say(f"{where}{what} ({reason}); {consequence}.")
