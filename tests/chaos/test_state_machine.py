"""H1: writers, crashes of writers and of the listener, rotation, full disks, in any order, against a list model."""

import contextlib
import gc
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from chaos_points import CALLS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mplog._listener import batch, certificate, commit
from mplog._shared.account import Policy
from mplog._shared.drops import drop_line
from mplog._shared.journal import JournalWriter
from mplog._shared.owner import Owner, identity
from mplog._shared.record import encode_record
from mplog._shared.spool import Spool
from mplog.config import Config
from mplog.listener import Listener

pytestmark = pytest.mark.chaos
EXAMPLES = int(os.environ.get("H1_EXAMPLES", "40"))


class Crash(BaseException):
    """The listener is killed here."""


class Writer:
    """A worker's side, in this process."""

    def __init__(self, spool: Spool, name: int) -> None:
        self.name = name
        self.owner = Owner(spool.journal_directories, identity())
        self.journal = JournalWriter(
            self.owner.journal, spool.journal_directories, Policy(), drop_line=drop_line, on_drop=self.owner.note_drops
        )
        self.written: list[int] = []

    def write(self, size: int, key: int) -> None:
        number = len(self.written) + 1
        record = logging.LogRecord("h1", 20, "", 0, f"w {self.name} {number} " + "x" * size, None, None)
        assert self.journal.write(*encode_record(record, key))
        self.written.append(number)

    def die(self, hole: int) -> None:
        """End without a goodbye, perhaps with a claim whose copy never came, and a line behind it."""
        if hole and self.journal.size - self.journal.used > hole + 600:
            self.journal.used += hole
            self.journal.memory[self.journal.used - 1 : self.journal.used] = b"\n" if hole % 2 else b"\0"
        self.owner.release()


