"""Bugs to plant, each with the row that must find it: a suite that cannot fail proves nothing.

``python chaos_plants.py ROW N`` runs a row, with the bug that `CHAOS_PLANT` names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import chaos_rows

from mplog import listener, worker
from mplog._listener import batch as _batch
from mplog._listener import commit, intake, merge
from mplog._shared import journal, lock


def publish_before_copy() -> None:
    """Write the newline of a line before what stands in front of it, and then the line byte by byte."""

    class Eager:
        def __init__(self, memory: Any) -> None:
            self._memory = memory

        def __setitem__(self, place: slice, data: bytes) -> None:
            memory, start = self._memory, place.start
            memory[start : place.stop] = b"x" * (len(data) - 1) + b"\n"
            time.sleep(0)
            memory[start : place.stop] = data

        def madvise(self, *_: int) -> None:
            """Do nothing."""

    real = journal.map_segment
    journal.map_segment = lambda fd, size: Eager(real(fd, size))


def no_recovery() -> None:
    """Take an interrupted batch for written."""
    real = commit.CommitLog.load

    def load(self: Any) -> None:
        real(self)
        self.pending, self.undelivered = None, []

    commit.CommitLog.load = load


def commit_before_write() -> None:
    """Store `done` with the intent, before the file is written."""
    real = _batch.BatchWriter._intend

    def intend(self: Any, batch: Any, file: Any) -> None:
        real(self, batch, file)
        self._commits.done(batch.intent.generation, delivered=True)

    _batch.BatchWriter._intend = intend


def no_intent() -> None:
    """Do not store the intent at all."""
    commit.CommitLog.intend = commit.CommitLog.assume


def sparse_segments() -> None:
    """Do not reserve a segment's room."""
    real = os.posix_fallocate
    os.posix_fallocate = lambda fd, start, size: os.ftruncate(fd, size) if size >= 4096 * 16 else real(fd, start, size)


def flock() -> None:
    """Hold owners' locks in a way that a forked child keeps."""
    import fcntl

    fcntl.lockf = fcntl.flock
    lock.holder_of = lambda fd: None if _can_flock(fd) else lock.Holder(0)


def _can_flock(fd: int) -> bool:
    import fcntl

    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    try:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(again)
    return True


def no_fork_hook() -> None:
    """Let a forked child write into its parent's journal."""
    worker.Worker.forget = lambda self: None


def capped_merge() -> None:
    """Write what was read, up to a number of bytes, without waiting for older records."""
    listener.HOLD_BACK = -(10**12)
    intake.Intake.watermark = lambda self, highest: highest


def uncounted_drop() -> None:
    """Forget every tenth dropped record."""
    real = journal.JournalWriter._drop

    def drop(self: Any, reason: str) -> None:
        if (self.seq + 1) % 10 == 0:
            self.seq += 1
            return
        real(self, reason)

    journal.JournalWriter._drop = drop


def eager_burial() -> None:
    """Step over holes of the living."""
    real = merge.split_lines
    merge.split_lines = lambda data: real(data)[:-1] or real(data)


PLANTS: dict[str, tuple[str, int, Callable[[], None]]] = {
    "publish before copy": ("K1", 100, publish_before_copy),
    "no recovery": ("K4", 5, no_recovery),
    "commit before write": ("K4", 5, commit_before_write),
    "no intent": ("K4", 5, no_intent),
    "sparse segments": ("D6", 1, sparse_segments),
    "flock": ("F3", 4, flock),
    "no fork hook": ("F3", 4, no_fork_hook),
    "capped merge": ("C2", 100_000, capped_merge),
    "uncounted drop": ("B1", 6, uncounted_drop),
}
"""Name -> row, N, what plants it."""


if __name__ == "__main__":
    plant = os.environ.get("CHAOS_PLANT")
    if plant:
        PLANTS[plant][2]()
    began = time.monotonic()
    figures = chaos_rows.main(sys.argv[1], int(sys.argv[2]))
    print(json.dumps({**figures, "seconds": round(time.monotonic() - began, 1)}))
