"""The listener's memory: what it is about to write, and what it has written. Files only. Runs in the listener.

One JSON object a line in the spool's file ``commits``, which is filled from the front; zeros follow. So a full disk
cannot keep the listener from storing what it does:

    {"state":{journal:[segment,offset,floor,count]},..}    where a fresh listener goes on
    {"intent":g,"file":[device,inode,size],"newest":key,"take":{journal:[[s,o],[s,o],floor,last,count,wall]},..}
    {"done":g}        the batch is in the file
    {"delivered":g}   the batch went through console and handlers
    {"rotate":[device,inode]} .. {"rotated":1}

Journals are immutable, so an intent is enough to compute its batch again. The listener's own records, which stand in
no journal, are in the intent itself, with the names of the journals whose owner's death they report: both are stored
at once or not at all. A half last line is an intent that was never stored: nothing had been written for it yet.
"""

import contextlib
import errno
import json
import os
from typing import Any, NamedTuple

from mplog._listener.merge import Range
from mplog._listener.reader import START, Position
from mplog._shared.held import Held, open_private

ROOM = (1 << 20, 1 << 18, 1 << 16, 1 << 14, 0)
"""Bytes kept free behind what is written, as many as there is room for; when they are full, the log is compacted."""


class Progress(NamedTuple):
    """How far a journal has been taken, and how many records of it that were."""

    position: Position = START
    floor: int = 0
    count: int = 0  # type: ignore[assignment]


class Intent(NamedTuple):
    """A batch about to be written. `file` is (device, inode, size before) or None without a file."""

    generation: int
    file: tuple[int, int, int] | None
    newest: int
    ranges: dict[str, Range]
    notes: tuple[str, ...] = ()
    """Lines of the listener's own."""
    reported: tuple[str, ...] = ()
    """Journals whose owner's death is reported by `notes`."""


