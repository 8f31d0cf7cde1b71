"""The listener: one `step()` around which both the thread and the process run.

    journals --intake--> lines --merge--> batch --intent--> log file --> done --> console, handlers --> delivered

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from mplog import _certificate, _lock
from mplog._commit import CommitLog, Intent
from mplog._control import Expiry
from mplog._delivery import ConsoleTarget, Delivery, HandlerTarget, say
from mplog._drops import drop_fields, drop_line
from mplog._handler_specs import build_handler
from mplog._intake import Intake, Journal
from mplog._journal import JournalWriter, Policy
from mplog._merge import PREFIX, Range, count_late, key_of, merge, retake, without_keys
from mplog._owner import Owner, identity
from mplog._record import encode_record
from mplog._spool import Spool, Status
from mplog._stats import Stats
from mplog.config import Config
from mplog.exceptions import ConfigError
from mplog.formatters import ConsoleFormatter, JsonFormatter, PatternFormatter, TextFormatter
from mplog.handlers import LogFile

HOLD_BACK = 20_000_000
"""Nanoseconds a record waits for older ones that are just being written."""
BUSY_PAUSE, IDLE_PAUSE = 0.002, 0.05
EVER = (1 << 64) - 1
RETRY_AFTER = (0.05, 1.0)
"""Seconds between tries to write to a file that fails, first and longest."""
GIVE_UP_AFTER = 30.0
"""Seconds for which a listener without workers keeps trying to write what it has, before it leaves the spool as it is."""


class _Batch:
    """What is on its way to the file."""

    __slots__ = ("data", "intent", "intended", "lines", "written")

    def __init__(self, intent: Intent, lines: list[bytes], data: bytes) -> None:
        self.intent, self.lines, self.data = intent, lines, data
        self.intended = False
        self.written = 0


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
        self._commits = CommitLog(spool.file("commits"))
        self._commits.load()
        self._owner = Owner(spool.journal_directories, identity("listener"))
        self._own = JournalWriter(
            self._owner.journal, spool.journal_directories, Policy(overflow="drop"), drop_line=drop_line
        )
        self.intake = Intake(spool.journal_directories, self._commits.progress, self._owner.journal)
        self._file = _log_file(config)
        if config.max_bytes:
            self.intake.budget = max(4096, min(self.intake.budget, config.max_bytes // 4))
        self._encode = _encoder(config)
        self._deliveries = [Delivery(target) for target in _targets(config, stream, handlers)]
        self._undelivered: deque[tuple[int, dict[str, Range]]] = deque()
        self._batch: _Batch | None = None
        self._trouble: tuple[float, str] | None = None
        self._retry_at = 0.0
        self._retry_pause = RETRY_AFTER[0]
        self._committed = 0
        self._hung: set[str] = set()
        self._expiry = Expiry(spool)
        self._wake_fd = -1
        self._status_fd = os.open(
            spool.file("status"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        self._asked = True
        self._open_wake()
        self._recover()

    # What one step does, in this order.

    def step(self, *, drain: bool = False) -> bool:
        """Do one round; return whether there was anything to do. With `drain` hold nothing back."""
        now = time.monotonic_ns()
        self._heed_wake()
        self.intake.scan(force=self._asked)
        for journal in self.intake.check_owners(force=self._asked):
            self._on_death(journal)
        busy = self.intake.read()
        watermark = self.intake.watermark(EVER if drain else now - HOLD_BACK)
        if self._batch is None and self._can_write():
            self._take_batch(watermark, now)
        if self._batch is not None:
            busy = True
            self._write_batch()
        if self._batch is None and not self._trouble:
            self._committed = max(self._committed, min(watermark, now))
        self._settle_deliveries()
        self._bury()
        self._expiry.look(now)
        self._publish(now)
        return busy

    def run(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Step until the last owner is gone, or until `stopping`; wait in between as long as nothing happens."""
        pause = BUSY_PAUSE
        while not stopping():
            try:
                busy = self.step()
            except Exception as error:  # whatever a step meets, the next one goes on
                self.stats.errors += 1
                if self.stats.errors <= 3:
                    say(f"the listener met {type(error).__name__}: {error}; it goes on.")
                busy = False
            if not busy and not self.intake.alive() and not self.intake.pending() and self._try_end():
                return
            pause = BUSY_PAUSE if busy else min(pause * 2, IDLE_PAUSE)
            self._wait(pause)

    def finish(self, timeout: float) -> bool:
        """Drain what there is, wait for console and handlers, close the file; tell whether nothing was left."""
        deadline = time.monotonic() + timeout
        self.intake.scan(force=True)
        clean = False
        while time.monotonic() < deadline:
            busy = self.step(drain=True)
            clean = not busy and self._batch is None and not self.intake.pending()
            if clean:
                break
            if self._trouble:
                self._wait(BUSY_PAUSE)
        # Each waits for itself: one that hangs must not cost the others their time.
        for delivery in self._deliveries:
            clean = delivery.finish(min(deadline, time.monotonic() + 1.0) if delivery.stuck else deadline) and clean
        self._settle_deliveries()
        for delivery in self._deliveries:
            if isinstance(delivery.target, HandlerTarget):
                delivery.target.close()
        self._publish(time.monotonic_ns())
        return clean

    def close(self) -> None:
        """Give back files, descriptors and the listener's own journal."""
        self._own.close()
        self._owner.release()
        self.intake.close()
        self._commits.close()
        if self._file is not None:
            self._file.finish(5.0)
        for fd in (self._wake_fd, self._status_fd):
            if fd >= 0:
                os.close(fd)
        self._wake_fd = self._status_fd = -1

    def note(self, levelno: int, msg: str, **fields: Any) -> None:
        """Write a record of mplog's own into the log."""
        record = logging.LogRecord("mplog", levelno, "", 0, msg, None, None)
        record.processName, record.threadName, record.funcName = "mplog", "listener", ""
        record.__dict__.update(fields)
        head, tail = encode_record(record, time.monotonic_ns())
        self._own.write(head, tail, levelno)

    def _take_batch(self, watermark: int, now: int) -> None:
        runs, ranges = self.intake.take(watermark, now)
        if not ranges:
            return
        lines = merge(runs) if runs else []
        self.stats.late += count_late(lines, self._commits.newest)
        newest = max(self._commits.newest, min(key_of(lines[-1]), now)) if lines else self._commits.newest
        data = self._encode(lines) if self._file is not None and lines else b""
        if data and self._file is not None and self._file.due(len(data)):
            self._rotate(self._file)
        intent = Intent(self._commits.generation + 1, None, newest, ranges)
        if data and self._file is not None:
            intent = intent._replace(file=(*self._file.identity, self._file.size()))
        self._batch = _Batch(intent, lines, data)

    def _write_batch(self) -> None:
        """Intent, write, done: the order on which "exactly once" rests."""
        batch = self._batch
        assert batch is not None
        if time.monotonic() < self._retry_at:
            return
        if not batch.intended:
            try:
                self._commits.intend(batch.intent)
            except OSError as error:
                # Better at least once than not at all: a full spool is emptied only by going on.
                self._commits.generation = batch.intent.generation
                self._commits.undelivered.append(batch.intent)
                self.stats.errors += 1
                if self.stats.errors <= 3:
                    say(f"the intent cannot be stored in {self._commits.path!r} ({error.strerror}); going on without.")
            batch.intended = True
        if batch.data and self._file is not None:
            assert batch.intent.file is not None
            batch.written = self._file.write(batch.data, batch.intent.file[2])
            if batch.written < len(batch.data):
                self._fail(self._file.error)
                return
            if not self._file.sync():
                self._abandon_file(self._file, batch)
                return
        self._batch = None
        self._recovered_trouble()
        self._finish_batch(batch)

    def _finish_batch(self, batch: _Batch) -> None:
        generation = batch.intent.generation
        self.stats.records += len(batch.lines)
        if batch.lines:
            for delivery in self._deliveries:
                delivery.put(generation, batch.lines)
        waiting = bool(batch.lines and self._deliveries)
        with contextlib.suppress(OSError):
            self._commits.done(generation, delivered=not waiting and not self._undelivered)
        self._undelivered.append((generation, batch.intent.ranges))

    def _settle_deliveries(self) -> None:
        """Forget the batches that console and handlers are through with; say which of them hang."""
        through = EVER
        for delivery in self._deliveries:
            if delivery.stuck:
                if delivery.target.name not in self._hung:
                    self._hung.add(delivery.target.name)
                    self.note(
                        logging.ERROR,
                        f"handler {delivery.target.name} hangs; the file goes on without it",
                        event="handler_hangs",
                        handler=delivery.target.name,
                    )
            else:
                self._hung.discard(delivery.target.name)
                if not delivery.idle:
                    through = min(through, delivery.generation)
        last = 0
        while self._undelivered and self._undelivered[0][0] <= through:
            last, ranges = self._undelivered.popleft()
            self.intake.release(ranges)
        if last:
            with contextlib.suppress(OSError):
                self._commits.delivered(last)

    # The file and its troubles.

    def _can_write(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        if self._file is None:
            return True
        if not self._file.ready():
            self._fail(self._file.error)
            return False
        if self._file.replaced:
            self._file.replaced = False
            self.note(logging.WARNING, "the log file was replaced; this is a new one", event="file_replaced")
        return True

    def _fail(self, error: OSError | None) -> None:
        now = time.monotonic()
        reason = (error.strerror or str(error)) if error else "unknown error"
        if self._trouble is None:
            self._trouble = (now, reason)
            say(f"`{self.config.file}` cannot be written ({reason}); the journals keep the records, trying again.")
        self._retry_at = now + self._retry_pause
        self._retry_pause = min(self._retry_pause * 2, RETRY_AFTER[1])

    def _recovered_trouble(self) -> None:
        if self._trouble is None:
            return
        since, reason = self._trouble
        seconds = time.monotonic() - since
        self._trouble, self._retry_pause = None, RETRY_AFTER[0]
        self.note(
            logging.WARNING,
            f"the log file could not be written for {seconds:.1f} s: {reason.lower()}",
            event="disk_full" if "space" in reason or "large" in reason else "file_failed",
            seconds=round(seconds, 3),
            reason=reason,
        )

    def _rotate(self, file: LogFile) -> None:
        with contextlib.suppress(OSError):
            self._commits.rotate(file.identity)
        if not file.rotate(file.identity) and not file.ready():
            self._fail(file.error)
            return
        with contextlib.suppress(OSError):
            self._commits.rotate(None)

    def _abandon_file(self, file: LogFile, batch: _Batch) -> None:
        """Leave a file whose sync failed, and write the batch again to a fresh one (fsyncgate, LWN 752063)."""
        say(f"`{self.config.file}` could not be synced ({file.error}); it is rotated away, its last batch written again.")
        self._rotate(file)
        if file.ready():
            batch.intent = batch.intent._replace(file=(*file.identity, file.size()))
            batch.intended = False

    def _recover(self) -> None:
        """Finish what a killed listener had begun: rotation, then its batch, then what nobody was told of."""
        commits = self._commits
        self.intake.scan(force=True)
        if self._file is not None and commits.rotating is not None and self._file.rotate(commits.rotating):
            commits.rotate(None)
        open_intents = list(commits.undelivered)
        pending = commits.pending
        for intent in open_intents:
            runs = [retake(self.intake.retake(name, taken), taken) for name, taken in intent.ranges.items()]
            lines = merge([run for run in runs if run]) if any(runs) else []
            for name in intent.ranges:
                if name in self.intake.journals:
                    self.intake.journals[name].undone += 1
            batch = _Batch(intent, lines, self._encode(lines) if lines else b"")
            if pending is not None and intent.generation == pending.generation:
                self._complete(batch)
            else:
                for delivery in self._deliveries:
                    delivery.put(intent.generation, lines)
                self._undelivered.append((intent.generation, intent.ranges))

    def _complete(self, batch: _Batch) -> None:
        """Write what is missing of an interrupted batch."""
        file = self._file
        if file is None or not batch.data or batch.intent.file is None:
            self._finish_batch(batch)
            return
        batch.intended = True
        self._batch = batch
        if not file.ready():
            self._fail(file.error)
            return
        device, inode, size = batch.intent.file
        there = _already_there(file, (device, inode), size, batch.data)
        if there is None:
            self.note(
                logging.WARNING,
                "the log file was changed by others while the listener was away; its last batch is written again",
                event="file_replaced",
            )
            there = 0
        batch.intent = batch.intent._replace(file=(*file.identity, file.size() - there))
        self._write_batch()

    # The dead, and the end.

    def _on_death(self, journal: Journal) -> None:
        state = journal.state()
        journal.identity = state.identity or journal.identity
        if state.drops is not None:
            fields = drop_fields(state.drops)
            owner = journal.identity
            self.note(
                logging.WARNING,
                f"{owner.get('process', '?')}[{owner.get('pid', '?')}] " + fields.pop("msg"),
                died_pid=owner.get("pid"),
                died_process=owner.get("process"),
                **fields,
            )
        if journal.is_worker:
            _certificate.prepare(journal, state, self.spool)
        elif journal.name != self._owner.journal:
            self.stats.restarts += 1

    def _bury(self) -> None:
        for journal in self.intake.finished():
            if journal.is_worker:
                certificate = _certificate.issue(journal)
                if certificate is not None:
                    levelno, msg, fields = certificate
                    if levelno >= self.config.level.get("mplog", self.config.level.get("", 0)):
                        self.note(levelno, msg, **fields)
            self.stats.bury(journal)
            self.intake.remove(journal)
            self._commits.forget(journal.name)

    def _try_end(self) -> bool:
        """End the session if, under its lock, still nobody else is there; leave its spool if it cannot be written."""
        fd = _lock.acquire(self.spool.lock_path)
        if fd is None:
            return False
        self.intake.scan(force=True)
        self.intake.check_owners(force=True)
        if self.intake.alive() or self.intake.pending():
            _lock.release(fd)
            return False
        clean = self.finish(GIVE_UP_AFTER)
        if self.intake.alive():
            _lock.release(fd)
            return False
        if clean:
            self.close()
            self.spool.clear()
            _lock.release(fd, remove=self.spool.lock_path)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self.spool.path))
        else:
            say(f"not everything could be written; it waits in {self.spool.path!r} for `mplog recover`.")
            self.close()
            _lock.release(fd)
        return True

    # Talking to the session's processes.

    def _open_wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_fd = os.open(
                self.spool.file("wake"), os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            )

    def _heed_wake(self) -> None:
        self._asked = False
        if self._wake_fd >= 0:
            with contextlib.suppress(BlockingIOError):
                self._asked = bool(os.read(self._wake_fd, 4096))

    def _wait(self, pause: float) -> None:
        if self._wake_fd < 0:
            time.sleep(pause)
            return
        with contextlib.suppress(InterruptedError):
            select.select([self._wake_fd], [], [], pause)

    def _publish(self, now: int) -> None:
        status = Status(self._committed, now, self.intake.alive(), os.getpid())
        with contextlib.suppress(OSError):
            os.pwrite(self._status_fd, status.to_bytes(), 0)
        if self._asked:
            with contextlib.suppress(OSError):
                self.spool.write_file("stats.json", self.stats.to_json(self.intake.journals.values(), self._deliveries))


