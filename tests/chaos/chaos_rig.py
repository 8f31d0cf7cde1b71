"""What the rows of the fault suite share: a session put together by hand, workers, listeners, and the oracle.

A worker logs 1, 2, 3 .. and stores the number in a mapped file after the call has returned. What is stored there must
be in the log, exactly once, in order, whoever is killed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec  # noqa: F401 - imported before the forks, not in each of them

from mplog import listener, worker
from mplog._listener import certificate
from mplog._shared import launch as _launch
from mplog._shared import lock
from mplog._shared.owner import Owner, identity
from mplog._shared.spool import Spool, session_name
from mplog.config import Config

MOST_WORKERS = 20_000
LAUNCH = _launch.launch
"""Starts supervisor and listener, as sessions do that no rig has put together."""
WATCHDOG = 10.0
Figures = dict[str, Any]
Log = Callable[[int, int], None]
_RECORD = re.compile(rb'"msg":"n (\d+) (\d+) x*"')


class Acknowledged:
    """Eight bytes a worker in a mapped file, which survive every death."""

    def __init__(self, path: str) -> None:
        with open(path, "a+b") as file:
            file.truncate(8 * MOST_WORKERS)
            # Not `struct.pack_into`: it writes zeros first, and a kill between the two would unsay the count.
            self._counts = memoryview(mmap.mmap(file.fileno(), 8 * MOST_WORKERS)).cast("Q")

    def store(self, number: int, count: int) -> None:
        """Note that the call for record `count` of a worker has returned."""
        self._counts[number] = count

    def of(self, number: int) -> int:
        """Return the last record of a worker whose call has returned."""
        return self._counts[number]


class Verdict(dict[str, int]):
    """Figures of a row: lost, twice, torn, disorder, unacknowledged, records, dropped."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self[name] for name in ("lost", "twice", "torn", "disorder", "strange"))


class Rig:
    """A session whose listeners and workers are forked from here, so that each can be killed at will."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        spool: str | None = None,
        second: str | None = None,
        file: str | None = None,
        **settings: Any,
    ) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.held: Owner | None = None
        self.file = file or str(self.directory / "app.json")
        self.acknowledged = Acknowledged(str(self.directory / "acknowledged"))
        self.config = Config(file=self.file, console="off", format="json", **settings)
        self.root = spool or str(self.directory / "spool")
        os.makedirs(self.root, 0o700, exist_ok=True)
        # Where `setup` on the same file would look for it.
        name = session_name(self.file)
        self.spool = Spool(os.path.join(self.root, name), second and os.path.join(second, name))
        self.spool.create()
        session = json.dumps({"id": "rig", "config": json.loads(self.config.to_json())})
        self.spool.write_file("session.json", session.encode())
        self.handle = worker.Handle("rig", self.spool.path, self.spool.second, session)
        self.workers = 0
        self.listeners = 0
        _launch.launch = lambda spool: True  # The rig alone starts listeners.

    def fork(self, body: Callable[[], object]) -> int:
        """Run a function in a forked process and end it with code 0, or 1 if it raises."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                body()
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    def work(self, body: Callable[[int, Callable[[int, int], None]], object], *, bye: bool = False) -> int:
        """Start a worker; `body` gets its number and a function that logs record n with so many bytes."""
        number = self.workers
        self.workers += 1

        def run() -> None:
            log = self.attach(number)
            body(number, log)
            if bye:
                worker.uninstall()

        return self.fork(run)

    def attach(self, number: int) -> Callable[[int, int], None]:
        """Attach this process as worker `number`; return the function that logs."""
        worker.install(self.handle, self.config, worker.EXPLICIT)
        return logger_of(self, number)

    def listen(self, prepare: Callable[[], object] = lambda: None, **kwargs: Any) -> int:
        """Start a listener, which waits for the one before it to be gone."""
        self.listeners += 1

        def run() -> None:
            self.spool.create()
            assert lock.acquire(self.spool.listener_lock, wait=True) is not None
            certificate.PATIENCE = 0.0  # Whoever waits for a process here leaves no word for the listener.
            listener.IDLE_PAUSE = 0.002
            prepare()
            listener.Listener(self.spool, self.config, **kwargs).run()

        return self.fork(run)

    def begin(self, prepare: Callable[[], object] = lambda: None) -> int:
        """Start a listener that stays until `end`, as it does for the parent of a session."""
        self.held = Owner(self.spool.journal_directories, identity())
        return self.listen(prepare)

    def end(self, listener: int, timeout: float = 30.0) -> None:
        """Leave the session and wait until its listener has ended, everything written."""
        assert self.held is not None
        self.held.release()
        assert wait(listener, timeout) == 0, "the listener did not end in order"
        assert not os.path.exists(self.spool.path), os.listdir(self.spool.path)

    def finish(self, timeout: float = 120.0) -> None:
        """Have a last listener write what is left; it ends when nobody lives any more."""
        pid = self.listen()
        assert wait(pid, timeout) == 0, "the last listener did not end in order"
        assert not os.path.exists(self.spool.path), os.listdir(self.spool.path)

    def files(self) -> list[Path]:
        """Return the log with its rotated files, oldest first."""
        names = [path for path in Path(self.file).parent.iterdir() if re.fullmatch(r"app\.json(\.\d+)?", path.name)]
        return sorted(names, key=lambda path: -int(path.name.rpartition(".")[2]) if path.name != "app.json" else 0)

    def verdict(self, contents: Iterable[bytes] | None = None) -> Verdict:
        """Compare what was acknowledged with what is in the log, or in `contents`, oldest first."""
        found = Verdict(lost=0, twice=0, torn=0, disorder=0, strange=0, records=0, unacknowledged=0, dropped=0, own=0)
        seen: dict[int, set[int]] = {}
        last: dict[int, int] = {}
        for data in contents if contents is not None else (path.read_bytes() for path in self.files()):
            found["torn"] += not data.endswith(b"\n") and bool(data)
            for line in data.splitlines():
                self._enter(line, found, seen, last)
        for number in range(self.workers):
            have = seen.get(number, set())
            most = self.acknowledged.of(number)
            found["lost"] += most - sum(n <= most for n in have)
            beyond = sum(n > most for n in have)
            found["unacknowledged"] += beyond
            found["strange"] += beyond > 1
        found["lost"] -= found["dropped"]
        return found

    def _enter(self, line: bytes, found: Verdict, seen: dict[int, set[int]], last: dict[int, int]) -> None:
        match = _RECORD.search(line)
        if match is None or line[-1:] != b"}":
            try:
                fields = json.loads(line)
            except ValueError:
                found["torn"] += 1
                return
            found["own"] += 1
            if fields.get("event") == "dropped":
                found["dropped"] += fields["dropped"]
            return
        number, n = int(match[1]), int(match[2])
        found["records"] += 1
        have = seen.setdefault(number, set())
        found["twice"] += n in have
        have.add(n)
        found["disorder"] += n < last.get(number, 0)
        last[number] = n


