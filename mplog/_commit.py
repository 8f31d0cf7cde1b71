"""The listener's memory: what it is about to write, and what it has written. Files only. Runs in the listener.

One JSON object a line, only ever appended, in the spool's file ``commits``:

    {"state":{journal:[segment,offset,floor,count]},"newest":key}          where a fresh listener goes on
    {"intent":g,"file":[device,inode,size],"newest":key,"take":{journal:[[s,o],[s,o],floor,last,count]}}
    {"done":g}        the batch is in the file
    {"delivered":g}   the batch went through console and handlers
    {"rotate":[device,inode]} .. {"rotated":1}

Journals are immutable, so an intent is enough to compute its batch again. A half last line is an intent that was
never stored: nothing had been written for it yet.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

from mplog._journal import START, Position
from mplog._merge import Range

COMPACT_ABOVE = 1 << 20


class Progress(NamedTuple):
    """How far a journal has been taken, and how many records of it that were."""

    position: Position = START
    floor: int = 0
    count: int = 0


class Intent(NamedTuple):
    """A batch about to be written. `file` is (device, inode, size before) or None without a file."""

    generation: int
    file: tuple[int, int, int] | None
    newest: int
    ranges: dict[str, Range]


class CommitLog:
    """Store intents and what became of them; after a crash, say what is open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.progress: dict[str, Progress] = {}
        self.newest = 0
        self.generation = 0
        self.pending: Intent | None = None
        """The intent without `done`, after `load`."""
        self.undelivered: list[Intent] = []
        self.rotating: tuple[int, int] | None = None
        self._fd = -1
        self._size = 0

    def load(self) -> None:
        """Read the log; what cannot be read of it is as if it had not been written."""
        try:
            with open(self.path, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            lines = [b""]
        for line in lines[:-1]:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                self._replay(json.loads(line))
        self._compact()

    def intend(self, intent: Intent) -> None:
        """Store an intent. Afterwards the batch may be written, and not before."""
        self._append(_encode(intent))
        self._advance(intent)
        self.undelivered.append(intent)

    def done(self, generation: int, *, delivered: bool = False) -> None:
        """Store that a batch is in the file, and, with `delivered`, that there is nobody else to get it."""
        self.pending = None
        if delivered:
            self._append({"done": generation, "delivered": generation})
            self._delivered(generation)
        else:
            self._append({"done": generation})
        if self._size > COMPACT_ABOVE:
            self._compact()

    def delivered(self, generation: int) -> None:
        """Store that all batches up to this one went through console and handlers."""
        if self.undelivered and self.undelivered[0].generation <= generation:
            self._append({"delivered": generation})
            self._delivered(generation)

    def rotate(self, identity: tuple[int, int] | None) -> None:
        """Store that the file of this device and inode is about to be rotated, or (None) that it has been."""
        self.rotating = identity
        self._append({"rotate": identity} if identity else {"rotated": 1})

    def forget(self, journal: str) -> None:
        """Leave a journal that no longer exists out of the next state."""
        self.progress.pop(journal, None)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _replay(self, entry: dict[str, Any]) -> None:
        if "state" in entry:
            self.newest = entry["newest"]
            self.generation = entry["generation"]
            self.progress = {
                journal: Progress(Position(segment, offset), floor, count)
                for journal, (segment, offset, floor, count) in entry["state"].items()
            }
        elif "intent" in entry:
            intent = _decode(entry)
            self._advance(intent)
            self.pending = intent
            self.undelivered.append(intent)
        if "done" in entry:
            self.pending = None
        if "delivered" in entry:
            self._delivered(entry["delivered"])
        if "rotate" in entry:
            self.rotating = (entry["rotate"][0], entry["rotate"][1])
        elif "rotated" in entry:
            self.rotating = None

    def _advance(self, intent: Intent) -> None:
        self.generation = intent.generation
        self.newest = max(self.newest, intent.newest)
        for journal, taken in intent.ranges.items():
            before = self.progress.get(journal, Progress())
            self.progress[journal] = Progress(taken.end, taken.last, before.count + taken.count)

    def _delivered(self, generation: int) -> None:
        self.undelivered = [intent for intent in self.undelivered if intent.generation > generation]

    def _append(self, entry: dict[str, Any]) -> None:
        data = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self.path, flags, 0o600)
        if os.write(self._fd, data) != len(data):
            # A half line must not swallow the next one; the caller tries again later.
            os.write(self._fd, b"\n")
            raise OSError(28, "short write to the commit log")
        self._size += len(data)

    def _compact(self) -> None:
        """Write the log anew with the state before the open intents, and these."""
        state = dict(self.progress)
        for intent in reversed(self.undelivered):
            for journal, taken in intent.ranges.items():
                count = state[journal].count - taken.count if journal in state else 0
                state[journal] = Progress(taken.start, taken.floor, count)
        entries: list[dict[str, Any]] = [
            {
                "state": {name: [*p.position, p.floor, p.count] for name, p in state.items()},
                "newest": self.newest,
                "generation": self.generation,
            }
        ]
        entries += [_encode(intent) for intent in self.undelivered]
        if self.pending is None and self.undelivered:
            entries.append({"done": self.undelivered[-1].generation})
        if self.rotating:
            entries.append({"rotate": self.rotating})
        data = b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)
        temporary = self.path + ".tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
        finally:
            os.close(fd)
        os.replace(temporary, self.path)
        self.close()
        self._size = 0


def _encode(intent: Intent) -> dict[str, Any]:
    return {
        "intent": intent.generation,
        "file": intent.file,
        "newest": intent.newest,
        "take": intent.ranges,
    }


def _decode(entry: dict[str, Any]) -> Intent:
    ranges = {
        journal: Range(Position(*start), Position(*end), *rest)
        for journal, (start, end, *rest) in entry["take"].items()
    }
    file = entry["file"]
    return Intent(entry["intent"], tuple(file) if file else None, entry["newest"], ranges)
