"""The rows of the fault suite: what runs, with which N, and which of them need the machine for themselves.

``python chaos_rows.py ROW N`` runs one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from chaos_crowds import c1_clock_steps, f1_crowd, f2_few_descriptors, f5_threads
from chaos_disks import d1_disk_full, d3_short_writes, d4_log_moved, d7_damaged_journals
from chaos_forks import f3_forks
from chaos_fuzz import h2_fuzz
from chaos_hangs import b1_overflow, o1_console, t1_listener_stopped, t2_worker_stopped, t3_handler_hangs
from chaos_hostile import x1_hostile_worker
from chaos_kills import (
    k1_workers_killed,
    k2_writer_points,
    k5_all_killed,
    k6_parent_killed,
    k7_ways_to_die,
    k8_neighbour_killed,
)
from chaos_listener import c2_order, d5_followed, k3_listener_killed, k4_listener_points, o10_second_listener
from chaos_reentrancy import f4_signals
from chaos_rig import Figures
from chaos_spools import d6_spool_troubles
from chaos_syscalls import d2_system_calls


class Row(NamedTuple):
    """A row of the matrix."""

    run: Callable[[Path, int], Figures]
    title: str
    quick: int
    """N of the normal run; 0: not part of it."""
    long: int
    """N of the long run."""
    alone: bool = False
    """Whether it measures time, so that nothing may run beside the long run of it."""
    root: bool = False
    """Whether it mounts file systems."""
    minutes: float = 0.5
    """About how long the long run takes."""


ROWS: dict[str, Row] = {
    "K1": Row(
        k1_workers_killed,
        "SIGKILL of four workers at random points, replaced",
        100,
        10_000,
        alone=True,
    ),
    "K2": Row(k2_writer_points, "SIGKILL of a worker at eight points of a call", 1, 50),
    "K3": Row(k3_listener_killed, "SIGKILL of the listener every 5–30 ms, with rotation", 50, 5_000, minutes=3),
    "K4": Row(k4_listener_points, "the listener killed before, in, after every file call; pairs of kills", 5, 300),
    "K5": Row(
        k5_all_killed,
        "parent, workers, supervisor and listener killed together; then `setup` or `recover`",
        4,
        300,
        minutes=4,
    ),
    "K6": Row(k6_parent_killed, "the parent alone killed", 3, 50, alone=True),
    "K7": Row(k7_ways_to_die, "ways to die after 1,000 records", 2, 20),
    "K8": Row(k8_neighbour_killed, "a neighbour killed in mid-burst", 10, 200, alone=True),
    "T1": Row(t1_listener_stopped, "listener stopped for so many seconds", 10, 40, alone=True),
    "T2": Row(t2_worker_stopped, "workers stopped inside a call", 400, 20_000, alone=True),
    "T3": Row(t3_handler_hangs, "a handler sleeps for ever", 100, 1_000, alone=True),
    "D1": Row(d1_disk_full, "disk full for three seconds", 1_500, 10_000, root=True),
    "D2": Row(d2_system_calls, "the N-th system call fails, by strace", 0, 1_000, minutes=8),
    "D3": Row(d3_short_writes, "short and failing writes", 200, 2_000),
    "D4": Row(d4_log_moved, "log renamed, deleted, replaced, copytruncated", 14, 210, minutes=2),
    "D5": Row(d5_followed, "`tail -n +1 -F` through kills of the listener", 10, 100),
    "D6": Row(d6_spool_troubles, "spool full, tiny, read-only, removed", 1, 10, root=True),
    "D7": Row(d7_damaged_journals, "journals damaged", 30, 10_000, minutes=4),
    "F1": Row(f1_crowd, "processes, a quarter alive at once, half killed", 60, 2_000, alone=True),
    "F2": Row(f2_few_descriptors, "RLIMIT_NOFILE 64 in the listener, 16 in workers", 30, 200),
    "F3": Row(f3_forks, "nine kinds of children beside four threads that log", 4, 200),
    "F4": Row(f4_signals, "signals, finalizers, KeyboardInterrupt in logging", 2, 20),
    "F5": Row(f5_threads, "32 threads of one process", 20_000, 1_000_000),
    "C1": Row(c1_clock_steps, "wall clock steps", 500, 20_000),
    "C2": Row(c2_order, "order under load, with kills of the listener", 8_000, 400_000),
    "O1": Row(o1_console, "console slow, closed, hung", 5_000, 700_000, alone=True),
    "O10": Row(o10_second_listener, "a second listener on the file", 50, 1_000),
    "B1": Row(b1_overflow, "accounting under overflow", 6, 100),
    "H2": Row(h2_fuzz, "bytes of every kind for each of five readers", 25, 3_000, minutes=5),
    "X1": Row(x1_hostile_worker, "a hostile worker", 100, 1_000),
}


def main(name: str, n: int) -> Figures:
    """Run one row in a fresh directory."""
    row = ROWS[name]
    with tempfile.TemporaryDirectory(prefix=f"mplog-{name}-") as directory:
        place = Path(directory, "x")
        place.mkdir(0o700)
        if name == "K4" and n < 100:
            return k4_listener_points(place, n, stride=7)
        return row.run(place, n)


if __name__ == "__main__":
    began = time.monotonic()
    print(json.dumps({**main(sys.argv[1], int(sys.argv[2])), "seconds": round(time.monotonic() - began, 1)}))
