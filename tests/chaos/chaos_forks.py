"""Rows about forks and about what interrupts a logging call."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from chaos_rig import (
    Figures,
    Log,
    Rig,
    figures,
    wait,
)


def f3_forks(directory: Path, n: int) -> Figures:  # noqa: C901 - one program, read from top to bottom
    """Forks from C, forks while four threads log, forks of forks: no hang, and no journal is shared.

    From C only without other threads: CPython itself hangs in a child that learns nothing of its fork when another
    thread had asked for the GIL.
    """
    rig = Rig(directory)
    listener = rig.begin()

    def work(_: int, log: Log) -> None:  # noqa: C901
        logger, store = logging.getLogger("chaos"), rig.acknowledged.store
        stop = threading.Event()

        def some(number: int, count: int = 20) -> None:
            for k in range(1, count + 1):
                logger.info("n %d %d %s", number, k, "x" * 50)
                store(number, k)

        def run(thread: int) -> None:
            k = 0
            while not stop.is_set():
                k += 1
                logger.info("n %d %d %s", thread, k, "x" * 50)
                store(thread, k)
                if k % 100 == 0:
                    time.sleep(0.001)

        some(4)
        libc = ctypes.PyDLL(None)
        for index in range(n):
            pid = libc.fork()
            if pid == 0:
                some(5 + index)
                os._exit(0)
            wait(pid)
        threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for index in range(n):
            pid = os.fork()
            if pid == 0:
                some(5 + n + index)
                inner = os.fork()
                if inner == 0:
                    some(5 + 2 * n + index)
                    os._exit(0)
                os._exit(abs(wait(inner)))
            if index % 4 == 3:
                assert wait(pid) == 0
        stop.set()
        for thread in threads:
            thread.join()

    pid = rig.work(work)
    rig.workers = 5 + 3 * n
    assert wait(pid, 120) == 0
    time.sleep(0.5)
    rig.end(listener)
    return figures(rig.verdict(), forks=3 * n)


def f4_signals(directory: Path, n: int) -> Figures:
    """SIGALRM at 2 kHz that logs inside logging for two seconds: no break in `seq`."""
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        inner = logging.getLogger("inner")
        count = 0

        def on_alarm(*_: Any) -> None:
            nonlocal count
            count += 1
            inner.info("nested %d", count)

        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        began, k = time.monotonic(), 0
        while time.monotonic() - began < n:
            k += 1
            log(k, 40)
        signal.setitimer(signal.ITIMER_REAL, 0)
        Path(directory, "nested").write_text(str(count))

    assert wait(rig.work(work), 60) == 0
    rig.end(listener, 120)
    nested = int(Path(directory, "nested").read_text())
    data = Path(rig.file).read_bytes()
    lines = [line for line in data.splitlines() if b'"thread":"listener"' not in line]
    seqs = [int(line.split(b'"seq":')[1].split(b"}")[0].split(b",")[0]) for line in lines]
    verdict = rig.verdict()
    # Whoever logs faster than the listener writes has drops, counted ones; the nested records are among them.
    verdict["lost"] += nested - data.count(b'"logger":"inner"')
    missing = len(set(range(1, max(seqs) + 1)) - set(seqs))
    assert missing <= verdict["dropped"], (missing, verdict)
    assert len(seqs) == len(set(seqs)), "a seq is there twice"
    return figures(verdict, nested=nested, missing=missing)
