"""Rows about disks and files: full, short, moved, damaged."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from chaos_points import copy_of, template
from chaos_rig import (
    Figures,
    Log,
    Rig,
    Verdict,
    eventually,
    figures,
    kill,
    state_of,
    steady,
    wait,
)

from mplog._listener import certificate
from mplog.listener import Listener


def d1_disk_full(directory: Path, n: int) -> Figures:
    """The log's file system is full for a while, under `block` and under `drop`; one record says so.

    Under `block` nothing is lost; under `drop`, with a small quota, every record is in the log or counted.
    """
    seconds = 3.0 if n >= 10_000 else 0.5
    block = _full(directory / "block", n, seconds)
    drop = _full(directory / "drop", n, seconds, overflow="drop", quota=128 * 1024)
    assert block["dropped"] == 0, block
    assert drop["dropped"] > 0, drop
    assert drop["records"] + drop["dropped"] == n, drop
    return {**drop, "records": block["records"] + drop["records"], "full_s": seconds, "notes": 2}


def _full(directory: Path, n: int, seconds: float, **policy: Any) -> Verdict:
    mount = directory / "small"
    mount.mkdir(parents=True)
    assert os.system(f"mount -t tmpfs -o size=256k tmpfs {mount}") == 0
    try:
        rig = Rig(directory, file=str(mount / "app.json"), **policy)
        listener = rig.begin()

        def is_full() -> bool:
            return os.statvfs(mount).f_bavail == 0

        def holds(size: int) -> bool:
            return is_full() or (os.path.exists(rig.file) and os.path.getsize(rig.file) >= size)

        def fill(number: int, log: Log) -> None:
            for k in range(1, n + 1):
                log(k, 300)
                if k % 100 == 0 and not is_full():  # Else a small quota would drop so much that it never becomes full.
                    assert eventually(lambda k=k: holds(300 * k))

        assert wait(rig.work(fill, bye=True), 30) == 0
        assert is_full()
        time.sleep(seconds)
        assert os.system(f"mount -o remount,size=256m {mount}") == 0
        rig.end(listener, 120)
        notes = [line for line in Path(rig.file).read_bytes().splitlines() if b'"event":"disk_full"' in line]
        assert len(notes) == 1, notes
        verdict = rig.verdict()
        assert verdict.holds, verdict
        return verdict
    finally:
        os.system(f"umount -l {mount}")


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
    """The log renamed, deleted, exchanged for a directory, a link and a fifo, its directory removed, copytruncated.

    It is there again within a second; all that was written is in what was moved away and what is there; nothing goes
    through a link or into a fifo. A copytruncate stops the listener for as long as it takes: what is written between
    its copy and its truncation is lost to every program.
    """
    place = directory / "logs"
    place.mkdir(parents=True, mode=0o700)
    rig = Rig(directory, file=str(place / "app.json"))
    listener = rig.begin()
    pid = rig.work(steady)
    file = Path(rig.file)
    kept: list[IO[bytes]] = []
    slowest = 0.0
    generator = random.Random(4)
    for index in range(n):
        assert eventually(lambda: file.exists() and file.stat().st_size > 0), index
        kept.append(file.open("rb"))
        began = MOVES[index % len(MOVES)](file, place, listener)
        found = eventually(lambda: file.is_file() and file.stat().st_size > 0, 5)
        assert found, (index, MOVES[index % len(MOVES)].__name__)
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(generator.uniform(0.0, 0.1 if n < 100 else 0.5))
    kill(pid)
    rig.end(listener, 120)
    assert slowest <= 1.0 or n < 100, slowest
    contents = [kept_file.read() for kept_file in kept]
    for kept_file in kept:
        kept_file.close()
    copies = {int(path.name.rpartition(".")[2]): path.read_bytes() for path in place.glob("app.json.copy.*")}
    for index, copy in copies.items():
        contents[index] = copy
    contents.append(file.read_bytes())
    return figures(rig.verdict(contents), moves=n, slowest_reopening_s=round(slowest, 2))


def _rename(file: Path, place: Path, listener: int) -> float:
    file.rename(f"{file}.old")
    return time.monotonic()


def _delete(file: Path, place: Path, listener: int) -> float:
    file.unlink()
    return time.monotonic()


def _directory_instead(file: Path, place: Path, listener: int) -> float:
    file.unlink()
    if not eventually(lambda: _made(file.mkdir)):
        raise AssertionError("the listener was always faster")
    time.sleep(0.1)
    file.rmdir()
    return time.monotonic()


def _link_instead(file: Path, place: Path, listener: int) -> float:
    target = place / "elsewhere"
    target.touch()
    (place / "link").symlink_to(target)
    os.replace(place / "link", file)
    time.sleep(0.1)
    assert target.stat().st_size == 0, "something was written through a link"
    assert file.is_symlink()
    file.unlink()
    return time.monotonic()


def _fifo_instead(file: Path, place: Path, listener: int) -> float:
    os.mkfifo(place / "fifo")
    reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.replace(place / "fifo", file)
    time.sleep(0.1)
    try:
        assert os.read(reader, 100) == b"", "something was written into a fifo"
    except BlockingIOError:
        pass  # Somebody has it open: the listener, which looks what it is.
    finally:
        os.close(reader)
    file.unlink()
    return time.monotonic()


def _directory_removed(file: Path, place: Path, listener: int) -> float:
    away = place.with_name(f"logs.{time.monotonic_ns()}")
    place.rename(away)
    for copy in away.glob("app.json.copy.*"):
        if eventually(place.is_dir):
            copy.rename(place / copy.name)
    return time.monotonic()


def _copytruncate(file: Path, place: Path, listener: int) -> float:
    os.kill(listener, signal.SIGSTOP)
    eventually(lambda: state_of(listener) == "T")
    index = len(list(place.glob("app.json.copy.*"))) * len(MOVES) + MOVES.index(_copytruncate)
    shutil.copyfile(file, f"{file}.copy.{index}")
    os.truncate(file, 0)
    os.kill(listener, signal.SIGCONT)
    return time.monotonic()


def _made(make: Callable[[], object]) -> bool:
    try:
        make()
    except FileExistsError:
        return False
    return True


MOVES = (_rename, _delete, _directory_instead, _link_instead, _fifo_instead, _directory_removed, _copytruncate)


def d7_damaged_journals(directory: Path, n: int) -> Figures:
    """Bits flipped, zeroed, cut, of another version, in segments, owner files and the commit log of the dead.

    The listener lives, every line that was not touched is in the log once, and what is no line any more is counted.
    """
    first = template(directory / "first", workers=2, records=40)
    names = sorted(os.listdir(first.spool.journals))
    victim = next(name for name in names if name.endswith(".mapped"))
    whole = {name: Path(first.spool.journals, name).read_bytes() for name in names if name.endswith(".mapped")}
    generator = random.Random(7)
    total: Counter[str] = Counter()
    trial = directory / "trial"
    certificate.PATIENCE = 0.0
    for _ in range(n):
        rig = copy_of(first, trial)
        data = _damage(generator, bytearray(whole[victim]), len(whole[victim].rstrip(b"\0")))
        Path(rig.spool.journals, victim).write_bytes(data)
        _damage_others(generator, rig, victim)
        expected = [line for name in whole if name != victim for line in whole[name].rstrip(b"\0").splitlines()]
        expected += _untouched(whole[victim], bytes(data))
        listener = Listener(rig.spool, rig.config)
        assert eventually(lambda listener=listener: not listener.step(drain=True) and not listener.intake.journals)
        assert not listener.stats.errors
        listener.close()
        found = Counter(Path(rig.file).read_bytes().splitlines())
        for line in expected:
            assert found[line[17:]] == 1, (line, found[line[17:]])
        total["lines_delivered"] += len(expected)
        total["lines_damaged"] += listener.stats.damaged
        # A hole of zeros is what a killed process leaves, and no damage; a line of another shape is.
        if STRANGE in data and b"\0" not in data.rstrip(b"\0"):
            assert listener.stats.damaged, bytes(data)
            total["cases_counted"] += 1
    return {"lost": 0, "twice": 0, "torn": 0, "disorder": 0, "cases": n, **total}


STRANGE = b'\nversion 2 {"msg":1}\n\n'


def _damage(generator: random.Random, data: bytearray, used: int) -> bytearray:
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(used)
        kind = generator.randrange(5)
        if kind == 0:
            data[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            data[at : at + 40] = bytes(40)
        elif kind == 2:
            data[at : at + 40] = generator.randbytes(40)
        elif kind == 3:
            data[at : at + len(STRANGE)] = STRANGE
        elif generator.random() < 0.2:
            del data[at:]
            used = max(1, len(data))
    return data


def _damage_others(generator: random.Random, rig: Rig, victim: str) -> None:
    """Damage, now and then, the victim's owner file or the commit log."""
    for path in (Path(rig.spool.journals, victim.partition(".")[0] + ".owner"), Path(rig.spool.file("commits"))):
        if generator.random() < 0.3:
            data = bytearray(path.read_bytes() if path.exists() else b'{"version":2,"state":[]}\n')
            at = generator.randrange(len(data))
            data[at : at + 30] = generator.choice((bytes(30), generator.randbytes(30), b""))
            path.write_bytes(data)


def _untouched(before: bytes, after: bytes) -> list[bytes]:
    """Return the lines that stand after the damage where they stood, with an end of line on both sides."""
    lines, start = [], 0
    for line in before.rstrip(b"\0").splitlines(keepends=True):
        if after[start : start + len(line)] == line and (not start or after[start - 1] == 10):
            lines.append(line[:-1])
        start += len(line)
    return lines
