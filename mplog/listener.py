"""The listener: one `step()` around which both the thread and the process run.

    journals --intake--> lines --merge--> batch --intent--> log file --> done --> console, handlers --> delivered

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from mplog._listener import certificate
from mplog._listener.batch import Batch, BatchWriter
from mplog._listener.commit import CommitLog, Intent
from mplog._listener.contact import Contact
from mplog._listener.delivery import EVER, Delivery, HandlerTarget
from mplog._listener.expiry import Expiry
from mplog._listener.intake import Intake
from mplog._listener.merge import Range, count_late, key_of, merge
from mplog._listener.notes import Notes
from mplog._listener.outputs import outputs_of
from mplog._listener.stats import Stats
from mplog._listener.targets import encoder, log_file, targets
from mplog._shared import lock
from mplog._shared.descriptors import say
from mplog._shared.spool import Spool, Status
from mplog.config import Config

HOLD_BACK = 20_000_000
"""Nanoseconds a record waits for older ones that are just being written."""
FUTURE = 1_000_000_000
"""Nanoseconds by which a key must be ahead to count as none of this clock's."""
BUSY_PAUSE, IDLE_PAUSE, IDLE_PAUSE_OF_MANY = 0.002, 0.05, 0.1
"""Seconds between two steps: where something happens, where nothing does, and that with many processes."""
GIVE_UP_AFTER = 30.0
"""Seconds for which a listener without workers tries to write what it has, before it leaves the spool as it is."""
LONGEST_COMPRESSION = 5.0
"""Seconds for which such a listener waits for rotated files to be compressed; what stays plain is whole, too."""
LONGEST_LOCKED = 0.2
"""Seconds for which an ending listener holds the session's lock, about: who calls `setup` then waits for it."""
SUSPICIOUS = 1_000_000_000
"""Nanoseconds for which all descriptors are looked at after one was found closed: who closes all takes its time."""


