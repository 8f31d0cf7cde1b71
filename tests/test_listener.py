"""One `step()`: merge, write, deliver, report; and what the listener makes of troubles."""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mplog._listener import batch as _batch
from mplog._listener import certificate
from mplog._shared.account import Policy
from mplog._shared.drops import drop_line
from mplog._shared.journal import JournalWriter
from mplog._shared.owner import Owner, identity
from mplog._shared.record import encode_record
from mplog._shared.spool import Spool
from mplog.config import Config
from mplog.listener import Listener


class Process:
    """A worker's journal, written by this process."""

    def __init__(self, spool: Spool, **policy: Any) -> None:
        self.owner = Owner(spool.journal_directories, identity())
        self.journal = JournalWriter(
            self.owner.journal,
            spool.journal_directories,
            Policy(**policy),
            drop_line=drop_line,
            on_drop=self.owner.note_drops,
        )
        self.alive = True

    def log(self, msg: str, *, level: int = 20, key: int | None = None) -> bool:
        record = logging.LogRecord("app", level, "f.py", 1, msg, None, None)
        return self.journal.write(*encode_record(record, key or time.monotonic_ns()))

    def die(self) -> None:
        if self.alive:
            self.alive = False
            self.journal.close()
            self.owner.release()


class Setting:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "spool").mkdir(mode=0o700)
        self.spool = Spool(str(directory / "spool" / "session"))
        self.spool.create()
        self.processes: list[Process] = []
        self.listeners: list[Listener] = []

    def process(self, **policy: Any) -> Process:
        self.processes.append(Process(self.spool, **policy))
        return self.processes[-1]

    def listen(self, *, handlers: tuple[logging.Handler, ...] = (), **settings: Any) -> Listener:
        config = Config(file=str(self.directory / "app.json"), format="json", console="off")
        self.listeners.append(Listener(self.spool, config.replace(**settings), handlers=handlers))
        return self.listeners[-1]

    def records(self) -> list[dict[str, Any]]:
        path = self.directory / "app.json"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def messages(self) -> list[str]:
        return [record["msg"] for record in self.records() if record["logger"] == "app"]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    monkeypatch.setattr(certificate, "PATIENCE", 0.0)
    monkeypatch.setattr(_batch, "RETRY_AFTER", (0.0, 0.0))
    found = Setting(tmp_path)
    yield found
    for process in found.processes:
        process.die()
    for listener in found.listeners:
        if not listener.is_closed:
            listener.finish(1.0)
            listener.close()


def drain(listener: Listener) -> None:
    while listener.step(drain=True) or listener._notes:
        pass


def test_several_journals_become_one_log_in_order(setting):
    """Lines of all journals stand in the order of their times, each journal's in its own."""
    one, two = setting.process(), setting.process()
    for number in range(10):
        (one, two)[number % 2].log(f"{number}", key=1000 + number)
    listener = setting.listen()
    drain(listener)
    assert setting.messages() == [str(number) for number in range(10)]
    assert listener.stats.late == 0


def test_young_records_are_held_back(setting):
    """A record waits for older ones that are just being written."""
    process, listener = setting.process(), setting.listen()
    process.log("young", key=time.monotonic_ns() + 10**9 // 100)
    listener.step()
    assert setting.messages() == []
    drain(listener)
    assert setting.messages() == ["young"]


def test_what_is_written_is_deleted_from_the_spool(setting):
    """Segments whose lines are in the log go; the journals of the dead go altogether."""
    process, listener = setting.process(), setting.listen()
    for number in range(3000):
        process.log(f"{number} " + "x" * 300)
    drain(listener)
    assert len(os.listdir(setting.spool.journals)) <= 3
    process.die()
    drain(listener)
    assert os.listdir(setting.spool.journals) == []


def test_quota_of_one_segment_does_not_stand_still(setting):
    """A segment that is read to its end is deleted even if no other follows yet."""
    process, listener = setting.process(quota=65536, overflow="drop"), setting.listen()
    while process.log("x" * 1000):
        pass
    drain(listener)
    assert process.log("again")


def test_drops_of_the_killed_are_reported_once(setting):
    """What a process dropped and did not report, the listener reports, also if the listener is replaced then."""
    process = setting.process(quota=65536, overflow="drop")
    written = sum(process.log("x" * 1000) for _ in range(100))
    process.die()
    drain(setting.listen())
    drain(setting.listen())
    drops = [record for record in setting.records() if record.get("event") == "dropped"]
    assert [record["dropped"] for record in drops] == [100 - written]
    assert drops[0]["died_pid"] == os.getpid()


def test_a_full_disk_is_said_once(setting, monkeypatch, capsys):
    """One line on stderr, one record afterwards, nothing skipped, however often it was tried."""
    process, listener = setting.process(), setting.listen()
    process.log("before")
    drain(listener)
    real = os.write

    def full(fd: int, data: Any) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("app.json"):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    process.log("during")
    for _ in range(20):
        listener.step(drain=True)
    monkeypatch.setattr(os, "write", real)
    drain(listener)
    assert setting.messages() == ["before", "during"]
    notes = [record for record in setting.records() if record.get("event") == "disk_full"]
    assert len(notes) == 1
    assert notes[0]["tries"] >= 20
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_while_the_file_fails_the_journals_keep_what_is_new(setting, monkeypatch):
    """The listener reads no more than one batch ahead."""
    process, listener = setting.process(), setting.listen()
    monkeypatch.setattr(os, "write", lambda fd, data: (_ for _ in ()).throw(OSError(28, "full")))
    for number in range(5000):
        process.log(f"{number} " + "x" * 500)
    for _ in range(20):
        listener.step(drain=True)
    journal = next(iter(listener.intake.journals.values()))
    assert sum(len(chunk.lines) for chunk in journal.chunks) < 5000
    assert len(listener._writer.batch.lines) < 5000
    monkeypatch.undo()
    drain(listener)
    assert len(setting.messages()) == 5000


def test_a_file_deleted_with_half_a_batch_gets_the_whole_batch_anew(setting, monkeypatch):
    """What would be written to a file without a name is lost: the batch goes to the new one."""
    process, listener = setting.process(), setting.listen()
    process.log("first")
    drain(listener)
    real = os.write

    def half(fd: int, data: Any) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").split(" ")[0].endswith("app.json"):
            real(fd, bytes(data)[:10])
            raise OSError(28, "full")
        return real(fd, data)

    monkeypatch.setattr(os, "write", half)
    process.log("second")
    listener.step(drain=True)
    os.unlink(setting.directory / "app.json")
    monkeypatch.setattr(os, "write", real)
    drain(listener)
    assert setting.messages() == ["second"]


def test_a_failed_sync_is_not_tried_again(setting, monkeypatch, capsys):
    """The file is rotated away, and its last batch written to a fresh one (fsyncgate)."""
    process, listener = setting.process(), setting.listen(durable=True)
    process.log("one")
    drain(listener)
    real, failed = os.fdatasync, []

    def fails(fd: int) -> None:
        if not failed:
            failed.append(fd)
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fails)
    process.log("two")
    drain(listener)
    drain(listener)
    assert setting.messages() == ["two"]
    assert (setting.directory / "app.json.1").exists()
    assert "could not be synced" in capsys.readouterr().err


