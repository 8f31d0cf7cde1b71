"""Rows about the listener: killed at random points and at every file call, and two of them."""

from __future__ import annotations

import os
import random
import subprocess
import time
from itertools import pairwise
from pathlib import Path

from chaos_points import MODES, copy_of, crash, template
from chaos_rig import (
    Figures,
    Log,
    Rig,
    eventually,
    figures,
    kill,
    naps,
    steady,
    wait,
)


def k3_listener_killed(directory: Path, n: int) -> Figures:
    """SIGKILL of the listener at random points every 5-30 ms, rotation included."""
    rig = Rig(directory, max_bytes=2_000_000)
    nap = naps()
    living = [rig.work(steady) for _ in range(3)]
    for _ in range(n):
        pid = rig.listen()
        time.sleep(next(nap))
        kill(pid)
    for pid in living:
        kill(pid)
    rig.finish()
    return figures(rig.verdict(), kills=n, files=len(rig.files()))


def k4_listener_points(directory: Path, n: int, *, stride: int = 1) -> Figures:
    """The listener killed before, in and after each call that changes a file; `n` pairs of kills in a row."""
    first = template(directory / "first", max_bytes=20_000)
    points = 0
    for mode in MODES:
        at = 1 + (points % stride)
        while True:
            rig = copy_of(first, directory / "trial")
            if not crash(rig, at, mode):
                break
            rig.finish()
            verdict = rig.verdict()
            assert verdict.holds, (at, mode, verdict)
            points += 1
            at += stride
    generator = random.Random(n)
    for _ in range(n):
        rig = copy_of(first, directory / "trial")
        pair = [(generator.randint(1, most), generator.choice(MODES)) for most in (70, 40)]
        if all(crash(rig, at, mode) for at, mode in pair):
            rig.finish()
        verdict = rig.verdict()
        assert verdict.holds, (pair, verdict)
    return {"points": points, "pairs": n, "lost": 0, "twice": 0, "torn": 0}


def c2_order(directory: Path, n: int) -> Figures:
    """The merge under load, with kills of the listener: no record comes later than a younger one."""
    rig = Rig(directory)
    pids = [rig.work(lambda number, log: [_paced(log, k) for k in range(1, n // 4 + 1)]) for _ in range(4)]
    kills = 0
    nap = naps(0.05, 0.3)
    while any(_lives(pid) for pid in pids):
        listener = rig.listen()
        time.sleep(next(nap))
        kill(listener)
        kills += 1
    for pid in pids:
        wait(pid, 60)
    rig.finish()
    times = [line[9:35] for line in Path(rig.file).read_bytes().splitlines() if b'"logger":"chaos"' in line]
    # The key by which lines are merged and `time` are one reading of the clock.
    late = sum(a > b for a, b in pairwise(times))
    assert late == 0, late
    return figures(rig.verdict(), kills=kills, late=late)


def _paced(log: Log, k: int) -> None:
    log(k, 30)
    if k % 50 == 0:
        time.sleep(0.0005)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"


def o10_second_listener(directory: Path, n: int) -> Figures:
    """A second listener, of another spool, waits as long as the first one has the file."""
    first = Rig(directory)
    second = object.__new__(Rig)
    second.__dict__.update(first.__dict__)
    second.spool = type(first.spool)(str(directory / "spool" / "other"), None)
    second.spool.create()
    second.handle = first.handle._replace(path=second.spool.path)
    one = first.begin()
    hold = first.work(steady)
    assert eventually(lambda: os.path.exists(first.file) and os.path.getsize(first.file) > 0)
    second.workers = first.workers
    other = second.work(lambda number, log: [log(k, 20) for k in range(1, n + 1)])
    first.workers = second.workers
    assert wait(other) == 0
    two = second.listen()
    time.sleep(0.3)
    assert b'"n 1 ' not in Path(first.file).read_bytes()
    kill(hold)
    first.end(one, 30)
    assert wait(two, 30) == 0
    return figures(first.verdict())


def d5_followed(directory: Path, n: int) -> Figures:
    """`tail -n +1 -F` through `n` kills of the listener prints what is in the file: each byte once, none anew."""
    rig = Rig(directory)
    nap = naps(0.02, 0.08)
    with open(directory / "seen", "wb") as out, open(directory / "said", "wb") as said:
        follower = subprocess.Popen(["tail", "-n", "+1", "-s", "0.05", "-F", rig.file], stdout=out, stderr=said)
        try:
            living = [rig.work(steady) for _ in range(2)]
            for _ in range(n):
                pid = rig.listen()
                time.sleep(next(nap))
                kill(pid)
            for pid in living:
                kill(pid)
            rig.finish()
            whole = Path(rig.file).read_bytes()
            assert eventually(lambda: (directory / "seen").stat().st_size >= len(whole), 20)
            assert (directory / "seen").read_bytes() == whole, "`tail` has printed something else"
            assert b"truncated" not in (directory / "said").read_bytes()
        finally:
            follower.kill()
            follower.wait()
    return figures(rig.verdict(), kills=n, bytes=len(whole))
