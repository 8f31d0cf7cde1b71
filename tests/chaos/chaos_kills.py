"""Rows about workers that die: at random points, at named ones, in every way, alone and all together."""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_rig import (
    Figures,
    Log,
    Rig,
    burst,
    die,
    eventually,
    figures,
    kill,
    logger_of,
    naps,
    real_session,
    rss,
    wait,
)

from mplog import worker


def k1_workers_killed(directory: Path, n: int) -> Figures:
    """SIGKILL of each of four workers after 5 to 30 ms, while one listener lives; each is replaced at once.

    The listener has to keep up: more than `MOST_BEHIND` journals of the dead at any time are an error.
    """
    memory = tempfile.mkdtemp(prefix="mplog-k1-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        return _k1(Rig(directory, spool=memory, max_bytes=256 << 20), n)
    finally:
        shutil.rmtree(memory, ignore_errors=True)


MOST_BEHIND = 1_000


def _k1(rig: Rig, n: int) -> Figures:
    listener = rig.begin()
    before = rss(listener)
    nap = naps()
    living: list[tuple[float, int]] = []
    behind = 0
    for index in range(n + 4):
        heapq.heappush(living, (time.monotonic() + next(nap), rig.work(burst(pause=0.0005))))
        if len(living) < 4:
            continue
        moment, pid = heapq.heappop(living)
        time.sleep(max(0.0, moment - time.monotonic()))
        kill(pid)
        if index % 50 == 0:
            behind = max(behind, sum(name.endswith(".owner") for name in os.listdir(rig.spool.journals)))
    for _, pid in living:
        kill(pid)
    grown = rss(listener) - before
    began = time.monotonic()
    rig.end(listener, 120)
    rest = time.monotonic() - began
    assert grown < 16 << 20, f"the listener grew by {grown} bytes"
    assert behind < MOST_BEHIND, f"{behind} journals waited"
    return figures(rig.verdict(), kills=n + 4, grown_kib=grown >> 10, most_behind=behind, end_s=round(rest, 1))


def k2_writer_points(directory: Path, n: int) -> Figures:
    """SIGKILL of a worker between claim and copy, half way through the copy, after it, and while it opens a segment."""
    done = 0
    for _ in range(n):
        for point, written in (
            ("claimed", 5), ("half", 5), ("copied", 6), ("no newline", 5),
            ("created", 5), ("not mapped", 5), ("not owned", 0), ("not locked", 0),
        ):  # fmt: skip
            rig = Rig(directory / f"{done}")
            pid = rig.work(lambda number, log, point=point, rig=rig: _die_at(point, rig, number, log))
            assert wait(pid) == -signal.SIGKILL
            rig.finish()
            found = rig.verdict()
            assert found.holds, (point, found)
            assert found["records"] == written, (point, found)
            done += 1
    return {"kills": done, "lost": 0, "twice": 0, "torn": 0}


class _Trap:
    """A mapping that kills its process in the middle of a copy."""

    def __init__(self, memory: Any, part: float) -> None:
        self.memory, self.part = memory, part

    def __setitem__(self, place: slice, data: bytes) -> None:
        size = int(len(data) * self.part) if self.part <= 1 else len(data) - 1
        self.memory[place.start : place.start + size] = data[:size]
        die()


def _die_at(point: str, rig: Rig, number: int, log: Log) -> None:
    import fcntl
    import mmap

    if point == "not owned":
        os.rename = die
    elif point == "not locked":
        fcntl.lockf = die
    for n in range(1, 6):
        log(n, 50)
    journal = worker.current.journal
    if point in ("created", "not mapped"):
        journal._finish_segment()
        if point == "created":
            os.posix_fallocate = die
        else:
            mmap.mmap = die
    parts = {"claimed": 0.0, "half": 0.5, "copied": 1.0, "no newline": 2.0}
    if point in parts:
        journal.memory = _Trap(journal.memory, parts[point])
    log(6, 50)


def k5_all_killed(directory: Path, n: int) -> Figures:
    """Parent, workers, supervisor and listener killed together, by their process group.

    The log is complete after the next `setup` on the same file and, in turn, after `mplog recover`.
    """
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, linux/prctl.h: orphans come to this process.
    nap = naps(0.02, 0.08)
    total: Counter[str] = Counter()
    for index in range(n):
        rig = Rig(directory / str(index))
        group = rig.fork(lambda rig=rig: _family(rig))
        rig.workers = 3
        assert eventually(lambda rig=rig: all(rig.acknowledged.of(number) for number in range(3)))
        # Some are killed before the listener is up, the others while it writes.
        if index % 3:
            assert eventually(lambda rig=rig: os.path.exists(rig.file) and os.path.getsize(rig.file) > 0)
        time.sleep(next(nap))
        os.killpg(group, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-group, 0):
                pass
        total["listeners_killed"] += rig.spool.status() is not None
        assert wait(rig.fork(lambda rig=rig, by=index % 2: _recover(rig, by)), 60) == 0
        assert eventually(lambda rig=rig: not os.path.exists(rig.spool.path)), os.listdir(rig.spool.path)
        verdict = rig.verdict()
        assert verdict.holds, (index, verdict)
        total["by_recover" if index % 2 else "by_setup"] += 1
        for name in ("records", "unacknowledged", "dropped"):
            total[name] += verdict[name]
        shutil.rmtree(rig.directory)
    return {"lost": 0, "twice": 0, "torn": 0, "disorder": 0, **total}


def _family(rig: Rig) -> None:
    """Be a parent with a session and three workers."""
    os.setpgid(0, 0)
    with real_session(rig):
        for number in range(3):
            rig.fork(lambda number=number: burst()(number, logger_of(rig, number)))
        time.sleep(100)


def _recover(rig: Rig, by_command: int) -> None:
    """Be the next program that has to do with the file."""
    if by_command:
        from mplog.__main__ import main

        os.environ["MPLOG_SPOOL"] = rig.root
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        assert main(["recover", rig.file]) == 0
        return
    with real_session(rig):
        logging.getLogger("next").info("the next program")


def k6_parent_killed(directory: Path, n: int) -> Figures:
    """The parent alone is killed: the listener writes everything and ends within two seconds of the last worker."""
    slowest = 0.0
    for index in range(n):
        rig = Rig(directory / str(index))
        hold_r, hold_w = os.pipe()

        def parent(number: int, log: Log, hold_w: int = hold_w) -> None:
            log(1, 10)
            os.write(hold_w, b"x")
            time.sleep(100)

        def child(number: int, log: Log, hold_w: int = hold_w) -> None:
            for k in range(1, 101):
                log(k, 100)
                if k == 1:
                    os.write(hold_w, b"x")
                time.sleep(0.002)

        first = rig.work(parent)
        os.read(hold_r, 1)
        listener = rig.listen()
        other = rig.work(child)
        os.read(hold_r, 1)
        kill(first)
        assert wait(other) == 0
        began = time.monotonic()
        assert wait(listener, 10) == 0
        slowest = max(slowest, time.monotonic() - began)
        figures(rig.verdict())
    assert slowest <= 2.0, slowest
    return {"times": n, "slowest_end": round(slowest, 2), "lost": 0}


def k7_ways_to_die(directory: Path, n: int) -> Figures:
    """A thousand records, then death in every way there is: a thousand records in the log."""
    rig = Rig(directory)
    listener = rig.begin()
    started = []
    for _ in range(n):
        for way in WAYS:
            started.append((way, rig.work(lambda number, log, way=way: _thousand_then(log, WAYS[way]))))
            if len(started) % 4 == 0:
                time.sleep(0.02)
    codes: dict[str, int] = {}
    for way, pid in started:
        codes[way] = wait(pid, 30)
    rig.end(listener, 120)
    verdict = rig.verdict()
    assert verdict["records"] == 1000 * len(started), verdict
    return figures(verdict, processes=len(started), codes=codes)


def _in_a_pool(log: Log) -> None:
    """Have the records written by the worker of a pool, which is terminated then."""
    from multiprocessing import get_context

    context = get_context("fork")
    through = context.Event()

    def task() -> None:
        for n in range(1, 1001):
            log(n, 60)
        through.set()
        time.sleep(100)

    global _task
    _task = task
    with context.Pool(1) as pool:
        pool.apply_async(_run_task)
        assert through.wait(30)
        pool.terminate()


def _run_task() -> None:
    _task()


_task: Callable[[], None]


def _thousand_then(log: Log, end: Callable[..., Any]) -> Any:
    if end is _in_a_pool:
        return _in_a_pool(log)
    for n in range(1, 1001):
        log(n, 60)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    return end()


def _exhaust() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


WAYS: dict[str, Callable[..., Any]] = {
    "SIGKILL": die,
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "null pointer": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "os._exit": lambda: os._exit(7),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "out of memory": _exhaust,
    "exception": lambda: 1 / 0,
    "sys.exit": lambda: sys.exit(3),
    "Pool.terminate": _in_a_pool,
    "exec": lambda: os.execv("/bin/true", ["true"]),
}


def k8_neighbour_killed(directory: Path, n: int) -> Figures:
    """One of three workers killed in mid-burst: the others never wait for a second."""
    rig = Rig(directory)
    listener = rig.begin()
    slowest = os.path.join(directory, "slowest")

    def work(number: int, log: Log) -> None:
        worst, k = 0.0, 0
        signal.signal(signal.SIGUSR1, lambda *_: (Path(f"{slowest}{number}").write_text(str(worst)), os._exit(0)))
        while True:
            k += 1
            began = time.perf_counter()
            log(k, 2000)
            worst = max(worst, time.perf_counter() - began)
            if k % 20 == 0:
                time.sleep(0.002)

    others = [rig.work(work), rig.work(work)]
    for _ in range(n):
        pid = rig.work(burst())
        time.sleep(0.01)
        kill(pid)
    for pid in others:
        os.kill(pid, signal.SIGUSR1)
        assert wait(pid) == 0
    rig.end(listener, 120)
    worst = max(float(path.read_text()) for path in Path(directory).glob("slowest*"))
    assert worst < 1.0, worst
    return figures(rig.verdict(), kills=n, slowest_ms=round(worst * 1000, 1))
