"""`mplog demo`: count the lines and words of the standard library with several processes, one of which is killed.

A crew of processes, each on a pipe of its own, so that one which is killed in the middle of a file holds no lock that
the others wait for: its file is given to another one. Runs on its own; its workers are the session's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
import tokenize
from collections import deque
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple, Self

import mplog

log = logging.getLogger("demo")
ROOM = 64
"""Processes for whose counts there is room."""


class Counted(NamedTuple):
    """What was found in one file. `lines` is None where the file does not decode."""

    path: str
    lines: int | None
    words: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", nargs="?", help="the log to write (default: a new mplog-demo.json here)")
    parser.add_argument("-j", "--jobs", type=int, default=4, help="how many processes count (default: 4)")
    parser.add_argument("--no-kill", action="store_true", help="let every worker live")


def run(options: argparse.Namespace) -> int:
    """Count, kill, log, and prove from the log that nothing is missing; return the exit code."""
    jobs = min(max(options.jobs, 1), ROOM // 2)
    library = sysconfig.get_path("stdlib")
    paths = _sources(library)
    file = options.file or _free_name()
    _say(f"Counting the lines and words of {len(paths):,} files in {library}")
    victim = "" if options.no_kill else "; one of them will be killed"
    _say(f"with {jobs} processes that all log to {file}{victim}.\n")
    acknowledged = multiprocessing.RawArray("q", ROOM)
    with mplog.setup(file, console=False, level="info,mplog=debug") as session:
        log.info("counting %d files in %s with %d processes", len(paths), library, jobs)
        with _Crew(jobs, acknowledged, kill=not options.no_kill) as crew:
            started = time.monotonic()
            counted = crew.work(paths)
            seconds = time.monotonic() - started
        lines, words = sum(item.lines or 0 for item in counted), sum(item.words for item in counted)
        log.info("%d lines, %d words in %.1f s", lines, words, seconds)
        session.flush()
    unreadable = sum(item.lines is None for item in counted)
    _say(f"\n{lines:,} lines and {words:,} words in {len(counted) - unreadable:,} files, {seconds:.1f} s;")
    _say(f"{unreadable} files do not decode: a warning with its exception each.\n")
    complete = _ledger(file, crew, list(acknowledged))
    _next(file)
    return 0 if complete and len(counted) == len(paths) else 1


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


# In a worker.


def count(path: str) -> Counted:
    """Count one file and log that."""
    try:
        with tokenize.open(path) as file:  # as the interpreter reads it: by its coding line
            text = file.read()
    except (SyntaxError, UnicodeDecodeError):
        log.warning("%s does not decode", path, exc_info=True)
        return Counted(path, None, 0)
    found = Counted(path, text.count("\n"), len(text.split()))
    log.info("%s: %d lines, %d words", path, found.lines, found.words)
    return found


def work(pipe: connection.Connection, acknowledged: Any, number: int) -> None:
    """Count what comes through the pipe; note after each logging call that it returned."""
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while path := pipe.recv():
            found = count(path)
            acknowledged[number] += 1
            pipe.send(found)


# In the parent.


class _Member:
    """One process of the crew, its pipe, and the file it is at."""

    def __init__(self, number: int, acknowledged: Any) -> None:
        self.number = number
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=work, args=(theirs, acknowledged, number), name=f"counter-{number + 1}", daemon=True
        )
        self.process.start()
        theirs.close()
        self.path = ""

    def give(self, path: str) -> None:
        self.path = path
        with contextlib.suppress(OSError):  # it just died: its sentinel tells
            self.pipe.send(path)


class _Crew:
    """Some processes that share out the files; the place of one that dies is taken by a new one.

    Args:
        jobs: how many there are at a time.
        acknowledged: for each process the number of its logging calls that returned.
        kill: whether one of them is killed when about a third is done.
    """

    def __init__(self, jobs: int, acknowledged: Any, *, kill: bool) -> None:
        self._acknowledged = acknowledged
        self.everybody: list[_Member] = []
        self.killed: _Member | None = None
        self._kill = kill
        self._crew = [self._recruit() for _ in range(jobs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for member in self._crew:
            with contextlib.suppress(OSError):
                member.pipe.send("")
        for member in self._crew:
            member.process.join(10.0)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()

    def work(self, paths: list[str]) -> list[Counted]:
        """Have all files counted, whatever happens to the processes."""
        waiting = deque(paths)
        done: list[Counted] = []
        progress = _Progress(len(paths))
        while len(done) < len(paths):
            for member in self._crew:
                if not member.path and waiting:
                    member.give(waiting.popleft())
            ready = connection.wait(
                [member.pipe for member in self._crew] + [member.process.sentinel for member in self._crew]
            )
            for member in list(self._crew):
                if member.pipe in ready:
                    with contextlib.suppress(EOFError, OSError):
                        done.append(member.pipe.recv())
                        member.path = ""
                        continue
                if member.process.sentinel in ready:
                    self._replace(member, waiting)
            if self._kill and self.killed is None and len(done) > len(paths) // 3:
                self._kill_one(progress)
            progress.show(len(done))
        progress.end()
        return done

    def _recruit(self) -> _Member:
        member = _Member(len(self.everybody), self._acknowledged)
        self.everybody.append(member)
        return member

    def _replace(self, member: _Member, waiting: deque[str]) -> None:
        member.process.join()
        member.pipe.close()
        self._crew.remove(member)
        log.error("%s died (exit code %s) at %s", member.process.name, member.process.exitcode, member.path)
        if member.path:
            waiting.appendleft(member.path)
        if len(self.everybody) < ROOM:
            self._crew.append(self._recruit())
        elif not self._crew:
            raise SystemExit("mplog demo: all processes died; see the log.")

    def _kill_one(self, progress: _Progress) -> None:
        member = random.choice([member for member in self._crew if member.path] or self._crew)
        os.kill(member.process.pid or 0, signal.SIGKILL)
        self.killed = member
        progress.note(f"kill -9 {member.process.pid}: {member.process.name} is gone, in the middle of its work.")


class _Progress:
    """A line that shows how far the work is: rewritten on a terminal, now and then one elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._terminal = sys.stdout.isatty()
        self._shown = -1.0
        self._step = 0.05 if self._terminal else 1e9

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown < self._step and done < self._total:
            return
        self._shown = now
        if self._terminal:
            width = max(10, min(40, shutil.get_terminal_size().columns - 40))
            bar = "#" * (done * width // self._total)
            sys.stdout.write(f"\r  [{bar:.<{width}}] {done:,} of {self._total:,} files ")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        sys.stdout.write(f"{chr(13) + chr(27) + '[K' if self._terminal else ''}  {text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._terminal:
            sys.stdout.write("\n")
            sys.stdout.flush()


def _ledger(file: str, crew: _Crew, acknowledged: list[int]) -> bool:
    """Print who wrote how many records, read from the log; return whether none is missing."""
    written: dict[int, list[int]] = {}
    with open(file, "rb") as opened:
        for line in opened:
            record = json.loads(line)
            if record["logger"] != "mplog":
                written.setdefault(record["pid"], []).append(record["seq"])
    _say(f"{'process':<14}{'pid':>8}{'logged':>9}{'in the log':>12}{'missing':>9}")
    complete = True
    own = written.get(os.getpid(), [])
    rows = [("MainProcess", os.getpid(), len(own), "")]
    rows += [
        (
            member.process.name,
            member.process.pid or 0,
            acknowledged[member.number],
            "   killed with SIGKILL" if member is crew.killed else "",
        )
        for member in crew.everybody
    ]
    for name, pid, logged, remark in rows:
        seqs = written.get(pid, [])
        # At most one more than was acknowledged: the call had returned, the process died before it could say so.
        whole = sorted(seqs) == list(range(1, len(seqs) + 1)) and len(seqs) - logged in (0, 1)
        complete = complete and whole
        missing = max(0, max([logged, *seqs]) - len(set(seqs)))
        _say(f"{name:<14}{pid:>8}{logged:>9,}{len(seqs):>12,}{missing:>9,}{remark}")
    total = sum(map(len, written.values()))
    verdict = "none is missing, none is there twice" if complete else "SOMETHING IS WRONG: please report this"
    _say(f"{'':<14}{'':>8}{'':>9}{total:>12,}   {verdict}\n")
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
