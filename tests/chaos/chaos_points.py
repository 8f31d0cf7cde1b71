"""Crash points: a listener is killed before, in the middle of, or after its N-th call that changes a file.

Every step of the listener that matters is such a call (store the intent, write, store done, rename, create, delete),
so N = 1, 2, 3 .. until none is left visits every named point, and every other one.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_rig import Rig, wait

from mplog._shared.account import Policy
from mplog._shared.drops import drop_line
from mplog._shared.journal import JournalWriter
from mplog._shared.owner import Owner, identity

CALLS = ("open", "write", "pwrite", "replace", "rename", "unlink", "rmdir", "posix_fallocate", "fdatasync", "ftruncate")
MODES = ("before", "half", "after")


class Trap:
    """Kill this process at its N-th file-changing call. Installed in a forked listener only."""

    def __init__(self, at: int, mode: str) -> None:
        self.at, self.mode, self.count = at, mode, 0

    def install(self) -> None:
        """Put the trap into `os`."""
        for name in CALLS:
            setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            self.count += 1
            if self.count != self.at:
                return real(*args, **kwargs)
            if self.mode == "half" and name in ("write", "pwrite"):
                data = bytes(args[1])
                real(args[0], data[: len(data) // 2], *args[2:])
            elif self.mode == "after":
                real(*args, **kwargs)
            return os.kill(os.getpid(), signal.SIGKILL)

        return call


def template(directory: Path, *, workers: int = 3, records: int = 60, **settings: Any) -> Rig:
    """Return a rig whose spool holds the journals of dead workers, all their records unread."""
    directory.mkdir(parents=True, exist_ok=True)
    rig = Rig(directory, **settings)

    def work(number: int, log: Callable[[int, int], None]) -> None:
        for n in range(1, records + 1):
            log(n, (number * 50 + n * 7) % 400)

    for _ in range(workers):
        assert wait(rig.work(work)) == 0
    return rig


def copy_of(rig: Rig, directory: Path) -> Rig:
    """Return a rig in the same state in another directory."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(rig.directory, directory, ignore=lambda _, names: [n for n in names if n == "wake"])
    other = object.__new__(Rig)
    other.__dict__.update(rig.__dict__)
    other.directory = directory
    other.file = str(directory / "app.json")
    other.config = rig.config.replace(file=other.file)
    path = rig.spool.path.replace(str(rig.directory), str(directory))
    other.spool = type(rig.spool)(path, None)
    other.spool.create()
    return other


def crash(rig: Rig, at: int, mode: str) -> bool:
    """Run a listener that is killed at a crash point; return False if it ended before."""
    pid = rig.listen(Trap(at, mode).install)
    code = wait(pid, 30)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def writer(rig: Rig, **policy: Any) -> tuple[Owner, JournalWriter]:
    """Return a journal in the rig's spool, of this process."""
    owner = Owner(rig.spool.journal_directories, identity())
    journal = JournalWriter(
        owner.journal, rig.spool.journal_directories, Policy(**policy), drop_line=drop_line, on_drop=owner.note_drops
    )
    return owner, journal
