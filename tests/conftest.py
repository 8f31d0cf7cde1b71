"""What every test shares: start methods, programs of their own, reading a log, and the proof that nothing is left."""

import contextlib
import gc
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mplog._shared.descriptors import saved as captured
from mplog._shared.spool import session_name

Record = dict[str, Any]
MARK = "MPLOG__TEST"
"""In the environment of everything a test starts, by which it is found again."""
_numbers = itertools.count(1)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a script put into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def start_method(request: pytest.FixtureRequest) -> str:
    """Each way in which `multiprocessing` starts a process."""
    return str(request.param)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Take pytest's own handlers off the root logger where a parameter says "alone": they come anew for each phase."""
    parameters = getattr(item, "callspec", None)
    values = () if parameters is None else parameters.params.values()
    wanted = any(type(value) is str and value == "alone" for value in values)  # others may not like to be compared
    if not wanted or "caplog" in getattr(item, "fixturenames", ()):
        yield
        return
    root = logging.getLogger()
    away = [handler for handler in root.handlers if type(handler).__module__.startswith("_pytest.")]
    for handler in away:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in away:
            root.addHandler(handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape the lone surrogates in what was captured: xdist sends it to another process as UTF-8."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode("utf-8")) for title, text in report.sections
    ]
    return report


class Done(NamedTuple):
    """How a program ended."""

    returncode: int
    out: str
    err: str


Program = Callable[..., Done]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run a program in a process of its own, in `tmp_path`; it must end, by default with exit code 0."""

    def run(
        source: str | Path, *args: object, ok: bool = True, env: dict[str, str] | None = None, name: str = "program.py"
    ) -> Done:
        if isinstance(source, str):
            path = tmp_path / name
            path.write_text(textwrap.dedent(source))
        else:
            path = source
        process = subprocess.Popen(
            [sys.executable, str(path), *map(str, args)],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"the program did not end\n{out}\n{err}")
        assert not ok or process.returncode == 0, err
        return Done(process.returncode, out, err)

    return run


def records(path: str | os.PathLike[str]) -> list[Record]:
    """Return the records of a JSON log; every line must be one, and the last one whole."""
    data = Path(path).read_bytes()
    assert data.endswith(b"\n") or not data, data[-200:]
    return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def read_log() -> Callable[..., list[Record]]:
    """Read a log of the program's own records: those that mplog adds are left out unless asked for."""

    def read(path: str | os.PathLike[str], *, own: bool = False) -> list[Record]:
        return [record for record in records(path) if own or record["logger"] != "mplog"]

    return read


def eventually(true: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait until a predicate holds; tell whether it did in time."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return True


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., bool]:
    """Wait for a predicate, with a deadline."""
    return eventually


@pytest.fixture
def keep() -> Iterator[Callable[..., list[logging.LogRecord]]]:
    """Have a logger's records kept in a list, and go nowhere else; afterwards it is as it was."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    used = []

    def start(name: str, level: int = logging.DEBUG) -> list[logging.LogRecord]:
        logger = logging.getLogger(name)
        used.append((logger, logger.level, logger.propagate, logger.filters[:]))
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
        return kept

    kept: list[logging.LogRecord] = []
    handler = Keep()
    yield start
    for logger, level, propagate, filters in used:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate, logger.filters[:] = propagate, filters


def started_by(mark: str) -> list[str]:
    """Return the processes that a test has started, directly or not, and that live."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                command = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if command:  # else it is a zombie
                    found.append(f"{entry}: {command[:300]}")
    return found


def descriptors() -> dict[str, str]:
    """Return what this process has open, by number; what the kernel only lends to itself is left out."""
    found = {}
    for entry in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        with contextlib.suppress(OSError):
            found[entry] = os.readlink(f"/proc/self/fd/{entry}")
    return {number: name for number, name in found.items() if not name.startswith("/proc/")}


def children() -> set[str]:
    """Return the processes that this one has started and not waited for."""
    found: set[str] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(task.read_text().split())
    return found


def journals_of(directory: Path) -> list[str]:
    """Return the spools that exist for the files in a directory."""
    left = [str(path) for path in directory.rglob(".mplog")]
    for path in directory.rglob("*"):
        spool = Path(f"/dev/shm/mplog-{os.getuid()}", session_name(str(path)))
        left += [str(found) for found in (spool, Path(f"{spool}.lock")) if found.exists()]
    return left


@pytest.fixture(scope="session", autouse=True)
def _resource_tracker() -> None:
    """Start the process that `multiprocessing` keeps for all of its life before the first test looks around."""
    resource_tracker.ensure_running()


def stop_forkserver() -> None:
    """End the process that `multiprocessing` keeps for the next children."""
    if getattr(forkserver._forkserver, "_forkserver_pid", None) is not None:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no process, thread, descriptor, journal, root handler or level of it is there any more."""
    mark = f"{os.getpid()}-{next(_numbers)}"
    os.environ[MARK] = mark
    before = children(), set(threading.enumerate()), set(descriptors())
    handlers, level = list(logging.root.handlers), logging.root.level
    directory = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    del os.environ[MARK]
    stop_forkserver()
    assert eventually(lambda: not started_by(mark)), started_by(mark)
    assert eventually(lambda: children() <= before[0]), children() - before[0]
    assert eventually(lambda: set(threading.enumerate()) <= before[1]), threading.enumerate()
    if not set(descriptors()) <= before[2]:
        gc.collect()
        assert set(descriptors()) <= before[2], [descriptors()[number] for number in set(descriptors()) - before[2]]
    assert logging.root.handlers == handlers
    kept = dict(captured)
    captured.clear()
    assert not kept, f"captured descriptors were not given back: {kept}"
    assert logging.root.level == level
    assert directory is None or journals_of(directory) == []