class Session(RuleBasedStateMachine):
    @initialize(rotate=st.sampled_from([0, 3000, 20_000]))
    def begin(self, rotate: int) -> None:
        # `close_what_crashes_left` collects what an example leaves: all of that is young if nothing else collects.
        gc.disable()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(commit, "ROOM", (1 << 14, 0))
        self.patches.setattr(certificate, "PATIENCE", 0.0)
        self.patches.setattr(batch, "RETRY_AFTER", (0.0, 0.0))
        self.patches.setattr(batch, "say", lambda text: None)
        self.directory = Path(tempfile.mkdtemp(prefix="mplog-h1-"))
        (self.directory / "spool").mkdir(0o700)
        self.spool = Spool(str(self.directory / "spool" / "session"))
        self.spool.create()
        self.config = Config(file=str(self.directory / "app.json"), format="json", console="off", max_bytes=rotate)
        self.writers: list[Writer] = []
        self.dead: list[Writer] = []
        self.listener = Listener(self.spool, self.config)
        self.key = 1_000_000
        self.calls = 0

    @precondition(lambda self: len(self.writers) < 4)
    @rule()
    def fork(self) -> None:
        self.writers.append(Writer(self.spool, len(self.writers) + len(self.dead)))

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, 3),
        sizes=st.lists(st.sampled_from([0, 10, 300, 5000, 70_000]), min_size=1, max_size=6),
        back=st.integers(0, 3),
    )
    def write(self, who: int, sizes: list[int], back: int) -> None:
        for size in sizes:
            self.key += 1 - back  # Keys may stand still and go back.
            self.writers[who % len(self.writers)].write(size, max(1, self.key))

    @precondition(lambda self: self.writers)
    @rule(who=st.integers(0, 3), hole=st.sampled_from([0, 0, 7, 100, 301]))
    def crash_writer(self, who: int, hole: int) -> None:
        writer = self.writers.pop(who % len(self.writers))
        writer.die(hole)
        self.dead.append(writer)

    @rule(drain=st.booleans())
    def read(self, drain: bool) -> None:
        self.listener.step(drain=drain)

    @rule(at=st.integers(1, 12), mode=st.sampled_from(["before", "half", "after"]), again=st.integers(0, 6))
    def crash_listener(self, at: int, mode: str, again: int) -> None:
        with self.trapped(at, mode), contextlib.suppress(Crash):
            for _ in range(3):
                self.listener.step(drain=True)
        self.listener.close()
        if again:
            with self.trapped(again, mode), contextlib.suppress(Crash):
                Listener(self.spool, self.config).step(drain=True)
        self.listener = Listener(self.spool, self.config)

    @rule(at=st.integers(1, 8))
    def fill_disk(self, at: int) -> None:
        real, count = os.write, 0

        def write(fd: int, data: Any) -> int:
            nonlocal count
            count += 1
            if count % 2 == at % 2:
                raise OSError(28, "No space left on device")
            return real(fd, bytes(data)[: at * 100])

        os.write = write
        try:
            for _ in range(3):
                self.listener.step(drain=True)
        finally:
            os.write = real

    @rule()
    def renamed_by_others(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.calls += 1
            os.rename(self.config.file, f"{self.config.file}.old{self.calls}")

    @contextlib.contextmanager
    def trapped(self, at: int, mode: str) -> Any:
        real = {name: getattr(os, name) for name in CALLS}
        count = 0

        def wrap(name: str) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                if name == "open" and not args[1] & os.O_CREAT:
                    return real[name](*args, **kwargs)
                count += 1
                if count < at:
                    return real[name](*args, **kwargs)
                if count == at and mode == "half" and name in ("write", "pwrite"):
                    real[name](args[0], bytes(args[1])[: len(args[1]) // 2], *args[2:])
                elif count == at and mode == "after":
                    real[name](*args, **kwargs)
                raise Crash

            return call

        for name in CALLS:
            setattr(os, name, wrap(name))
        try:
            yield
        finally:
            for name in CALLS:
                setattr(os, name, real[name])

    @invariant()
    def spool_is_small(self) -> None:
        if hasattr(self, "writers"):
            assert len(os.listdir(self.spool.path)) < 20

    def teardown(self) -> None:
        if not hasattr(self, "listener"):
            return
        try:
            for writer in self.writers:
                writer.owner.release()
            for _ in range(200):
                busy = self.listener.step(drain=True)
                if not busy and not self.listener._is_waiting():
                    break
            assert not self.listener._is_waiting()
            self.compare()
        finally:
            self.patches.undo()
            self.listener.close()
            shutil.rmtree(self.directory)
            self.listener = self.writers = self.dead = None
            self.close_what_crashes_left()

    def compare(self) -> None:
        """Each record once; in order in each file, and from file to file unless others have renamed one."""
        found: dict[int, list[int]] = {}
        for path in self.files():
            data = path.read_bytes()
            assert data.endswith(b"\n") or not data
            here: dict[int, list[int]] = {}
            for match in re.finditer(rb'"msg":"w (\d+) (\d+) x*"', data):
                here.setdefault(int(match[1]), []).append(int(match[2]))
            for name, numbers in here.items():
                assert numbers == sorted(numbers), (path, name)
                found.setdefault(name, []).extend(numbers)
        for writer in self.writers + self.dead:
            numbers = found.get(writer.name, [])
            assert (sorted(numbers) if self.calls else numbers) == writer.written, writer.name

    def close_what_crashes_left(self) -> None:
        """Close the descriptors that a killed process would not have."""
        gc.collect(0)
        gc.enable()
        for entry in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{entry}").startswith(str(self.directory)):
                    os.close(int(entry))

    def files(self) -> list[Path]:
        """Return all files of the log, oldest first."""

        def age(path: Path) -> int:
            number = path.name.removeprefix("app.json.")
            return -int(number) if number.isdigit() else 0

        return sorted((p for p in self.directory.iterdir() if p.name.startswith("app.json")), key=age)


Session.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
TestSession = pytest.mark.timeout(36_000)(Session.TestCase)
