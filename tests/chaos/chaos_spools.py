"""Row D6: a spool that is full, tiny, read-only, or removed while it is used."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos_rig import Figures, Log, Rig, Verdict, logger_of, real_session, wait

from mplog import worker

MS_REMOUNT_BIND_RDONLY, MS_PRIVATE_REC, MS_BIND = 0x20 | 0x1000 | 1, 1 << 18 | 0x4000, 0x1000
CLONE_NEWNS = 0x20000


def d6_spool_troubles(directory: Path, n: int) -> Figures:
    """The spool full, of 64 KiB, read-only, removed: no SIGBUS, nothing raised, one warning, an exact count.

    Where there is a second directory for journals, nothing is dropped. Needs root for mounts.
    """
    full = _small(directory / "full", n, "192k")
    tiny = _small(directory / "tiny", n, "64k")
    assert tiny["dropped"] > 0, tiny
    second = _small(directory / "second", n, "64k", second=True)
    assert second["dropped"] == 0, second
    read_only = _read_only(directory / "read-only", n)
    removed = _removed(directory / "removed", n)
    total = {name: sum(verdict[name] for verdict in (full, tiny, second, read_only)) for name in ("records", "dropped")}
    return {"lost": 0, "twice": 0, "torn": 0, "disorder": 0, **total, **removed}


def _small(directory: Path, n: int, size: str, *, second: bool = False) -> Verdict:
    """Log into a spool on a small file system, perhaps with another directory to go on in."""
    directory.mkdir()
    with _tmpfs(directory / "spool", size):
        other = directory / "second"
        rig = Rig(directory, second=str(other) if second else None, block_timeout=0.02)
        listener = rig.begin()
        count = 4_000 * n

        def work(number: int, log: Log) -> None:
            _say_into(directory / f"said.{number}")
            for k in range(1, count + 1):
                log(k, 300)

        codes = [wait(pid, 60) for pid in [rig.work(work, bye=True) for _ in range(2)]]
        assert codes == [0, 0], codes
        rig.held.release()
        assert wait(listener, 30) == 0
        verdict = rig.verdict()
        assert verdict["records"] + verdict["dropped"] == 2 * count, verdict
        assert verdict.holds, verdict
        for said in directory.glob("said.*"):
            assert said.read_text().count("mplog:") <= 1, said.read_text()
        return verdict


def _read_only(directory: Path, n: int) -> Verdict:
    """Log in a process for which the spool is read-only: into the second directory, or, without one, nowhere."""
    directory.mkdir()
    found = []
    for name, second in (("with", str(directory / "second")), ("without", None)):
        rig = Rig(directory / name, second=second)
        if second:
            os.makedirs(rig.spool.journal_directories[1], 0o700)
        listener = rig.begin()

        def work(number: int, log: Log, rig: Rig = rig, second: str | None = second) -> None:
            _say_into(rig.directory / "said")
            if not second and worker.current is not None:
                worker.current.spool.leave_way()  # A way in that is not read-only: see `Spool.keep_way`.
            _make_read_only(rig.root)
            for k in range(1, 1_000 * n + 1):
                log(k, 300)

        assert wait(rig.work(work), 60) == 0
        rig.end(listener)
        found.append(rig.verdict())
        said = (rig.directory / "said").read_text()
        assert said.count("\n") == (0 if second else 1), said
    assert found[0].holds, found
    assert found[0]["records"] == 1_000 * n, found
    assert found[1]["records"] == 0, found
    return found[0]


def _removed(directory: Path, n: int) -> dict[str, Any]:
    """Remove the spool of a session in use: it goes on with a new one, and what is logged from then on is there."""
    directory.mkdir()
    rig = Rig(directory)
    shutil.rmtree(rig.root)
    os.mkdir(rig.root, 0o700)

    def program() -> None:
        _say_into(directory / "said")
        with real_session(rig) as session:
            log = logger_of(rig, 0)
            for k in range(1, 101):
                log(k, 300)
            assert session.flush()
            _remove(rig.spool.path)
            began = time.monotonic()
            k = 100
            after = 0
            while time.monotonic() - began < 3:
                k += 1
                log(k, 300)
                time.sleep(0.002)
                # Until then it may not know yet, and what it has written is gone with the spool.
                if not after and time.monotonic() - began > 1.5:
                    after = k
        (directory / "found").write_text(json.dumps({"after": after, "logged": k}))

    assert wait(rig.fork(program), 60) == 0
    found = json.loads((directory / "found").read_text())
    data = Path(rig.file).read_bytes()
    numbers = {k for k in range(1, found["logged"] + 1) if b'"msg":"n 0 %d ' % k in data}
    missing = set(range(1, 101)) | set(range(found["after"], found["logged"] + 1))
    missing -= numbers
    assert not missing, (len(missing), min(missing), max(missing), found)
    said = (directory / "said").read_text()
    assert said.count("mplog:") <= 2, said
    return {"gone_with_the_spool": found["logged"] - len(numbers)}


@contextlib.contextmanager
def _tmpfs(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    assert os.system(f"mount -t tmpfs -o size={size},mode=700 tmpfs {place}") == 0
    try:
        yield
    finally:
        os.system(f"umount -l {place}")


def _make_read_only(path: str) -> None:
    """Make a directory read-only for this process alone (mount_namespaces(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.fsencode(path)
    for made in (
        libc.unshare(CLONE_NEWNS),
        libc.mount(b"none", b"/", None, MS_PRIVATE_REC, None),
        libc.mount(place, place, None, MS_BIND, None),
        libc.mount(b"none", place, None, MS_REMOUNT_BIND_RDONLY, None),
    ):
        assert made == 0, os.strerror(ctypes.get_errno())


def _remove(path: str) -> None:
    """Remove a directory that others go on using: away at once, and then emptied, whatever appears in it."""
    away = path + ".gone"
    os.rename(path, away)
    while os.path.exists(away):
        with contextlib.suppress(OSError):
            shutil.rmtree(away)


def _say_into(path: Path) -> None:
    """Send this process's stderr into a file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 2)
    os.close(fd)
