"""All files of captured output of a session, and who took the lines that were begun and never ended.

Runs in the listener.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from mplog._listener.commit import Progress
from mplog._listener.merge import Range, key_of, take
from mplog._listener.raw import RAW, OutputFile, Settings, output_line
from mplog._listener.rounds import MANY
from mplog._shared.pending import OUT, SAID, read_header, read_pending
from mplog.config import Config

FAULT = ".fault"
POLL_EVERY, CALM_POLL_EVERY = 12_000_000, 190_000_000
"""Nanoseconds between two looks at all files, less than records are held back; and while nothing happens."""
SLOTS_EVERY = 0.25
"""Seconds between two looks for unfinished lines."""


class Outputs:
    """All output files of a session.

    Args:
        progress: how far earlier listeners came, by file name.
        newest: the key up to which records are in the log already.
        settings: see `Settings`.
    """

    def __init__(self, progress: dict[str, Progress], newest: int, settings: Settings) -> None:
        self._progress = progress
        self._written = newest
        self._settings = settings
        self._files: dict[str, OutputFile] = {}
        self._lively: dict[str, OutputFile] = {}
        """Those with lines that are in no batch yet, or with more to read at once."""
        self._slots: dict[str, str] = {}
        self._faults: dict[str, str] = {}
        self._claimed: dict[tuple[str, int], int] = {}
        self._polled = 0
        self._slots_at = 0.0
        self._held_at = 0.0

    def add(self, directory: str, name: str) -> bool:
        """Take a file in if it is one of output; return whether it is."""
        stem, _, suffix = name.rpartition(".")
        suffix = "." + suffix
        if suffix in RAW or suffix == SAID:
            if name not in self._files:
                found = OutputFile(os.path.join(directory, name), name, self._progress.get(name, Progress()))
                self._files[name] = found
        elif suffix == OUT:
            self._slots[stem] = os.path.join(directory, name)
        elif suffix == FAULT:
            self._faults[stem] = os.path.join(directory, name)
        else:
            return False
        return True

    def owns(self, name: str) -> bool:
        """Tell whether a name in the commit log is that of an output file."""
        return name in self._files

    def knows(self, journal: str) -> bool:
        """Tell whether there are files of output of a journal's owner."""
        return (
            journal in self._slots
            or journal in self._faults
            or any(journal + suffix in self._files for suffix in (*RAW, SAID))
        )

    def files(self) -> list[str]:
        """Return the paths of all files."""
        return [*(found.path for found in self._files.values()), *self._slots.values(), *self._faults.values()]

    def discard(self) -> None:
        """Delete all files: nobody of the session lives, and what child programs may still write nobody reads."""
        for path in self.files():
            unlink(path)
        self._files, self._lively, self._slots, self._faults = {}, {}, {}, {}

    def read(self, now: int, is_dead: Callable[[str], bool], *, force: bool = False, calm: bool = False) -> bool:
        """Read what is new in all files; return whether there was anything.

        Args:
            now: monotonic ns.
            is_dead: tells whether the owner of a journal is gone.
            force: whether to look at all files in any case.
            calm: whether nothing happens in the journals: then many files are looked at less often.
        """
        if not self._files:
            return False
        moment = time.monotonic()
        if self._slots and (force or moment >= self._slots_at):
            self._slots_at = moment + SLOTS_EVERY
            for stem in list(self._slots):
                with contextlib.suppress(OSError):
                    self._look_at_slots(stem, now, dead=is_dead(stem))
        busy = False
        every = CALM_POLL_EVERY if calm and len(self._files) > MANY and not self._lively else POLL_EVERY
        due = force or now - self._polled >= every
        if due:
            self._polled = now
        for found in list(self._files.values() if due else self._lively.values()):
            if due or found.more:
                try:
                    busy = found.poll(self._settings, now, self._written, dead=is_dead(found.journal)) or busy
                except OSError:  # no descriptor left; the next look
                    continue
            else:
                busy = busy or found.chunk is not None
            if found.more or found.chunk is not None:
                self._lively[found.name] = found
            else:
                self._lively.pop(found.name, None)
        return busy

    def watermark(self, highest: int) -> int:
        """Return the key up to which nothing more can come: `highest`, or less where a file has unread output."""
        if self._files:
            highest = min(highest, self._polled)
        for found in self._lively.values():
            if found.more:
                highest = min(highest, found.floor)
        return highest

    def take(self, watermark: int, now: int) -> tuple[list[list[bytes]], dict[str, Range]]:
        """Take the lines up to the watermark, as `Intake.take` does."""
        self._written = max(self._written, min(watermark, now))
        runs, ranges = [], {}
        for found in self._lively.values():
            if found.chunk is None:
                continue
            chunks: list[Any] = [found.chunk]
            floor = key_of(found.chunk.lines[0]) - 1 if found.chunk.lines else found.floor
            lines, taken = take(chunks, watermark, now, floor)
            if not chunks:
                found.chunk = None
            if taken is not None:
                ranges[found.name] = taken._replace(wall=found.wall)
                found.undone += 1
            if lines:
                runs.append(lines)
        return runs, ranges

    def again(self, name: str, taken: Range) -> list[bytes]:
        """Return the lines of an interrupted batch once more, and count it as under way."""
        found = self._files[name]
        found.undone += 1
        return found.again(taken, self._settings)

    def release(self, name: str, taken: Range) -> None:
        """Note that a batch is through."""
        found = self._files.get(name)
        if found is not None:
            found.undone -= 1
            found.release(taken.end.offset)

    def pending(self, is_dead: Callable[[str], bool]) -> bool:
        """Tell whether lines are known that are in no batch yet, or output of the dead is not read to its end."""
        return any(
            found.chunk is not None or (is_dead(found.journal) and not found.through) for found in self._files.values()
        ) or any(is_dead(stem) for stem in self._slots)

    def remove_finished(self, is_dead: Callable[[str], bool], is_buried: Callable[[str], bool]) -> list[str]:
        """Delete the files of the dead of which nothing is left to read or write; return their names."""
        gone = []
        moment = time.monotonic()
        if moment >= self._held_at:
            self._held_at = moment + SLOTS_EVERY
            for name, found in list(self._files.items()):
                if found.through and not found.undone and found.chunk is None and is_dead(found.journal):
                    if found.journal in self._slots or found.is_held():
                        continue
                    if not unlink(found.path):
                        continue
                    del self._files[name]
                    self._lively.pop(name, None)
                    gone.append(name)
            for stem in [stem for stem in self._faults if is_buried(stem)]:
                unlink(self._faults.pop(stem))
        return gone

    def _look_at_slots(self, stem: str, now: int, *, dead: bool) -> None:
        path = self._slots[stem]
        said = path.removesuffix(OUT) + SAID
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            del self._slots[stem]
            return
        try:
            identity, _ = read_header(fd)
            for stream in (1, 2):
                pending = read_pending(fd, stream)
                if pending is None or not pending.text or self._claimed.get((stem, stream)) == pending.number:
                    continue
                if dead or pending.is_due(now):
                    self._claim(said, identity, stream, pending)
                    self._claimed[stem, stream] = pending.number
        finally:
            os.close(fd)
        if dead:
            unlink(path)
            del self._slots[stem]
            for stream in (1, 2):
                self._claimed.pop((stem, stream), None)

    def _claim(self, said: str, identity: dict[str, Any], stream: int, pending: Any) -> None:
        line = output_line(identity, stream, pending.text, pending.wall, self._settings)
        with open(said, "r+b", buffering=0) as file:
            content = file.read()
            entry = b"%d %d" % (stream, pending.number)
            if b"\nD %b\n" % entry in content or b"\nC %b {" % entry in content:
                return
        fd = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(fd, b"C %b %b\n" % (entry, line or b"{}"))
            if os.path.basename(said) in self._files:
                self._files[os.path.basename(said)].asleep = False
        finally:
            os.close(fd)


def outputs_of(config: Config, progress: dict[str, Progress], newest: int) -> Outputs:
    """Return the files of captured output, with the settings that records made of them have to heed."""
    redact: Callable[[str], str] = str
    if config.redact:
        from mplog.redaction import redactor

        found = redactor(config.redact)
        if found is not None:
            redact = lambda text: found(text, {}, None)[0]  # noqa: E731
    return Outputs(progress, newest, (dict(config.level), redact, config.max_record))


def unlink(path: str) -> bool:
    """Delete a file; return whether it is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