class CommitLog:
    """Store intents and what became of them; after a crash, say what is open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.progress: dict[str, Progress] = {}
        self.newest = 0
        self.generation = 0
        self.starts = 0
        """How many listeners have used the log."""
        self.reported: set[str] = set()
        self.pending: Intent | None = None
        """The intent without `done`."""
        self.undelivered: list[Intent] = []
        self.rotating: tuple[int, int] | None = None
        self._file: Held | None = None
        self._end = 0
        self._room = 0

    def load(self, *, use: bool = True) -> None:
        """Read the log; what cannot be read of it is as if it had not been written. Without `use` only look at it."""
        data = b""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            data = file.read().split(b"\0", 1)[0]
        self._end = data.rfind(b"\n") + 1
        for line in data[: self._end].split(b"\n")[:-1]:
            try:
                self._replay(json.loads(line))
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
                continue  # A damaged line; the intents behind it say where their journals went on.
        if use:
            self.starts += 1
            with contextlib.suppress(OSError):
                self._compact()

    def intend(self, intent: Intent) -> None:
        """Store an intent, or store it anew for another file. Afterwards the batch may be written, and not before."""
        self._append(_encode(intent))
        self.assume(intent)

    def assume(self, intent: Intent) -> None:
        """Go on as if the intent were stored."""
        self._advance(intent)

    def done(self, generation: int, *, delivered: bool = False) -> None:
        """Store that a batch is in the file, and, with `delivered`, that there is nobody else to get it."""
        self._append({"done": generation, **({"delivered": generation} if delivered else {})})
        self.pending = None
        if delivered:
            self._delivered(generation)

    def delivered(self, generation: int) -> None:
        """Store that all batches up to this one went through console and handlers."""
        if self.undelivered and self.undelivered[0].generation <= generation:
            self._append({"delivered": generation})
            self._delivered(generation)

    def rotate(self, identity: tuple[int, int] | None) -> None:
        """Store that the file of this device and inode is about to be rotated, or (None) that it has been."""
        self._append({"rotate": identity} if identity else {"rotated": 1})
        self.rotating = identity

    def forget(self, journal: str) -> None:
        """Leave a journal that no longer exists out of the next state."""
        self.progress.pop(journal, None)
        self.reported.discard(journal)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_taken_over(self) -> bool:
        """Tell whether another listener has used the log since this one did."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(self.path, "rb") as file:
            return bool(json.loads(file.readline())["starts"] != self.starts)
        return True

    def _replay(self, entry: dict[str, Any]) -> None:
        if "state" in entry:
            self.progress = {str(journal): _progress(*values) for journal, values in entry["state"].items()}
            self.newest = _number(entry["newest"])
            self.generation = _number(entry["generation"])
            self.starts = _number(entry.get("starts", 0))
            self.reported = set(map(str, entry.get("reported", ())))
        elif "intent" in entry:
            self._advance(_decode(entry))
        if "done" in entry:
            self.pending = None
        if "delivered" in entry:
            self._delivered(_number(entry["delivered"]))
        if "rotate" in entry:
            self.rotating = (_number(entry["rotate"][0]), _number(entry["rotate"][1]))
        elif "rotated" in entry:
            self.rotating = None

    def _advance(self, intent: Intent) -> None:
        self.pending = intent
        if self.undelivered and self.undelivered[-1].generation == intent.generation:
            self.undelivered[-1] = intent  # The same batch for another file.
            return
        self.undelivered.append(intent)
        self.generation = intent.generation
        self.newest = max(self.newest, intent.newest)
        self.reported.update(intent.reported)
        for journal, taken in intent.ranges.items():
            before = self.progress.get(journal, Progress())
            self.progress[journal] = Progress(taken.end, taken.last, before.count + taken.count)

    def _delivered(self, generation: int) -> None:
        self.undelivered = [intent for intent in self.undelivered if intent.generation > generation]

    def _append(self, entry: dict[str, Any]) -> None:
        data = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        file = self._opened()
        if self._end + len(data) > self._room:
            with contextlib.suppress(OSError):
                file = self._compact()
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(file.fd, data[written:], self._end + written)
        except OSError:
            if written:  # Half a line must not be taken for the beginning of the next one.
                with contextlib.suppress(OSError):
                    os.pwrite(file.fd, b"\0" * written, self._end)
            raise
        self._end += len(data)

    def _opened(self) -> Held:
        """Return the open file; it is opened where it is not, or not any more because the application closed it."""
        if self._file is None or not self._file.is_intact():
            self._file = Held(open_private(self.path, os.O_WRONLY | os.O_CREAT))
            self._room = os.fstat(self._file.fd).st_size
        return self._file

    def _compact(self) -> Held:
        """Write the log anew: the state before the open intents, and these."""
        state = dict(self.progress)
        for intent in reversed(self.undelivered):
            for journal, taken in intent.ranges.items():
                count = state[journal].count - taken.count if journal in state else 0
                state[journal] = Progress(taken.start, taken.floor, max(0, count))
        open_reports = {journal for intent in self.undelivered for journal in intent.reported}
        entries: list[dict[str, Any]] = [
            {
                "state": {name: [*p.position, p.floor, p.count] for name, p in state.items()},
                "newest": self.newest,
                "generation": self.generation,
                "starts": self.starts,
                "reported": sorted(self.reported - open_reports),
            }
        ]
        entries += [_encode(intent) for intent in self.undelivered]
        if self.pending is None and self.undelivered:
            entries.append({"done": self.undelivered[-1].generation})
        if self.rotating:
            entries.append({"rotate": self.rotating})
        data = b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)
        temporary = self.path + ".tmp"
        fd = open_private(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            size = _reserve(fd, len(data))
            written = 0
            while written < len(data):
                written += os.pwrite(fd, data[written:], written)
            os.replace(temporary, self.path)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        self.close()
        self._file, self._end, self._room = Held(fd), len(data), size
        return self._file


def _reserve(fd: int, length: int) -> int:
    """Make room behind `length` bytes, as much as there is; return the file's size then."""
    for room in ROOM:
        try:
            os.posix_fallocate(fd, 0, length + room)
            return length + room
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                break
            os.ftruncate(fd, 0)
    return length


def _encode(intent: Intent) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "intent": intent.generation,
        "file": intent.file,
        "newest": intent.newest,
        "take": intent.ranges,
    }
    if intent.notes:
        entry["notes"] = intent.notes
    if intent.reported:
        entry["reported"] = intent.reported
    return entry


def _decode(entry: dict[str, Any]) -> Intent:
    ranges = {
        str(journal): Range(Position(*map(_number, start)), Position(*map(_number, end)), *map(_number, numbers))
        for journal, (start, end, *numbers) in entry["take"].items()
    }
    file = entry["file"]
    return Intent(
        _number(entry["intent"]),
        (_number(file[0]), _number(file[1]), _number(file[2])) if file else None,
        _number(entry["newest"]),
        ranges,
        tuple(map(str, entry.get("notes", ()))),
        tuple(map(str, entry.get("reported", ()))),
    )


def _progress(segment: object, offset: object, floor: object, count: object) -> Progress:
    return Progress(Position(_number(segment), _number(offset)), _number(floor), _number(count))


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r} is no count, size or key")
    return value
