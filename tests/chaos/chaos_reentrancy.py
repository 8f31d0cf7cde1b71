"""Row F4: calls inside calls, by signals, by finalizers, and calls that an exception ends anywhere."""

from __future__ import annotations

import gc
import logging
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_rig import Figures, Log, Rig, Verdict, figures, wait


def f4_signals(directory: Path, n: int) -> Figures:
    """SIGALRM at 2 kHz that logs, finalizers that log at every collection, KeyboardInterrupt at any point: `n` s each.

    No `seq` is missing or there twice, and each record whose call returned is there.
    """
    alarms, nested = _reentrant(directory / "alarms", n, _alarms)
    finalizers, more = _reentrant(directory / "finalizers", n, _finalizers)
    interrupts = _interrupts(directory / "interrupts", n)
    raised = int((directory / "interrupts" / "raised").read_text())
    assert raised > 100 * n, raised
    if n >= 20:
        assert min(nested, more) >= 5_000, (nested, more)
    total = {name: alarms[name] + finalizers[name] + interrupts[name] for name in alarms}
    return figures(Verdict(total), nested=nested, from_finalizers=more, interrupts=raised)


def _reentrant(directory: Path, n: int, begin: Callable[[Callable[[], None]], Callable[[], None]]) -> Any:
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        inner = logging.getLogger("inner")
        count = 0

        def nested() -> None:
            nonlocal count
            count += 1
            inner.info("nested %d", count)

        end = begin(nested)
        began, k = time.monotonic(), 0
        while time.monotonic() - began < n:
            k += 1
            log(k, 40)
        end()
        (directory / "nested").write_text(str(count))

    assert wait(rig.work(work), n + 60) == 0
    rig.end(listener, 120)
    nested = int((directory / "nested").read_text())
    verdict = rig.verdict()
    # Whoever logs faster than the listener writes has drops, counted ones; the nested records are among them.
    verdict["lost"] += nested - Path(rig.file).read_bytes().count(b'"logger":"inner"')
    missing = _missing(rig)
    assert missing <= verdict["dropped"], (missing, verdict)
    assert verdict.holds, verdict
    return verdict, nested


def _alarms(nested: Callable[[], None]) -> Callable[[], None]:
    depth = 0

    def on_alarm(*_: object) -> None:
        # While a disk is slow alarms come faster than any handler ends: without a bound the stack is full of them.
        nonlocal depth
        if depth < 50:
            depth += 1
            nested()
            depth -= 1

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    return lambda: signal.setitimer(signal.ITIMER_REAL, 0)


def _finalizers(nested: Callable[[], None]) -> Callable[[], None]:
    """Leave cycles behind whose finalizers log, and have them collected at almost every allocation."""

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nested()

    class Feed(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.name == "chaos":
                record.cycle = None
                Cycle()
            return True

    logging.getLogger("chaos").addFilter(Feed())
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(1, 1, 1)
    return lambda: gc.set_threshold(*before)


def _interrupts(directory: Path, n: int) -> Verdict:
    """Raise KeyboardInterrupt out of a signal handler, at random points of logging calls."""
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        returned = bytearray(8_000_000)
        raised = 0
        logger = logging.getLogger("chaos")
        generator = random.Random(number)
        signal.signal(signal.SIGALRM, interrupt)
        # On a slow disk the first call, which makes the journal, takes longer than any of the times below.
        logger.info("n %d 1 ", number)
        returned[1] = 1
        end, k = time.monotonic() + n, 1
        while time.monotonic() < end:
            k += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, generator.uniform(1e-5, 4e-4))
                for _ in range(50):
                    k += 1
                    logger.info("n %d %d %s", number, k, "x" * 300)
                    returned[k] = 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                raised += 1
        (directory / "returned").write_bytes(returned[: k + 1])
        (directory / "raised").write_text(str(raised))

    assert wait(rig.work(work), n + 60) == 0
    rig.workers = 0  # What has returned is said below, record by record.
    rig.end(listener, 120)
    verdict = rig.verdict()
    returned = (directory / "returned").read_bytes()
    found = {int(line.split(b" ", 3)[2]) for line in _messages(rig)}
    verdict["lost"] = sum(returned[k] and k not in found for k in range(len(returned))) - verdict["dropped"]
    verdict["unacknowledged"] = sum(not returned[k] for k in found)
    missing = _missing(rig)
    # A call that an exception ended may have taken its `seq` with it.
    assert missing <= verdict["dropped"], (missing, verdict)
    assert verdict.holds, verdict
    return verdict


def _messages(rig: Rig) -> list[bytes]:
    lines = Path(rig.file).read_bytes().splitlines()
    return [line.split(b'"msg":"', 1)[1] for line in lines if b'"msg":"n ' in line]


def _missing(rig: Rig) -> int:
    """Return how many `seq` of the one worker are not in the log; none may be there twice."""
    lines = [line for line in Path(rig.file).read_bytes().splitlines() if b'"thread":"listener"' not in line]
    seqs = [int(line.split(b'"seq":')[1].split(b"}")[0].split(b",")[0]) for line in lines]
    assert len(seqs) == len(set(seqs)), "a seq is there twice"
    return max(seqs) - len(seqs)
