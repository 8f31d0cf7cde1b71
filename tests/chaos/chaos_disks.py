"""Rows about disks and files: full, short, moved, damaged."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

from chaos_points import copy_of, template
from chaos_rig import (
    Figures,
    Log,
    Rig,
    eventually,
    figures,
    kill,
    steady,
    verdict_by_worker,
    wait,
)


def d1_disk_full(directory: Path, n: int) -> Figures:
    """The log's file system is full for a while: nothing is lost, and one record says so. Needs root for a tmpfs."""
    mount = directory / "small"
    mount.mkdir(parents=True)
    assert os.system(f"mount -t tmpfs -o size=256k tmpfs {mount}") == 0
    try:
        rig = Rig(directory, file=str(mount / "app.json"))
        listener = rig.begin()

        def work(number: int, log: Log) -> None:
            for k in range(1, n + 1):
                log(k, 300)

        assert wait(rig.work(work), 30) == 0
        assert eventually(lambda: os.statvfs(mount).f_bavail == 0)
        time.sleep(0.3)
        assert os.system(f"mount -o remount,size=64m {mount}") == 0
        rig.end(listener, 120)
        notes = [line for line in Path(rig.file).read_bytes().splitlines() if b'"event":"disk_full"' in line]
        assert len(notes) == 1, notes
        return figures(rig.verdict(), notes=len(notes))
    finally:
        os.system(f"umount {mount}")


def d3_short_writes(directory: Path, n: int) -> Figures:
    """Every write to the log is short, and many fail: the listener resumes at the exact byte."""
    rig = template(directory, workers=3, records=n)
    generator = random.Random(3)

    def prepare() -> None:
        real = os.write

        def short(fd: int, data: Any) -> int:
            if generator.random() < 0.2:
                raise OSError(28, "No space left on device")
            return real(fd, bytes(data)[: generator.randint(1, 3000)])

        os.write = short
        from mplog._listener import batch

        batch.RETRY_AFTER = (0.001, 0.002)

    listener = rig.begin(prepare)
    rig.end(listener, 60)
    return figures(rig.verdict())


def d4_log_moved(directory: Path, n: int) -> Figures:
    """The log renamed again and again while it is written: the union of all files is complete."""
    rig = Rig(directory)
    listener = rig.begin()
    pid = rig.work(steady)
    for index in range(n):
        time.sleep(0.05)
        if os.path.exists(rig.file):
            os.rename(rig.file, f"{rig.file}.{n - index}")
        if index == n // 2:
            os.mkdir(rig.file)
            time.sleep(0.2)
            os.rmdir(rig.file)
    kill(pid)
    rig.end(listener, 120)
    return figures(rig.verdict(), files=len(rig.files()))


def d6_spool_troubles(directory: Path, n: int) -> Figures:
    """The spool full: no SIGBUS, calls wait and then drop with an exact count. Needs root for a tmpfs."""
    mount = directory / "spool"
    mount.mkdir()
    assert os.system(f"mount -t tmpfs -o size=192k,mode=700 tmpfs {mount}") == 0
    try:
        rig = Rig(directory, block_timeout=0.02)
        listener = rig.begin()
        count = 4_000 * n

        def work(number: int, log: Log) -> None:
            for k in range(1, count + 1):
                log(k, 300)

        codes = [wait(pid, 60) for pid in [rig.work(work, bye=True) for _ in range(2)]]
        assert codes == [0, 0], codes
        rig.held.release()
        assert wait(listener, 30) == 0
        verdict = rig.verdict()
        assert verdict["records"] + verdict["dropped"] == 2 * count, verdict
        return figures(verdict)
    finally:
        os.system(f"umount -l {mount}")


def d7_damaged_journals(directory: Path, n: int) -> Figures:
    """Bits flipped, zeroed and cut in journals: the listener lives, and what is undamaged is delivered."""
    first = template(directory / "first", workers=2, records=40)
    generator = random.Random(7)
    victim = sorted(os.listdir(first.spool.journals))
    victim_name = next(name for name in victim if name.endswith(".mapped"))
    other_lines = 0
    for _ in range(n):
        rig = copy_of(first, directory / "trial")
        path = os.path.join(rig.spool.journals, victim_name)
        data = bytearray(Path(path).read_bytes())
        used = len(data.rstrip(b"\0"))
        for _ in range(generator.randint(1, 8)):
            at = generator.randrange(used)
            kind = generator.randrange(4)
            if kind == 0:
                data[at] ^= 1 << generator.randrange(8)
            elif kind == 1:
                data[at : at + 40] = bytes(40)
            elif kind == 2:
                data[at : at + 40] = generator.randbytes(40)
            elif generator.random() < 0.2:
                del data[at:]
                used = max(1, len(data))
        Path(path).write_bytes(data)
        rig.finish()
        verdict = rig.verdict()
        whole = [b for b in verdict_by_worker(rig) if len(b) == 40]
        assert whole, verdict
        other_lines += 1
    return {"cases": n, "undamaged_complete": other_lines}