def wait(pid: int, timeout: float = WATCHDOG) -> int:
    """Wait for a process; return its exit code. One that hangs is killed, and that is an error."""
    deadline = time.monotonic() + timeout
    pause = 0.0002
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            stack = ""
            with contextlib.suppress(OSError):
                stack = Path(f"/proc/{pid}/wchan").read_text()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"process {pid} hung in {stack!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)


def real_session(rig: Rig, **settings: Any) -> Any:
    """Enter the session of a rig's file as an application does, with supervisor and listener; runs in a fork."""
    import mplog

    _launch.launch = LAUNCH
    os.environ["MPLOG_SPOOL"] = rig.root
    return mplog.setup(rig.file, console=False, **settings)


def logger_of(rig: Rig, number: int) -> Callable[[int, int], None]:
    """Return the function that logs as worker `number`, for a process that is attached already."""
    logger = logging.getLogger("chaos")
    store = rig.acknowledged.store

    def log(n: int, size: int) -> None:
        logger.info("n %d %d %s", number, n, "x" * size)
        store(number, n)

    return log


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Kill a process and wait for its end."""
    os.kill(pid, number)
    wait(pid)


def naps(least: float = 0.005, most: float = 0.030) -> Iterator[float]:
    """Yield random times to live."""
    generator = random.Random(int(os.environ.get("CHAOS_SEED", time.time_ns())))
    while True:
        yield generator.uniform(least, most)


def burst(count: int = 40, pause: float = 0.004) -> Callable[[int, Callable[[int, int], None]], None]:
    """Return a worker that logs bursts of records of 10 B to 5 kB until it is killed."""

    def run(number: int, log: Callable[[int, int], None]) -> None:
        generator = random.Random(number)
        n = 0
        while True:
            for _ in range(count):
                n += 1
                log(n, generator.choice((10, 100, 300, 1000, 5000)))
            time.sleep(pause)

    return run


def figures(verdict: Verdict, **more: Any) -> Figures:
    """Return the figures of a row that holds; raise if it does not."""
    assert verdict.holds, {**verdict, **more}
    return {**verdict, **more}


def die(*_: Any, **__: Any) -> Any:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def steady(number: int, log: Log) -> None:
    n = 0
    while True:
        n += 1
        log(n, 200)
        if n % 10 == 0:
            time.sleep(0.004)


def verdict_by_worker(rig: Rig) -> list[set[int]]:
    """Return the records of each worker that are in the log."""
    found: dict[bytes, set[int]] = {}
    for path in rig.files():
        for match in re.finditer(rb'"msg":"n (\d+) (\d+) x*"', path.read_bytes()):
            found.setdefault(match[1], set()).add(int(match[2]))
    return list(found.values())


def rss(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def eventually(true: Callable[[], Any], timeout: float = 10.0) -> bool:
    """Wait until a predicate holds; tell whether it did in time."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def state_of(pid: int) -> str:
    """Return the letter by which the kernel names what a process does (proc(5), stat, field 3)."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