class Listener:
    """Merge the journals of one session into its log file, console and handlers.

    The caller holds the session's listener lock. Nothing raised by a record, a handler or a file ends `step`.

    Args:
        spool: the session's directory.
        config: the session's settings.
        stream: where the console writes; None for the descriptor that `config.console` names.
        handlers: user handlers that are objects; those in `config` are built here.
    """

    def __init__(
        self, spool: Spool, config: Config, *, stream: Any = None, handlers: tuple[logging.Handler, ...] = ()
    ) -> None:
        self.spool = spool
        self.config = config
        self.stats = Stats()
        self._notes = Notes(config.level.get("mplog", config.level.get("", 0)))
        self._reporting: set[str] = set()
        self._certificates = certificate.Registry(spool)
        self._commits = CommitLog(spool.file("commits"))
        self._commits.load()
        self.stats.restarts = self._commits.starts - 1
        outputs = outputs_of(config, self._commits.progress, self._commits.newest)
        self.intake = Intake(spool.journal_directories, self._commits.progress, outputs)
        if config.max_bytes:
            self.intake.budget = max(4096, min(self.intake.budget, config.max_bytes // 4))
        self._writer = BatchWriter(log_file(config), self._commits, self._notes.add)
        self._encode = encoder(config)
        self._deliveries = [
            Delivery(target, essential=config.file is None) for target in targets(config, stream, handlers, spool)
        ]
        self._undelivered: deque[tuple[int, dict[str, Range]]] = deque()
        self._committed = 0
        self._expiry = Expiry(spool)
        self._lonely_since = 0.0
        self._contact = Contact(spool)
        self._suspicious_until = 0
        self.chores: list[Callable[[], object]] = []
        """What `run` does once, as soon as it has nothing else to do."""
        self._recover()

    # What one step does, in this order.

    def step(self, *, drain: bool = False) -> bool:
        """Do one round; return whether there was anything to do. With `drain` hold nothing back."""
        now = time.monotonic_ns()
        self._contact.heed()
        # A crowd rings with each new segment, and a look at all of it takes long: it is made when it is due.
        look = drain or (self._contact.asked and not self.intake.is_crowd)
        self.intake.scan(force=look)
        for journal in self.intake.check_owners(force=look):
            journal.identity = journal.state().identity or journal.identity
            self._certificates.look(journal)
        busy = False
        # While a batch waits for the file, the journals keep what is new; so does who is just a little too slow.
        if self._writer.batch is None and not any(delivery.holds_up() for delivery in self._deliveries):
            busy = self.intake.read(now, force=self._contact.asked or drain)
            known = min(now, self.intake.known_at)
            watermark = self.intake.watermark(EVER if drain else known - HOLD_BACK)
            self._take_batch(watermark, now)
            busy = self._write_batch() or busy
            if self._writer.batch is None:
                self._committed = max(self._committed, min(watermark, known))
        else:
            busy = self._write_batch()
        self._settle_deliveries()
        self._bury()
        self._expiry.look(now)
        self._publish(now, busy=busy)
        return busy

    def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Step until the last owner is gone, or until `stopping`; wait in between as long as nothing happens."""
        pause = BUSY_PAUSE
        while not stopping():
            busy = False
            try:
                busy = self.step()
                if not busy and self._is_lonely() and self._try_end():
                    return
            except Exception as error:  # whatever a step meets, the next one goes on
                self.stats.errors += 1
                if self.stats.errors <= 3:
                    say(f"the listener met {type(error).__name__}: {error}; it goes on.")
            if self.chores and pause >= IDLE_PAUSE:
                self.chores.pop()()
            longest = IDLE_PAUSE_OF_MANY if self.intake.is_crowd else IDLE_PAUSE
            pause = BUSY_PAUSE if busy else min(pause * 2, longest)
            if not (busy and self.intake.is_behind):
                self._contact.wait(pause)

    def settle(self, timeout: float) -> int | None:
        """Write what there is and wait for console, handlers and compression; return the session's lock, taken then.

        What takes long is done before: who calls `setup` waits for the lock. None: it was not to be had in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._drain(deadline)
            began = time.monotonic()
            while (now := time.monotonic()) < deadline and not self._is_settled(
                compressed=now - began < LONGEST_COMPRESSION
            ):
                self.step(drain=True)
                self._contact.wait(BUSY_PAUSE)
            fd = self.spool.lock_session()
            self.intake.scan(force=True)
            self.intake.check_owners(force=True)
            if time.monotonic() >= deadline or (fd is not None and not self._is_waiting()):
                return fd
            # Somebody has ended meanwhile, or another process has the lock.
            if fd is not None:
                lock.release(fd)
            self._contact.wait(BUSY_PAUSE)

    def finish(self, timeout: float) -> bool:
        """Drain, wait for console and handlers, and end them; tell whether all is in the file (without one: shown)."""
        clean = self._drain(deadline := time.monotonic() + timeout)
        for delivery in self._deliveries:
            clean = (delivery.finish(deadline) or not delivery.essential) and clean
        self._settle_deliveries()
        if self._notes:  # about one that was given up
            self._drain(deadline)
        for delivery in self._deliveries:
            if isinstance(delivery.target, HandlerTarget) and not delivery.hangs:
                delivery.target.close()
        self._contact.insist()
        self._publish(time.monotonic_ns(), busy=True)
        return clean

    def leave(self) -> None:
        """Leave the session to another listener; console and handlers still get what was handed over to them."""
        for delivery in self._deliveries:
            if delivery.finish(time.monotonic() + 1.0) and isinstance(delivery.target, HandlerTarget):
                delivery.target.close()
        self.close()

    def close(self) -> None:
        """Give back files and descriptors."""
        self.intake.close()
        self._commits.close()
        if self._writer.file is not None:
            self._writer.file.close()
        self._contact.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._contact.is_closed

    def is_taken_over(self) -> bool:
        """Tell whether another listener has worked for the session since this one began."""
        return self._commits.is_taken_over()

    def _take_batch(self, watermark: int, now: int) -> None:
        runs, ranges = self.intake.take(watermark, now + FUTURE)
        due = self._notes.due(watermark)
        if not ranges and not due:
            return
        notes = [line for line, _ in due]
        if notes:
            runs.append(notes)
        lines = merge(runs) if runs else []
        newest = self._commits.newest
        self.stats.late += count_late(lines, newest)
        if lines:
            newest = max(newest, min(key_of(lines[-1]), now))
        intent = Intent(
            self._commits.generation + 1,
            None,
            newest,
            ranges,
            tuple(line.decode("utf-8", "replace") for line in notes),
            tuple(journal for _, journal in due if journal),
        )
        self._writer.batch = Batch(intent, lines, self._encode(lines) if lines else b"")

    def _write_batch(self) -> bool:
        """Write the batch; return whether there was one, and it is done."""
        pending = self._writer.batch
        if pending is None:
            return False
        alone = not (pending.lines and self._deliveries) and not self._undelivered
        batch = self._writer.write(delivered=alone)
        if batch is None:
            return False
        generation = batch.intent.generation
        self.stats.records += len(batch.lines)
        self._reporting.difference_update(batch.intent.reported)
        if batch.lines:
            for delivery in self._deliveries:
                delivery.put(generation, batch.lines)
        self._undelivered.append((generation, batch.intent.ranges))
        return True

    def _settle_deliveries(self) -> None:
        """Forget the batches that console and handlers are through with; say which of them hang, fail or skip."""
        through = EVER
        for delivery in self._deliveries:
            through = min(through, delivery.through())
            report = delivery.report()
            if report is not None:
                counts: dict[str, Any] = {"failed": delivery.failed, "skipped": delivery.skipped}
                self._notes.add(logging.ERROR, report[1], event=report[0], handler=delivery.target.name, **counts)
        last = 0
        while self._undelivered and self._undelivered[0][0] <= through:
            last, ranges = self._undelivered.popleft()
            self.intake.release(ranges)
        if last:
            with contextlib.suppress(OSError):
                self._commits.delivered(last)

    def _recover(self) -> None:
        """Go on where a killed listener left off: its rotation, its batch, what console and handlers had not got."""
        commits = self._commits
        file = self._writer.file
        self.intake.scan(force=True)
        if file is not None:
            with contextlib.suppress(OSError):
                if commits.rotating is not None and file.rotate(commits.rotating):
                    commits.rotate(None)
            file.compress()
        for intent in list(commits.undelivered):
            runs = [self.intake.retake(name, taken) for name, taken in intent.ranges.items()]
            runs.append([line.encode() for line in intent.notes])
            lines = merge([run for run in runs if run]) if any(runs) else []
            if commits.pending is not None and intent.generation == commits.pending.generation:
                data = self._encode(lines) if lines and intent.file is not None else b""
                self._writer.batch = Batch(intent, lines, data, recovered=True)
            else:
                for delivery in self._deliveries:
                    delivery.put(intent.generation, lines)
                self._undelivered.append((intent.generation, intent.ranges))
        self.intake.forget_consumed()
        if commits.starts > 1:
            self._notes.add(logging.INFO, "a new listener goes on", event="listener_restarted", starts=commits.starts)

    # The dead, and the end.

    def _bury(self) -> None:
        """Report the dead, and remove their journals once the report is stored."""
        for journal in self.intake.finished():
            name = journal.name
            if name in self._reporting:
                continue
            if name not in self._commits.reported:
                reports = self._certificates.issue(journal)
                if reports is None:
                    continue
                for levelno, msg, fields in reports:
                    if self._notes.add(levelno, msg, reports=name, **fields):
                        self._reporting.add(name)
                if name in self._reporting:
                    continue
            counts = self.stats.of(journal)
            if self.intake.remove(journal):
                self.stats.bury(journal, counts)
                self._commits.forget(name)
        for name in self.intake.remove_outputs():
            self._commits.forget(name)

    def _is_lonely(self) -> bool:
        """Tell whether nobody is left to listen to."""
        if self.intake.alive():
            self._lonely_since = 0.0
            return False
        self._lonely_since = self._lonely_since or time.monotonic()
        return True

    def _drain(self, deadline: float) -> bool:
        """Step until nothing is left or until `deadline` (monotonic); tell which."""
        self.intake.scan(force=True)
        while True:
            busy = self.step(drain=True)
            if not busy and not self._is_waiting():
                return True
            if time.monotonic() >= deadline:
                return False
            if not busy:
                self._contact.wait(BUSY_PAUSE)

    def _is_waiting(self) -> bool:
        """Tell whether anything is known that is not in the file, or of the dead and not reported."""
        dead = self.intake.alive() < len(self.intake.journals)
        return self._writer.batch is not None or bool(self._notes) or self.intake.pending() or dead

    def _is_settled(self, *, compressed: bool) -> bool:
        """Tell whether console and handlers are through, or hang, and, if wanted, rotated files compressed."""
        if compressed and self._writer.file is not None and self._writer.file.is_compressing:
            return False
        return all(delivery.idle or delivery.hangs for delivery in self._deliveries)

    def _try_end(self) -> bool:
        """End the session if, under its lock, still nobody else is there; leave its spool if it cannot be written."""
        given_up = time.monotonic() - self._lonely_since > GIVE_UP_AFTER
        if not given_up and (
            not self._drain(time.monotonic() + 0.5)
            or not self._is_settled(compressed=time.monotonic() - self._lonely_since < LONGEST_COMPRESSION)
        ):
            return False
        fd = self.spool.lock_session()
        if fd is None:
            return False
        try:
            self.intake.scan(force=True)
            self.intake.check_owners(force=True)
            if self.intake.alive() or (not given_up and self._is_waiting()):
                return False
            if given_up:
                self.finish(LONGEST_LOCKED)
                say(f"not everything could be written; it waits in {self.spool.path!r} for `mplog recover`.")
                self.close()
            elif self.close_journals():
                self.finish(LONGEST_LOCKED)
                self.close()
                self.spool.clear()
                lock.release(fd, remove=self.spool.lock_path)
                fd = -1
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.dirname(self.spool.path))
            return self.is_closed
        finally:
            if fd >= 0:
                lock.release(fd)

    def close_journals(self) -> bool:
        """Leave no directory in which a journal could begin; nobody lives, and everything is written."""
        self.intake.outputs.discard()
        return self.spool.close_journals()

    def mend(self) -> None:
        """Go on after the application has closed descriptors, as a program does that becomes a daemon.

        For a listener that shares the application's process, before each step.
        """
        now = time.monotonic_ns()
        if self._contact.mend():
            self._suspicious_until = now + SUSPICIOUS
        if now < self._suspicious_until:
            self.intake.mend()

    def _publish(self, now: int, *, busy: bool) -> None:
        status = Status(self._committed, now, self.intake.alive(), os.getpid())
        self._contact.tell(
            status, lambda: self.stats.to_json(self.intake.journals.values(), self._deliveries), busy=busy
        )
