"""Rows about many processes and threads, and few descriptors."""

from __future__ import annotations

import logging
import os
import random
import resource
import signal
import threading
import time
from pathlib import Path

from chaos_rig import (
    Figures,
    Log,
    Rig,
    eventually,
    figures,
    rss,
    wait,
)


def f2_few_descriptors(directory: Path, n: int) -> Figures:
    """RLIMIT_NOFILE of 64 in the listener and 16 in each worker."""
    rig = Rig(directory)

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    listener = rig.begin(prepare)

    def work(number: int, log: Log) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        for k in range(1, 51):
            log(k, 100)
            time.sleep(0.01)

    for pid in [rig.work(work) for _ in range(n)]:
        assert wait(pid, 60) == 0
    rig.end(listener)
    return figures(rig.verdict(), workers=n)


def f5_threads(directory: Path, n: int) -> Figures:
    """Thirty-two threads of one process: every record once, each thread's in order."""
    rig = Rig(directory)
    listener = rig.begin()
    rig.workers = 32

    def body(number: int, log: Log) -> None:
        logger, store = logging.getLogger("chaos"), rig.acknowledged.store

        def run(thread: int) -> None:
            for k in range(1, n // 32 + 1):
                logger.info("n %d %d %s", thread, k, "x" * 40)
                store(thread, k)

        threads = [threading.Thread(target=run, args=(index,)) for index in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    pid = rig.work(body)
    rig.workers = 32
    assert wait(pid, 600) == 0
    rig.end(listener, 120)
    return figures(rig.verdict())


def c1_clock_steps(directory: Path, n: int) -> Figures:
    """The wall clock steps by an hour and by a second: the journal's order is kept."""
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        real, offset = time.time, [0.0]
        time.time = lambda: real() + offset[0]
        for k in range(1, n + 1):
            offset[0] = random.choice((0.0, 3600.0, -3600.0, 1.0, -1.0))
            log(k, 20)

    for pid in [rig.work(work) for _ in range(3)]:
        assert wait(pid, 30) == 0
    rig.end(listener, 120)
    return figures(rig.verdict())


def f1_crowd(directory: Path, n: int) -> Figures:
    """`n` processes, a quarter of them alive at once, half of them killed; the other half ends when it is told."""
    rig = Rig(directory)
    began = time.monotonic()
    listener = rig.begin()
    most = rss(listener)
    alive: list[int] = []
    together = 0

    def work(number: int, log: Log) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        k = 0
        told = None
        while told is None:
            for _ in range(5):
                k += 1
                log(k, (number * 13 + k * 7) % 800)
            told = signal.sigtimedwait({signal.SIGUSR1}, 0.4)

    def leave(pid: int, *, killed: bool) -> None:
        # One that has not logged yet is not told: it would die of the signal.
        number = numbers.pop(pid)
        assert eventually(lambda: rig.acknowledged.of(number) >= 5, 60)
        os.kill(pid, signal.SIGKILL if killed else signal.SIGUSR1)
        assert wait(pid, 30) == (-signal.SIGKILL if killed else 0)

    numbers: dict[int, int] = {}
    for index in range(n):
        if len(alive) == n // 4:
            leave(alive.pop(0), killed=index % 2 == 0)
        pid = rig.work(work)
        numbers[pid] = rig.workers - 1
        alive.append(pid)
        together = max(together, len(alive))
        most = max(most, rss(listener))
    for index, pid in enumerate(alive):
        leave(pid, killed=index % 2 == 0)
        most = max(most, rss(listener))
    rig.end(listener, 120)
    seconds = time.monotonic() - began
    assert most < 200 << 20, f"the listener took {most >> 20} MiB"
    assert seconds < 120, f"{seconds:.0f} s"
    return figures(rig.verdict(), processes=n, together=together, listener_mib=most >> 20, wall_seconds=round(seconds))