class ListenerThread:
    """Run a listener in a thread of this process: for handler objects and captured standard streams."""

    def __init__(self, spool: Spool, config: Config, stream: Any) -> None:
        fd = _lock.acquire(spool.listener_lock)
        if fd is None:
            raise BlockingIOError(spool.listener_lock)
        self._lock_fd = fd
        self._stop = threading.Event()
        handlers = tuple(handler for handler in config.handlers if isinstance(handler, logging.Handler))
        self.listener = Listener(spool, config, stream=stream, handlers=handlers)
        self._thread = threading.Thread(target=self._run, name="mplog-listener", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> bool:
        """Drain and end; return whether nothing was left behind within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        self.listener.spool.wake()
        self._thread.join(max(0.1, timeout))
        if self._thread.is_alive():
            return False
        return self._end(max(0.1, deadline - time.monotonic()))

    def _run(self) -> None:
        self.listener.run(self._stop.is_set)

    def _end(self, timeout: float) -> bool:
        listener = self.listener
        if listener._status_fd < 0:
            _lock.release(self._lock_fd)
            return True
        session = _lock.acquire(listener.spool.lock_path, wait=True)
        listener.intake.scan(force=True)
        listener.intake.check_owners(force=True)
        clean = listener.finish(timeout)
        last = clean and not listener.intake.alive()
        listener.close()
        _lock.release(self._lock_fd)
        if last:
            listener.spool.clear()
        if session is not None:
            _lock.release(session, remove=listener.spool.lock_path if last else None)
        if last:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(listener.spool.path))
        return clean


def _already_there(file: LogFile, identity: tuple[int, int], size: int, data: bytes) -> int | None:
    """Return how many bytes of a batch the file already ends with, or None if others changed the file."""
    if file.identity != identity or file.size() < size:
        return None
    with open(file.path, "rb", buffering=0) as opened:
        opened.seek(size)
        found = opened.read(len(data) + 1)
    return len(found) if data.startswith(found) else None


def _log_file(config: Config) -> LogFile | None:
    if config.file is None:
        return None
    return LogFile(
        config.file,
        mode=config.mode,
        durable=config.durable,
        max_bytes=config.max_bytes,
        backup_count=config.backup_count,
        rotate_every=config.rotate_every,
        compress=config.compress,
    )


def _encoder(config: Config) -> Callable[[list[bytes]], bytes]:
    """Return what turns a batch into the bytes of the file: always the same ones for the same batch."""
    if config.format == "json":
        return without_keys
    formatter = _formatter(config)
    from mplog._record import decode

    def encode(lines: list[bytes]) -> bytes:
        texts = []
        for line in lines:
            try:
                texts.append(formatter.format_line(decode(line[PREFIX:])))
            except Exception:  # it stays in the log as it is
                texts.append(line[PREFIX:].decode("utf-8", "backslashreplace"))
        return ("\n".join(texts) + "\n").encode("utf-8", "backslashreplace") if texts else b""

    return encode


def _formatter(config: Config) -> TextFormatter | JsonFormatter | PatternFormatter:
    if config.format == "json":
        return JsonFormatter()
    if config.format == "text":
        return TextFormatter()
    return PatternFormatter(config.format, config.datefmt, config.style)  # type: ignore[arg-type]


def _targets(config: Config, stream: Any, handlers: tuple[logging.Handler, ...]) -> list[Any]:
    targets: list[Any] = []
    if config.console != "off":
        stream = stream or (sys.stdout if config.console == "stdout" else sys.stderr)
        fmt = config.format if config.format not in ("text", "json") else None
        formatter = ConsoleFormatter(
            stream, color=config.color, fmt=fmt, datefmt=config.datefmt, style=config.style  # type: ignore[arg-type]
        )
        if stream is not None:
            targets.append(ConsoleTarget(stream, formatter.format_line, config.console_level))
    named = {"text": TextFormatter, "json": JsonFormatter}
    for spec in (*handlers, *(spec for spec in config.handlers if not isinstance(spec, logging.Handler))):
        try:
            targets.append(HandlerTarget(build_handler(spec, named)))
        except ConfigError as error:
            say(str(error))
    return targets
