"""`mplog demo`: count the lines and words of the standard library with a pool, one worker of which is killed.

Logs as any program with a `multiprocessing.Pool` does: `setup` in the parent, ordinary loggers in the workers.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import mplog

log = logging.getLogger("demo")
MOST_JOBS = 64


class Worker(NamedTuple):
    """A process that logs."""

    name: str
    pid: int


class Counted(NamedTuple):
    """What a worker found in one file. `lines` is None where the file does not decode."""

    worker: Worker
    lines: int | None
    words: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", nargs="?", help="the log to write (default: a new mplog-demo.json here)")
    parser.add_argument("-j", "--jobs", type=int, default=4, help="how many processes count (default: 4)")
    parser.add_argument("--no-kill", action="store_true", help="let every worker live")


def run(options: argparse.Namespace) -> int:
    """Count, kill, log, and prove from the log that nothing is missing; return the exit code."""
    jobs = min(max(options.jobs, 1), MOST_JOBS)
    library = sysconfig.get_path("stdlib")
    paths = _sources(library)
    file = options.file or _free_name()
    before = os.path.getsize(file) if os.path.isfile(file) else 0
    # What the environment says of these holds for other logs: this one is read as one file of JSON lines.
    plain = {"format": "json", "max_bytes": 0, "rotate_every": 0}
    with mplog.setup(file, console=False, level="info,mplog=debug", **plain) as session:
        _say(f"Counting the lines and words of {len(paths):,} files in {library}")
        victim = "" if options.no_kill else "; one of them will be killed"
        _say(f"with a pool of {jobs} workers that all log to {file}{victim}.\n")
        started = time.monotonic()
        log.info("counting %d files in %s with %d workers", len(paths), library, jobs)
        counted, killed = count_all(paths, jobs, kill=not options.no_kill)
        seconds = time.monotonic() - started
        lines, words = sum(found.lines or 0 for found in counted), sum(found.words for found in counted)
        log.info("%d lines, %d words in %.1f s", lines, words, seconds)
        session.flush()
    unreadable = sum(found.lines is None for found in counted)
    _say(f"\n{lines:,} lines and {words:,} words in {len(counted) - unreadable:,} files, {seconds:.1f} s;")
    _say(f"{unreadable} files do not decode: a warning with its exception each.\n")
    logged = Counter(found.worker for found in counted)
    logged[_me()] += 3 if killed else 2
    if killed:
        logged[killed] += 1
    complete = _ledger(file, before, logged, killed)
    _next(file)
    return 0 if complete else 1


def count_all(paths: list[str], jobs: int, *, kill: bool) -> tuple[list[Counted], Worker | None]:
    """Have a pool count all files; return what it found, and which worker was killed when a third was done.

    A pool goes on after a death if the worker held none of its locks, so this one is killed while it waits for that.
    """
    third = len(paths) // 3
    killed = None
    ours, theirs = multiprocessing.Pipe(duplex=False)
    # Its workers, and the thread that replaces them, never get Ctrl-C: one that ends with a lock held stops the others.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    with multiprocessing.Pool(jobs, _begin, (theirs,)) as pool:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        first = pool.imap_unordered(count, paths[:third])
        if kill:
            pool.apply_async(_await_death, (paths[third],))  # is lost, so the file comes once more
        rest = pool.imap_unordered(count, paths[third:])
        counted = list(_shown(first, 0, len(paths)))
        if kill:
            killed = Worker(*ours.recv())
            _say(f"  kill -9 {killed.pid}: {killed.name} is gone, in the middle of its work.")
            os.kill(killed.pid, signal.SIGKILL)
            log.error("%s was killed; another worker counts %s", killed.name, paths[third])
        counted += _shown(rest, third, len(paths))
    return counted, killed


# In a worker.

_to_parent: Connection


def _begin(theirs: Connection) -> None:
    global _to_parent
    _to_parent = theirs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and that the pool


def _me() -> Worker:
    return Worker(multiprocessing.current_process().name, os.getpid())


def count(path: str) -> Counted:
    """Count one file and log that."""
    try:
        with tokenize.open(path) as file:  # as the interpreter reads it: by its coding line
            text = file.read()
    except (SyntaxError, UnicodeDecodeError):
        log.warning("%s does not decode", path, exc_info=True)
        return Counted(_me(), None, 0)
    lines, words = text.count("\n"), len(text.split())
    log.info("%s: %d lines, %d words", path, lines, words)
    return Counted(_me(), lines, words)


def _await_death(path: str) -> None:
    log.info("%s: begun by the one who is going to be killed", path)
    _to_parent.send(_me())
    while True:
        signal.pause()


# In the parent.


def _sources(library: str) -> list[str]:
    """Return every source file of the standard library, what was installed beside it left out."""
    found = []
    for directory, below, names in os.walk(library):
        below[:] = sorted(set(below) - {"site-packages", "dist-packages", "__pycache__"})
        found += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".py")]
    return found


def _free_name() -> str:
    """Return the name of a log that does not exist yet."""
    directory = "." if os.access(".", os.W_OK | os.X_OK) else tempfile.mkdtemp(prefix="mplog-demo-")
    names = ["mplog-demo.json", *(f"mplog-demo-{number}.json" for number in range(2, 10_000))]
    return next(path for name in names if not os.path.lexists(path := os.path.normpath(os.path.join(directory, name))))


def _shown(results: Iterable[Counted], done: int, total: int) -> Iterator[Counted]:
    """Yield the results; on a terminal show how far the work is."""
    terminal, show_at = sys.stdout.isatty(), 0.0
    for found in results:
        yield found
        done += 1
        if terminal and time.monotonic() >= show_at:
            show_at = time.monotonic() + 0.05
            _draw(done, total)
    if terminal:
        _draw(done, total)
        _say("")


def _draw(done: int, total: int) -> None:
    width = max(10, min(40, shutil.get_terminal_size().columns - 40))
    bar = "#" * (done * width // total)
    # Not buffered: the pool may fork a worker just now, which would write what it finds in the buffer again.
    os.write(sys.stdout.fileno(), f"\r  [{bar:.<{width}}] {done:,} of {total:,} files ".encode())


def _ledger(file: str, before: int, logged: Counter[Worker], killed: Worker | None) -> bool:
    """Print who wrote how many records, read from the log behind `before`; return whether none is missing."""
    written: dict[int, list[int]] = {worker.pid: [] for worker in logged}
    with open(file, "rb") as opened:
        opened.seek(before)
        for line in opened:
            if line.strip() and (record := json.loads(line))["logger"] == log.name:
                written.setdefault(record["pid"], []).append(record["seq"])
    _say(f"{'process':<22}{'pid':>8}{'logged':>9}{'in the log':>12}{'missing':>9}")
    for worker in sorted(logged, key=lambda worker: worker.pid):
        count, found = logged[worker], written[worker.pid]
        remark = "   killed with SIGKILL" if worker == killed else ""
        missing = max(0, count - len(set(found)))
        _say(f"{worker.name:<22}{worker.pid:>8}{count:>9,}{len(found):>12,}{missing:>9,}{remark}")
    complete = all(sorted(written[worker.pid]) == list(range(1, count + 1)) for worker, count in logged.items())
    complete = complete and len(written) == len(logged)
    verdict = "none is missing, none is there twice" if complete else "SOMETHING IS WRONG: please report this"
    _say(f"{'':<39}{sum(map(len, written.values())):>12,}   {verdict}\n")
    return complete


def _next(file: str) -> None:
    """Print where the log is and what to type next."""
    path = Path(file).resolve()
    shown = file if not os.path.isabs(file) else str(path)
    _say(f"The log is {path} ({path.stat().st_size / 1e6:.1f} MB). Look at it:\n")
    for command, meaning in (
        (f"mplog {shown}", "read it"),
        (f"mplog view -l warning {shown}", "only what went wrong"),
        (f"mplog errors {shown}", "its exceptions, grouped"),
        (f"mplog ps {shown}", "who lived, who died, and of what"),
        (f"mplog stats {shown}", "who wrote how much, and when"),
        (f"mplog check {shown}", "prove once more that nothing is missing"),
    ):
        _say(f"  {command:<{28 + len(shown)}} # {meaning}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
