"""Row F3: forks of every kind, and children of every start method, while four threads log."""

from __future__ import annotations

import ctypes
import itertools
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from chaos_rig import Acknowledged, Figures, Log, Rig, figures, wait

from mplog._worker import inherit

RECORDS = 20
AT_ONCE = 4
Some = Callable[[int], None]


def f3_forks(directory: Any, n: int) -> Figures:  # noqa: C901 - one program, read from top to bottom
    """`n` children of each kind: no hang, and no journal is shared.

    From C only before there are other threads: CPython itself hangs in a child that learns nothing of its fork when
    another thread had asked for the GIL.
    """
    rig = Rig(directory)
    listener = rig.begin()

    def work(_: int, log: Log) -> None:
        inherit.arm(tuple(rig.handle))
        logger, store = logging.getLogger("chaos"), rig.acknowledged.store
        stop = threading.Event()
        numbers = itertools.count(5)

        def some(number: int) -> None:
            for k in range(1, RECORDS + 1):
                logger.info("n %d %d %s", number, k, "x" * 50)
                store(number, k)

        def run(thread: int) -> None:
            k = 0
            while not stop.is_set():
                k += 1
                logger.info("n %d %d %s", thread, k, "x" * 50)
                store(thread, k)
                if k % 20 == 0:
                    time.sleep(0.002)

        some(4)
        _from_c(some, numbers, n)
        threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for kind in (_double, _in_a_thread, _in_a_handler, _prefork, _nested_pools):
            kind(some, numbers, n)
        for method in ("spawn", "forkserver"):
            _started(method, rig, numbers, n)
        stop.set()
        for thread in threads:
            thread.join()

    pid = rig.work(work)
    rig.workers = 5 + KINDS * n
    assert wait(pid, 300) == 0
    rig.end(listener)
    verdict = rig.verdict()
    for number in range(4, rig.workers):
        assert rig.acknowledged.of(number) == RECORDS, number
    return figures(verdict, kinds=KINDS, children=KINDS * n)


KINDS = 9
"""Numbers that one round takes: a double fork takes two."""


def _child(body: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    return pid


def _from_c(some: Some, numbers: Iterator[int], n: int) -> None:
    libc = ctypes.PyDLL(None)
    for number in itertools.islice(numbers, n):
        pid = libc.fork()
        if pid == 0:
            some(number)
            os._exit(0)
        assert wait(pid) == 0


def _double(some: Some, numbers: Iterator[int], n: int) -> None:
    for number in itertools.islice(numbers, n):

        def outer(number: int = number, inner: int = next(numbers)) -> None:
            some(number)
            assert wait(_child(lambda: some(inner))) == 0

        assert wait(_child(outer)) == 0


def _in_a_thread(some: Some, numbers: Iterator[int], n: int) -> None:
    def run() -> None:
        for number in itertools.islice(numbers, n):
            assert wait(_child(lambda number=number: some(number))) == 0

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _in_a_handler(some: Some, numbers: Iterator[int], n: int) -> None:
    class Forks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            number = int(record.msg)
            pids.append(_child(lambda: some(number)))

    pids: list[int] = []
    logger = logging.getLogger("forks")
    logger.propagate = False
    logger.addHandler(Forks())
    for number in itertools.islice(numbers, n):
        logger.warning(str(number))
        assert wait(pids.pop()) == 0


def _prefork(some: Some, numbers: Iterator[int], n: int) -> None:
    """Have children as a server has: forked first, at work later, several at once."""
    for start in range(0, n, 20):
        wave = list(itertools.islice(numbers, min(20, n - start)))
        held, go = os.pipe()

        def serve(number: int, held: int = held, go: int = go) -> None:
            os.close(go)
            os.read(held, 1)
            some(number)

        pids = [_child(lambda number=number, serve=serve: serve(number)) for number in wave]
        os.close(go)
        os.close(held)
        for pid in pids:
            assert wait(pid) == 0


def _nested_pools(some: Some, numbers: Iterator[int], n: int) -> None:
    """Have pools within processes that are no daemons: each of their tasks is one child's worth of records."""
    context = multiprocessing.get_context("fork")
    global _task
    _task = some
    for start in range(0, n, 5):
        share = list(itertools.islice(numbers, min(5, n - start)))

        def body(share: list[int] = share) -> None:
            with context.Pool(2) as pool:
                pool.map(_run_task, share, chunksize=1)

        process = context.Process(target=body)
        process.start()
        process.join(30)
        assert process.exitcode == 0, process.exitcode


_task: Some


def _run_task(number: int) -> None:
    _task(number)


def _started(method: str, rig: Rig, numbers: Iterator[int], n: int) -> None:
    context = multiprocessing.get_context(method)
    path = str(rig.directory / "acknowledged")
    running: list[Any] = []
    for number in itertools.islice(numbers, n):
        process = context.Process(target=_some, args=(path, number))
        process.start()
        running.append(process)
        if len(running) == AT_ONCE:
            _ended(running.pop(0))
    for process in running:
        _ended(process)


def _ended(process: Any) -> None:
    process.join(60)
    assert process.exitcode == 0, process.exitcode


def _some(path: str, number: int) -> None:
    """Be a child that has attached by itself."""
    store = Acknowledged(path).store
    logger = logging.getLogger("chaos")
    for k in range(1, RECORDS + 1):
        logger.info("n %d %d %s", number, k, "x" * 50)
        store(number, k)
