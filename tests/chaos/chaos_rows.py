"""The rows of the fault suite about kills, disks and overflow: each a function of N that returns its figures.

The normal run calls them with a small N, ``python -m tests.chaos`` with the large one. A row that does not hold raises.
"""

from __future__ import annotations

import ctypes
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from chaos_points import MODES, copy_of, crash, template, writer
from chaos_rig import Rig, Verdict, burst, kill, naps, wait

from mplog import worker

Figures = dict[str, Any]
Log = Callable[[int, int], None]


def figures(verdict: Verdict, **more: Any) -> Figures:
    """Return the figures of a row that holds; raise if it does not."""
    assert verdict.holds, {**verdict, **more}
    return {**verdict, **more}


def k1_workers_killed(directory: Path, n: int) -> Figures:
    """SIGKILL of four workers at random points, each replaced, while one listener lives."""
    memory = tempfile.mkdtemp(prefix="mplog-k1-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        return _k1(Rig(directory, spool=memory), n)
    finally:
        shutil.rmtree(memory, ignore_errors=True)


def _k1(rig: Rig, n: int) -> Figures:
    listener = rig.begin()
    before = rss(listener)
    living = [rig.work(burst()) for _ in range(4)]
    nap = naps()
    for _ in range(n):
        time.sleep(next(nap) / 2)
        victim = random.randrange(4)
        kill(living[victim])
        living[victim] = rig.work(burst())
        if rig.workers > 19_000:
            break
    grown = rss(listener) - before
    for pid in living:
        kill(pid)
    rig.end(listener, 120)
    assert grown < 16 << 20, f"the listener grew by {grown} bytes"
    return figures(rig.verdict(), kills=n + 4, grown_kib=grown >> 10)


def k2_writer_points(directory: Path, n: int) -> Figures:
    """SIGKILL of a worker between claim and copy, half way through the copy, after it, and while it opens a segment."""
    done = 0
    for _ in range(n):
        for point, written in (
            ("claimed", 5), ("half", 5), ("copied", 6), ("no newline", 5),
            ("created", 5), ("not mapped", 5), ("not owned", 0), ("not locked", 0),
        ):  # fmt: skip
            rig = Rig(directory / f"{done}")
            pid = rig.work(lambda number, log, point=point, rig=rig: _die_at(point, rig, number, log))
            assert wait(pid) == -signal.SIGKILL
            rig.finish()
            found = rig.verdict()
            assert found.holds, (point, found)
            assert found["records"] == written, (point, found)
            done += 1
    return {"kills": done, "lost": 0, "twice": 0, "torn": 0}


class _Trap:
    """A mapping that kills its process in the middle of a copy."""

    def __init__(self, memory: Any, part: float) -> None:
        self.memory, self.part = memory, part

    def __setitem__(self, place: slice, data: bytes) -> None:
        size = int(len(data) * self.part) if self.part <= 1 else len(data) - 1
        self.memory[place.start : place.start + size] = data[:size]
        die()


def die(*_: Any, **__: Any) -> Any:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(point: str, rig: Rig, number: int, log: Log) -> None:
    import fcntl
    import mmap

    if point == "not owned":
        os.rename = die
    elif point == "not locked":
        fcntl.lockf = die
    for n in range(1, 6):
        log(n, 50)
    journal = worker.current.journal
    if point in ("created", "not mapped"):
        journal._finish_segment()
        if point == "created":
            os.posix_fallocate = die
        else:
            mmap.mmap = die
    parts = {"claimed": 0.0, "half": 0.5, "copied": 1.0, "no newline": 2.0}
    if point in parts:
        journal.memory = _Trap(journal.memory, parts[point])
    log(6, 50)


def k3_listener_killed(directory: Path, n: int) -> Figures:
    """SIGKILL of the listener at random points every 5-30 ms, rotation included."""
    rig = Rig(directory, max_bytes=2_000_000)
    nap = naps()
    living = [rig.work(_steady) for _ in range(3)]
    for _ in range(n):
        pid = rig.listen()
        time.sleep(next(nap))
        kill(pid)
    for pid in living:
        kill(pid)
    rig.finish()
    return figures(rig.verdict(), kills=n, files=len(rig.files()))


def _steady(number: int, log: Log) -> None:
    n = 0
    while True:
        n += 1
        log(n, 200)
        if n % 10 == 0:
            time.sleep(0.004)


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


def k5_all_killed(directory: Path, n: int) -> Figures:
    """Workers and listener killed together; the next listener on the same spool completes the log."""
    rig = Rig(directory)
    nap = naps(0.02, 0.06)
    for _ in range(n):
        family = [rig.listen(), *(rig.work(burst()) for _ in range(3))]
        time.sleep(next(nap))
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        for pid in family:
            wait(pid)
    rig.finish()
    return figures(rig.verdict(), times=n)


def k7_ways_to_die(directory: Path, n: int) -> Figures:
    """A thousand records, then death in every way there is: a thousand records in the log."""
    rig = Rig(directory)
    listener = rig.begin()
    started = []
    for _ in range(n):
        for way in WAYS:
            started.append((way, rig.work(lambda number, log, way=way: _thousand_then(log, WAYS[way]))))
            if len(started) % 4 == 0:
                time.sleep(0.02)
    codes: dict[str, int] = {}
    for way, pid in started:
        codes[way] = wait(pid, 30)
    rig.end(listener, 120)
    verdict = rig.verdict()
    assert verdict["records"] == 1000 * len(started), verdict
    return figures(verdict, processes=len(started), codes=codes)


def _thousand_then(log: Log, end: Callable[[], Any]) -> None:
    for n in range(1, 1001):
        log(n, 60)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    end()


def _exhaust() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


WAYS: dict[str, Callable[[], Any]] = {
    "SIGKILL": die,
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "null pointer": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "os._exit": lambda: os._exit(7),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "out of memory": _exhaust,
    "exception": lambda: 1 / 0,
    "sys.exit": lambda: sys.exit(3),
    "exec": lambda: os.execv("/bin/true", ["true"]),
}


def k8_neighbour_killed(directory: Path, n: int) -> Figures:
    """One of three workers killed in mid-burst: the others never wait for a second."""
    rig = Rig(directory)
    listener = rig.begin()
    slowest = os.path.join(directory, "slowest")

    def work(number: int, log: Log) -> None:
        worst, k = 0.0, 0
        signal.signal(signal.SIGUSR1, lambda *_: (Path(f"{slowest}{number}").write_text(str(worst)), os._exit(0)))
        while True:
            k += 1
            began = time.perf_counter()
            log(k, 2000)
            worst = max(worst, time.perf_counter() - began)
            if k % 20 == 0:
                time.sleep(0.002)

    others = [rig.work(work), rig.work(work)]
    for _ in range(n):
        pid = rig.work(burst())
        time.sleep(0.01)
        kill(pid)
    for pid in others:
        os.kill(pid, signal.SIGUSR1)
        assert wait(pid) == 0
    rig.end(listener, 120)
    worst = max(float(path.read_text()) for path in Path(directory).glob("slowest*"))
    assert worst < 1.0, worst
    return figures(rig.verdict(), kills=n, slowest_ms=round(worst * 1000, 1))


def t1_listener_stopped(directory: Path, n: int) -> Figures:
    """The listener stopped: no call waits longer than its policy, and what is dropped is counted exactly."""
    rig = Rig(directory, quota=256 * 1024, block_timeout=0.05)
    listener = rig.begin()
    produced = Path(directory, "produced")

    def work(number: int, log: Log) -> None:
        worst = 0.0
        for k in range(1, n + 1):
            began = time.perf_counter()
            log(k, 300)
            worst = max(worst, time.perf_counter() - began)
        produced.write_text(f"{n} {worst}")
        os.kill(listener, signal.SIGCONT)
        worker.uninstall()

    time.sleep(0.1)
    os.kill(listener, signal.SIGSTOP)
    assert wait(rig.work(work), 60) == 0
    rig.end(listener, 120)
    verdict = rig.verdict()
    count, worst = produced.read_text().split()
    assert verdict["records"] + verdict["dropped"] == int(count), verdict
    assert verdict["dropped"] > 0, verdict
    assert float(worst) < 0.3, worst
    return figures(verdict, produced=int(count), slowest_ms=round(float(worst) * 1000))


def b1_overflow(directory: Path, n: int) -> Figures:
    """produced == written + dropped under `block` with a time-out and under `drop`, also when the worker is killed."""
    total = {"records": 0, "dropped": 0, "produced": 0}
    for index in range(n):
        overflow = ("drop", "block")[index % 2]
        rig = Rig(directory / str(index), quota=128 * 1024, overflow=overflow, block_timeout=0.01)
        killed = index % 3 == 0

        def work(number: int, log: Log, killed: bool = killed) -> None:
            for k in range(1, 1501):
                logging.getLogger("chaos").info("n %d %d %s", number, k, "x" * 200)
            if killed:
                die()
            worker.uninstall()

        wait(rig.work(work))
        rig.finish()
        verdict = rig.verdict()
        assert verdict["records"] + verdict["dropped"] == 1500, (index, overflow, killed, verdict)
        assert verdict["twice"] == verdict["torn"] == verdict["disorder"] == 0, verdict
        for name in ("records", "dropped"):
            total[name] += verdict[name]
        total["produced"] += 1500
    return {**total, "runs": n}


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
    pid = rig.work(_steady)
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


def verdict_by_worker(rig: Rig) -> list[set[int]]:
    """Return the records of each worker that are in the log."""
    import re

    found: dict[bytes, set[int]] = {}
    for path in rig.files():
        for match in re.finditer(rb'"msg":"n (\d+) (\d+) x*"', path.read_bytes()):
            found.setdefault(match[1], set()).add(int(match[2]))
    return list(found.values())


def f4_signals(directory: Path, n: int) -> Figures:
    """SIGALRM at 2 kHz that logs inside logging for two seconds: no break in `seq`."""
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        inner = logging.getLogger("inner")
        count = 0

        def on_alarm(*_: Any) -> None:
            nonlocal count
            count += 1
            inner.info("nested %d", count)

        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        began, k = time.monotonic(), 0
        while time.monotonic() - began < n:
            k += 1
            log(k, 40)
        signal.setitimer(signal.ITIMER_REAL, 0)
        Path(directory, "nested").write_text(str(count))

    assert wait(rig.work(work), 60) == 0
    rig.end(listener, 120)
    nested = int(Path(directory, "nested").read_text())
    data = Path(rig.file).read_bytes()
    lines = [line for line in data.splitlines() if b'"thread":"listener"' not in line]
    seqs = [int(line.split(b'"seq":')[1].split(b"}")[0].split(b",")[0]) for line in lines]
    verdict = rig.verdict()
    # Whoever logs faster than the listener writes has drops, counted ones; the nested records are among them.
    verdict["lost"] += nested - data.count(b'"logger":"inner"')
    missing = len(set(range(1, max(seqs) + 1)) - set(seqs))
    assert missing <= verdict["dropped"], (missing, verdict)
    assert len(seqs) == len(set(seqs)), "a seq is there twice"
    return figures(verdict, nested=nested, missing=missing)


def f5_threads(directory: Path, n: int) -> Figures:
    """Thirty-two threads of one process: every record once, each thread's in order."""
    rig = Rig(directory)
    listener = rig.begin()
    rig.workers = 32

    def body(number: int, log: Log) -> None:
        logger, store = logging.getLogger("chaos"), rig.acknowledged.store

        def run(thread: int) -> None:
            for k in range(1, n // 32 + 1):
                logger.info("n %d %d %s", thread, k, "x" * 40)
                store(thread, k)

        threads = [threading.Thread(target=run, args=(index,)) for index in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    pid = rig.work(body)
    rig.workers = 32
    assert wait(pid, 600) == 0
    rig.end(listener, 120)
    return figures(rig.verdict())


def c1_clock_steps(directory: Path, n: int) -> Figures:
    """The wall clock steps by an hour and by a second: the journal's order is kept."""
    rig = Rig(directory)
    listener = rig.begin()

    def work(number: int, log: Log) -> None:
        real, offset = time.time, [0.0]
        time.time = lambda: real() + offset[0]
        for k in range(1, n + 1):
            offset[0] = random.choice((0.0, 3600.0, -3600.0, 1.0, -1.0))
            log(k, 20)

    for pid in [rig.work(work) for _ in range(3)]:
        assert wait(pid, 30) == 0
    rig.end(listener, 120)
    return figures(rig.verdict())


def x1_hostile_worker(directory: Path, n: int) -> Figures:
    """A worker that writes garbage over its own journal costs nobody else a record, and no byte reaches a terminal."""
    rig = template(directory, workers=2, records=n)
    owner, journal = writer(rig)
    generator = random.Random(1)
    assert not journal._next_segment(0)
    for _ in range(300):
        key = b"%016x" % time.monotonic_ns() if generator.random() < 0.7 else generator.randbytes(16)
        text = generator.randbytes(30).replace(b"\n", b"").replace(b"\0", b"")
        line = key + b' {"msg":"' + text + b'\x1b[2J\xc2\x9b"}\n'
        journal.memory[journal.used : journal.used + len(line)] = line
        journal.used += len(line)
        if journal.used > journal.size - 500:
            break
    journal.close()
    owner.release()
    # Under journals' names: a fifo, a link to a secret, a directory, a huge number.
    os.mkfifo(os.path.join(rig.spool.journals, "f" * 16 + ".owner"))
    Path(directory, "secret").write_bytes(b'%016x {"msg":"secret"}\n' % 1)
    os.symlink(directory / "secret", os.path.join(rig.spool.journals, "e" * 16 + ".000001.mapped"))
    Path(rig.spool.journals, "d" * 16 + ".999999999999.mapped").write_bytes(b"x" * 100)
    Path(rig.spool.journals, "c" * 16 + ".owner").write_bytes(b"[" * 4096)
    rig.finish()
    data = Path(rig.file).read_bytes()
    assert b"secret" not in data
    bad = [byte for byte in data if (byte < 32 and byte != 10) or byte == 127]
    assert not bad, bad[:10]
    assert b"\xc2\x9b" not in data
    bad = [line for line in data.splitlines() if not _decodes(line)]
    assert not bad, bad[:3]
    sets = verdict_by_worker(rig)
    assert [len(found) for found in sets] == [n, n], [len(found) for found in sets]
    return {"others_lost": 0, "bytes": len(data)}


def _decodes(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


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
    # Lines stand in the order of the monotonic clock at the call; `time` was read a moment before or after.
    late = sum(_micros(a) - _micros(b) > 20_000 for a, b in pairwise(times) if a > b)
    assert late == 0, late
    return figures(rig.verdict(), kills=kills, late=late)


def _paced(log: Log, k: int) -> None:
    log(k, 30)
    if k % 50 == 0:
        time.sleep(0.0005)


def _micros(stamp: bytes) -> int:
    hours, minutes, seconds = stamp[11:].split(b":")
    return (int(hours) * 60 + int(minutes)) * 60_000_000 + round(float(seconds) * 1e6)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"


def f3_forks(directory: Path, n: int) -> Figures:  # noqa: C901 - one program, read from top to bottom
    """Forks from C, forks while four threads log, forks of forks: no hang, and no journal is shared.

    From C only without other threads: CPython itself hangs in a child that learns nothing of its fork when another
    thread had asked for the GIL.
    """
    rig = Rig(directory)
    listener = rig.begin()

    def work(_: int, log: Log) -> None:  # noqa: C901
        logger, store = logging.getLogger("chaos"), rig.acknowledged.store
        stop = threading.Event()

        def some(number: int, count: int = 20) -> None:
            for k in range(1, count + 1):
                logger.info("n %d %d %s", number, k, "x" * 50)
                store(number, k)

        def run(thread: int) -> None:
            k = 0
            while not stop.is_set():
                k += 1
                logger.info("n %d %d %s", thread, k, "x" * 50)
                store(thread, k)
                if k % 100 == 0:
                    time.sleep(0.001)

        some(4)
        libc = ctypes.PyDLL(None)
        for index in range(n):
            pid = libc.fork()
            if pid == 0:
                some(5 + index)
                os._exit(0)
            wait(pid)
        threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for index in range(n):
            pid = os.fork()
            if pid == 0:
                some(5 + n + index)
                inner = os.fork()
                if inner == 0:
                    some(5 + 2 * n + index)
                    os._exit(0)
                os._exit(abs(wait(inner)))
            if index % 4 == 3:
                assert wait(pid) == 0
        stop.set()
        for thread in threads:
            thread.join()

    pid = rig.work(work)
    rig.workers = 5 + 3 * n
    assert wait(pid, 120) == 0
    time.sleep(0.5)
    rig.end(listener)
    return figures(rig.verdict(), forks=3 * n)


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


def t3_handler_hangs(directory: Path, n: int) -> Figures:
    """A handler sleeps for ever: the file goes on, and the end is not held up."""
    from mplog._listener import delivery

    class Sleeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            time.sleep(3600)

    rig = Rig(directory)
    delivery.STUCK_AFTER = 1.5
    rig.held = None
    from chaos_rig import Owner, identity

    rig.held = Owner(rig.spool.journal_directories, identity())
    listener = rig.listen(handlers=(Sleeper(),))

    def work(number: int, log: Log) -> None:
        for k in range(1, n + 1):
            log(k, 100)
        time.sleep(2.0)
        log(n + 1, 100)

    assert wait(rig.work(work), 30) == 0
    began = time.monotonic()
    rig.end(listener, 10)
    took = time.monotonic() - began
    assert took < 4.0, took
    notes = Path(rig.file).read_bytes().count(b'"event":"handler_hangs"')
    assert notes == 1, notes
    return figures(rig.verdict(), end_seconds=round(took, 2), notes=notes)


def o1_console(directory: Path, n: int) -> Figures:
    """A console that takes 10 bytes a second, is closed, or hangs, costs the file nothing."""
    from mplog import listener as listening
    from mplog._listener.delivery import ConsoleTarget

    rates = {}
    for kind in ("none", "slow", "closed", "hung"):
        rig = Rig(directory / kind)
        reader, writer_fd = os.pipe()
        stream = os.fdopen(writer_fd, "w")
        if kind == "closed":
            os.close(reader)
        if kind != "none":
            target = ConsoleTarget(stream, lambda fields: str(fields["msg"]), 0)
            listening.targets = lambda *_, target=target: [target]
        else:
            listening.targets = lambda *_: []
        pids = [rig.work(lambda number, log: [log(k, 100) for k in range(1, n + 1)]) for _ in range(2)]
        for pid in pids:
            assert wait(pid, 60) == 0
        began = time.monotonic()
        listener = rig.listen()
        total = 2 * n
        assert eventually(lambda file=rig.file: os.path.exists(file) and _lines(file) >= 2 * n, 60), kind
        rates[kind] = round(total / (time.monotonic() - began))
        if kind == "slow":
            os.read(reader, 10)
        wait(listener, 30)
        figures(rig.verdict())
    return {"rates": rates}


def _lines(path: str) -> int:
    return Path(path).read_bytes().count(b"\n")


def k6_parent_killed(directory: Path, n: int) -> Figures:
    """The parent alone is killed: the listener writes everything and ends within two seconds of the last worker."""
    slowest = 0.0
    for index in range(n):
        rig = Rig(directory / str(index))
        hold_r, hold_w = os.pipe()

        def parent(number: int, log: Log, hold_w: int = hold_w) -> None:
            log(1, 10)
            os.write(hold_w, b"x")
            time.sleep(100)

        def child(number: int, log: Log, hold_w: int = hold_w) -> None:
            for k in range(1, 101):
                log(k, 100)
                if k == 1:
                    os.write(hold_w, b"x")
                time.sleep(0.002)

        first = rig.work(parent)
        os.read(hold_r, 1)
        listener = rig.listen()
        other = rig.work(child)
        os.read(hold_r, 1)
        kill(first)
        assert wait(other) == 0
        began = time.monotonic()
        assert wait(listener, 10) == 0
        slowest = max(slowest, time.monotonic() - began)
        figures(rig.verdict())
    assert slowest <= 2.0, slowest
    return {"times": n, "slowest_end": round(slowest, 2), "lost": 0}


def f2_few_descriptors(directory: Path, n: int) -> Figures:
    """RLIMIT_NOFILE of 64 in the listener and 16 in each worker."""
    rig = Rig(directory)

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    listener = rig.begin(prepare)

    def work(number: int, log: Log) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        for k in range(1, 51):
            log(k, 100)
            time.sleep(0.01)

    for pid in [rig.work(work) for _ in range(n)]:
        assert wait(pid, 60) == 0
    rig.end(listener)
    return figures(rig.verdict(), workers=n)


def o10_second_listener(directory: Path, n: int) -> Figures:
    """A second listener, of another spool, waits as long as the first one has the file."""
    first = Rig(directory)
    second = object.__new__(Rig)
    second.__dict__.update(first.__dict__)
    second.spool = type(first.spool)(str(directory / "spool" / "other"), None)
    second.spool.create()
    second.handle = first.handle._replace(path=second.spool.path)
    one = first.begin()
    hold = first.work(_steady)
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


def rss(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def eventually(true: Callable[[], Any], timeout: float = 10.0) -> bool:
    """Wait until a predicate holds; tell whether it did in time."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


ROWS: dict[str, tuple[Callable[[Path, int], Figures], int, int]] = {
    "K1": (k1_workers_killed, 100, 10_000),
    "K2": (k2_writer_points, 1, 50),
    "K3": (k3_listener_killed, 50, 5_000),
    "K4": (k4_listener_points, 5, 300),
    "K5": (k5_all_killed, 10, 300),
    "K7": (k7_ways_to_die, 2, 20),
    "K8": (k8_neighbour_killed, 10, 200),
    "T1": (t1_listener_stopped, 3_000, 50_000),
    "B1": (b1_overflow, 6, 100),
    "D1": (d1_disk_full, 1_500, 10_000),
    "D3": (d3_short_writes, 200, 2_000),
    "D4": (d4_log_moved, 12, 200),
    "D7": (d7_damaged_journals, 30, 10_000),
    "F4": (f4_signals, 2, 20),
    "F5": (f5_threads, 20_000, 1_000_000),
    "C1": (c1_clock_steps, 500, 20_000),
    "X1": (x1_hostile_worker, 100, 1_000),
    "C2": (c2_order, 8_000, 400_000),
    "F2": (f2_few_descriptors, 30, 200),
    "F3": (f3_forks, 20, 200),
    "D6": (d6_spool_troubles, 1, 10),
    "T3": (t3_handler_hangs, 100, 1_000),
    "O1": (o1_console, 5_000, 100_000),
    "K6": (k6_parent_killed, 3, 50),
    "O10": (o10_second_listener, 50, 1_000),
}
"""Row -> function, N of the normal run, N of the long run."""


def main(name: str, n: int) -> Figures:
    """Run one row in a fresh directory."""
    function = ROWS[name][0]
    with tempfile.TemporaryDirectory(prefix=f"mplog-{name}-") as directory:
        Path(directory, "x").mkdir()
        os.chmod(directory, 0o700)
        if name == "K4" and n < 100:
            return k4_listener_points(Path(directory, "x"), n, stride=7)
        return function(Path(directory, "x"), n)


if __name__ == "__main__":
    import json

    began = time.monotonic()
    print(json.dumps({**main(sys.argv[1], int(sys.argv[2])), "seconds": round(time.monotonic() - began, 1)}))
