"""What a logging call costs its caller, beside the standard library's call to a handler that does nothing.

`measure` runs in a fresh process, one variant each: loggers and handlers of one must not be seen by another.
"""

from __future__ import annotations

import functools
import importlib
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import LOGGER
from benchmarks.measure import Result, report

Loop = Callable[[Any, int, str], None]


class NoOp(logging.Handler):
    """A handler that does nothing with a record once it has it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


def _info(log: logging.Logger, calls: int, s: str) -> None:
    for i in range(calls):
        log.info("request %d done by %s", i, s)


def _debug(log: logging.Logger, calls: int, s: str) -> None:
    for i in range(calls):
        log.debug("request %d done by %s", i, s)


def _keywords(log: Any, calls: int, s: str) -> None:
    for i in range(calls):
        log.info("request done", i=i, s=s)


_DISABLED_FACTOR = 20  # calls that return at once, so that a block of them takes as long as of others

# The loop, whether mplog is set up, and the handler on the root logger.
VARIANTS: dict[str, tuple[Loop, bool, type[logging.Handler] | None]] = {
    "no-op": (_info, False, NoOp),
    "NullHandler": (_info, False, logging.NullHandler),
    "stdlib logger": (_info, True, None),
    "get_logger": (_keywords, True, None),
    "disabled": (_debug, False, NoOp),
    "disabled, mplog set up": (_debug, True, None),
}


def measure(variant: str = "no-op", *, blocks: int = 200, calls: int = 200) -> Result:
    """Return the nanoseconds a call of `variant` takes: the median of `blocks` blocks of `calls` calls.

    The median leaves out the blocks in which the kernel ran something else on the core; they are short for that.
    """
    loop, with_mplog, handler = VARIANTS[variant]
    calls *= _DISABLED_FACTOR if loop is _debug else 1
    log: Any = logging.getLogger(LOGGER)  # before `setup`, as in a module that makes its logger at import
    time_all = functools.partial(_time, loop, blocks=blocks, calls=calls)
    if not with_mplog:
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        root.addHandler(handler() if handler else NoOp())
        return time_all(log)
    mplog: Any = importlib.import_module("mplog")

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.jsonl"
        with mplog.setup(path, level="INFO", console=False):
            result = time_all(mplog.get_logger(LOGGER) if loop is _keywords else log)
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
    return {**result, "lost": max(0, result["logged"] - lines)}


def _time(loop: Loop, log: Any, *, blocks: int, calls: int) -> Result:
    loop(log, calls, "w0")
    nanoseconds = []
    for _ in range(blocks):
        began = time.perf_counter_ns()
        loop(log, calls, "w0")
        nanoseconds.append((time.perf_counter_ns() - began) / calls)
        time.sleep(0.002)  # the listener keeps up, so no block is measured against a full journal
    logged = 0 if loop is _debug else (blocks + 1) * calls
    return {"ns": statistics.median(nanoseconds), "ns_best": min(nanoseconds), "logged": logged}


if __name__ == "__main__":
    report(measure)
