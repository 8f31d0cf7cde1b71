"""Where a microsecond goes: the steps of a call and of the listener's round, each by itself, in nanoseconds.

Run by hand: ``python -m benchmarks.steps``. Prints the tables of docs/performance.md. A step alone in a loop is a
little faster than in its place, where the caches are shared.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import tempfile
import timeit
from collections.abc import Callable
from itertools import islice
from operator import lt
from typing import Any

import mplog
from mplog import worker
from mplog._listener import merge as _merge
from mplog._shared import context
from mplog._worker import fastpath

CALL = 'log.info("processing %d of %s", 12345, "hello")'
LINE = (
    b'%016x {"time":"2026-11-22T11:11:11.123456Z","level":"INFO","msg":"processing %d of hello","logger":"app.jobs",'
    b'"process":"ForkPoolWorker-3","pid":12345,"thread":"MainThread","file":"/srv/app/some/package/jobs.py","line":12,'
    b'"func":"work","seq":%d}\n'
)


class Nothing(logging.Handler):
    """The handler that does nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


def nanoseconds(
    statement: str | Callable[[], Any],
    names: dict[str, Any],
    each: int = 1,
    *,
    number: int = 0,
    before: Callable[[], Any] = lambda: None,
) -> float:
    """Return the least time of a statement in nanoseconds, divided by `each`; `before` runs before each round."""
    timer = timeit.Timer(statement, setup=before, globals=names)
    number = number or max(1, timer.autorange()[0] // 20)
    return min(timer.repeat(40, number)) / number / each * 1e9


def table(title: str, rows: list[tuple[str, float]]) -> None:
    """Print one table."""
    print(f"\n{title}\n\n| step | ns |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value:.0f} |")


def caller(directory: str) -> None:
    """Measure the steps of one call."""
    log = logging.getLogger("app.jobs")
    with mplog.setup(os.path.join(directory, "app.jsonl"), console=False) as session:
        log.info("first")
        here = worker.current
        assert here is not None
        journal = here.journal
        assert journal is not None
        frame = sys._getframe()
        site = next(iter(fastpath._sites.values()))  # kept at the first call
        who = fastpath._local.who[3]
        names = {
            "log": log,
            "journal": journal,
            "frame": frame,
            "getframe": sys._getframe,
            "template": site[2],
            "who": who,
            "text": b'"processing 12345 of hello"',
            "quote": fastpath.encode_basestring,
            "message": "processing 12345 of hello",
            "sites": fastpath._latest,
            "fastpath": fastpath,
            "monotonic_ns": fastpath.monotonic_ns,
            "local": fastpath._local,
            "fragment": context.fragment,
            "head": LINE[:-6] % (1, 12345),
            "guard": worker.guard,
        }
        rows = [
            ("whole call", nanoseconds(CALL, names, number=4000, before=session.flush)),
            ("disabled call", nanoseconds('log.debug("processing %d of %s", 12345, "hello")', names)),
            ("`msg % args`", nanoseconds('"processing %d of %s" % (12345, "hello")', names)),
            ("quoting", nanoseconds('message.isascii() and "\\x7f" not in message and quote(message)', names)),
            (
                "caller and template",
                nanoseconds("f = getframe(0); c = f.f_code; s = sites.get(id(c) + f.f_lasti)", names),
            ),
            ("who", nanoseconds("thread, name, process, text_ = local.who; thread._name is not name", names)),
            ("clock", nanoseconds("key = monotonic_ns(); (key - fastpath.second[0]) // 1000", names)),
            ("forked? context?", nanoseconds("guard[0]; fragment()", names)),
            (
                "the line",
                nanoseconds('template % (b"00", 1 << 50, b"2026-11-22T11:11:11", 123456, text, who, 9, b"}")', names),
            ),
            (
                "`JournalWriter.write`",
                nanoseconds('journal.write(head, b"}\\n", 20)', names, number=1000, before=session.flush),
            ),
        ]
        session.flush()
    kept, logging.root.handlers[:] = list(logging.root.handlers), [Nothing()]
    logging.root.setLevel(logging.INFO)
    rows.insert(1, ("the standard library's, to a handler that does nothing", nanoseconds(CALL, names)))
    logging.root.handlers[:] = kept
    table("A call", rows)


def listener(directory: str) -> None:
    """Measure the steps of the listener's round on four journals of 500 records."""
    runs = 4, 500
    each = runs[0] * runs[1]
    datas = [
        b"".join(LINE % (10**12 + number * 1000 + journal * 250, number, number) for number in range(runs[1]))
        for journal in range(runs[0])
    ]
    lines = [data.split(b"\n")[:-1] for data in datas]
    merged = _merge.merge([list(run) for run in lines])
    source = os.open(os.path.join(directory, "in"), os.O_RDWR | os.O_CREAT)
    os.write(source, datas[0])
    target = os.open(os.path.join(directory, "out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    whole = _merge.without_keys(merged)
    names: dict[str, Any] = {}
    rows = [
        ("`pread`", nanoseconds(lambda: [os.pread(source, len(datas[0]), 0) for _ in datas], names, each)),
        ("split into lines", nanoseconds(lambda: [data.split(b"\n") for data in datas], names, each)),
        (
            "each line's shape",
            nanoseconds(
                lambda: [(set(map(_merge._LAST, run)), set(map(_merge._SHAPE, run))) for run in lines], names, each
            ),
        ),
        ("no control characters", nanoseconds(lambda: [_merge.is_printable(data) for data in datas], names, each)),
        ("ascending?", nanoseconds(lambda: [all(map(lt, run, islice(run, 1, None))) for run in lines], names, each)),
        ("merge", nanoseconds(lambda: _merge.merge([list(run) for run in lines]), names, each)),
        ("without keys, joined", nanoseconds(lambda: _merge.without_keys(merged), names, each)),
        (
            "`write`",
            nanoseconds(
                lambda: os.write(target, whole), names, each, number=20, before=lambda: os.ftruncate(target, 0)
            ),
        ),
    ]
    os.close(source)
    os.close(target)
    table(f"The listener, a record of {len(LINE)} bytes", rows)


def main() -> None:
    """Print both tables."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        caller(directory)
        listener(directory)


if __name__ == "__main__":
    main()
