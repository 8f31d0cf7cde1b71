"""What the listener knows of one journal: how far it is read, what waits, and whether its owner lives.

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from mplog._listener.commit import Progress
from mplog._listener.merge import Chunk, bound
from mplog._listener.reader import JournalReader
from mplog._shared import lock
from mplog._shared.held import Held
from mplog._shared.owner import OwnerState, is_mapped, read_owner


class Journal:
    """What the listener knows of one journal."""

    __slots__ = (
        "active_at",
        "chunks",
        "count",
        "damaged",
        "dead",
        "exhausted",
        "floor_taken",
        "identity",
        "more",
        "name",
        "ours",
        "owner",
        "owner_path",
        "previous",
        "reader",
        "trouble_since",
        "undone",
    )

    def __init__(self, name: str, progress: Progress, directories: list[str]) -> None:
        self.name = name
        self.reader = JournalReader(name, progress.position, directories)
        self.chunks: list[Chunk] = []
        self.active_at = 0
        """When its last line was read (monotonic ns)."""
        self.previous = bound(progress.floor)
        """The line read last."""
        self.floor_taken = progress.floor
        self.count = progress.count
        self.damaged = 0
        self.more = False
        self.dead = False
        self.exhausted = False
        self.ours = False
        self.owner: Held | None = None
        self.owner_path = ""
        self.identity: dict[str, Any] = {}
        self.undone = 0
        """Batches with lines of it that are not through yet."""
        self.trouble_since = 0.0

    @property
    def is_lively(self) -> bool:
        """Whether there is something to do for it: lines to read, to take into a batch, or a death to follow up."""
        return bool(self.chunks) or self.more or (self.dead and not self.exhausted)

    def dropped(self) -> int:
        """Return how many records the owner says it dropped."""
        return self.state().dropped

    def state(self) -> OwnerState:
        """Return what the owner file says now."""
        if self.owner is not None and self.owner.is_intact():
            return read_owner(self.owner.fd)
        if self.ours and lock.is_ours(self.owner_path):
            # Opening it and closing that descriptor would drop the lock.
            fd = lock.held(self.owner_path)
            return read_owner(fd) if fd is not None else OwnerState(self.identity, None, 0, None)
        if self.owner_path:
            with contextlib.suppress(OSError):
                fd = os.open(self.owner_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    return read_owner(fd)
                finally:
                    os.close(fd)
        return OwnerState(self.identity, None, 0, None)

    def meet_owner(self, path: str, *, keep: bool) -> None:
        """Read who the owner is; with `keep` its file stays open."""
        self.owner_path = path
        self.ours = lock.is_ours(path)
        if self.ours:
            self.identity = self.state().identity
            return
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            self.identity = read_owner(fd).identity
            if keep:
                self.owner = Held(fd)
            else:
                os.close(fd)

    def lives(self) -> bool:
        """Tell whether the owner lives."""
        if self.ours:
            return lock.is_ours(self.owner_path)
        try:
            found = self.owner is not None and lock.holder_of(self.owner.fd) is not None
            if not found and (self.owner is None or not self.owner.is_intact()):
                self.owner = None
                found = bool(self.owner_path) and lock.holder(self.owner_path) is not None
        except OSError:
            return True  # Not to be told now (no descriptor left); nobody is buried on a guess.
        # Who closes all its descriptors, as a daemon does, loses its lock and logs on.
        if found or not is_mapped(self.name, self.identity.get("pid", 0)):
            return found
        return self.state().bye is None

    def mend(self) -> None:
        """Forget descriptors that the application has closed."""
        self.reader.mend()
        if self.owner is not None and not self.owner.is_intact():
            self.owner = None

    def close(self) -> None:
        """Close all descriptors."""
        self.reader.close()
        if self.owner is not None:
            self.owner.close()
            self.owner = None