def test_a_segment_that_cannot_be_read_stops_nobody(setting, monkeypatch):
    """It is tried for a while, then given up and counted; the others go on."""
    monkeypatch.setattr("mplog._listener.intake.PATIENCE", 0.0)
    bad, good = setting.process(), setting.process()
    bad.log("bad")
    good.log("good")
    name = bad.owner.journal
    real = os.pread
    listener = setting.listen()
    listener.intake.scan(force=True)
    path = listener.intake.journals[name].reader.segments[1]

    def pread(fd: int, count: int, offset: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{fd}") == path:
            raise OSError(5, "Input/output error")
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", pread)
    for _ in range(6):
        listener.step(drain=True)
    assert setting.messages() == ["good"]
    assert listener.intake.journals[name].damaged == 1


def test_a_journal_is_found_where_times_are_whole_seconds(setting, eventually, monkeypatch):
    """On such a file system a directory does not tell by its time that it has changed within the second."""
    monkeypatch.setattr("mplog._listener.intake.WHOLE_SECONDS", 60 * 10**9)
    listener = setting.listen()
    second = time.time_ns() // 10**9 * 10**9

    def begin() -> str:
        process = setting.process()
        process.log("here")
        os.utime(setting.spool.journals, ns=(second, second))
        return process.owner.journal

    for _ in range(2):
        begun = begin()
        assert eventually(lambda: time.time_ns() - second > 40_000_000)
        assert eventually(lambda begun=begun: listener.intake.scan() or begun in listener.intake.journals)


def test_a_file_that_only_looks_like_a_segment_stops_nobody(setting):
    """Whatever a process puts beside its journal, with whatever name, the others are read, and the spool goes."""
    process, listener = setting.process(), setting.listen()
    for number in ("\u00b2", "000000", "9" * 30, "-1", ""):
        for journal in ("other", process.owner.journal):
            path = Path(setting.spool.journals, f"{journal}.{number}.mapped")
            path.write_bytes(bytes(100))
            os.utime(path, (1, 1))
    process.log("one")
    drain(listener)
    assert setting.messages() == ["one"]
    process.die()
    drain(listener)
    assert listener.finish(10.0)
    assert listener.close_journals()


def test_handlers_get_records_and_raise_in_vain(setting, eventually):
    """A handler that raises costs that record in that handler."""
    seen: list[str] = []

    class Fussy(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "bad":
                raise ValueError("no")
            seen.append(record.getMessage())

    process, listener = setting.process(), setting.listen(handlers=(Fussy(),))
    for msg in ("one", "bad", "two"):
        process.log(msg)
    drain(listener)
    assert eventually(lambda: seen[:2] == ["one", "two"])  # then comes the note about "bad"
    assert setting.messages() == ["one", "bad", "two"]


def test_what_was_in_the_file_and_not_delivered_is_delivered_again(setting, eventually):
    """Handlers get at least once what is in the file, also from the next listener."""
    seen: list[str] = []
    gate = threading.Event()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert gate.wait(20)
            seen.append(record.getMessage())

    process, first = setting.process(), setting.listen(handlers=(Slow(),))
    process.log("one")
    first.step(drain=True)
    first.close()
    gate.set()
    assert all(delivery.finish(time.monotonic() + 10) for delivery in first._deliveries)
    assert seen == ["one"]
    second = setting.listen(handlers=(Slow(),))
    drain(second)
    assert eventually(lambda: seen[:2] == ["one", "one"])  # then comes the note about the new listener
    assert setting.messages() == ["one"]


def test_status_says_what_is_committed(setting):
    """Who waits for `flush` reads it from the status file."""
    process, listener = setting.process(), setting.listen()
    process.log("x")
    moment = time.monotonic_ns()
    drain(listener)
    listener.step(drain=True)
    status = setting.spool.status()
    assert status.committed >= moment
    assert status.alive == 1
    assert status.pid == os.getpid()
