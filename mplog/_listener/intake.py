"""Find the session's journals, read what is new, see whose owner died, remove what is done. Runs in the listener."""

from __future__ import annotations

import contextlib
import errno
import heapq
import math
import os
import resource
import time
from collections.abc import Iterable

from mplog._listener.commit import Progress
from mplog._listener.journals import Journal
from mplog._listener.merge import KEY, Chunk, Range, key_of, retake, take
from mplog._listener.outputs import Outputs, unlink
from mplog._listener.reader import EXHAUSTED, START
from mplog._listener.rounds import FEW, MANY, Rounds
from mplog._shared.owner import SUFFIX
from mplog._shared.segments import parse_segment_name

COARSE = 30_000_000
"""Nanoseconds within which two changes of a directory may carry the same time (a tick of the kernel's clock)."""

WHOLE_SECONDS = 2_000_000_000
"""The same on a file system that counts in seconds, or in two."""
LONGEST_UNLISTED = 20_000_000
"""Nanoseconds between two listings of a large directory, at most."""
OWNERS_EVERY, OWNERS_OF_MANY_EVERY = 0.25, 0.5
"""Seconds between two looks whether the owners live."""
LEAST_READ = 64 * 1024
CROWD = 16
"""Journals with unread lines above which those that hold up the others are read on."""
CATCH_UP = 1 << 20
"""Bytes that are read then in one step."""
BUDGET = 512 << 10
"""Bytes read in one step from all journals together: what stays in a core's cache until it is written."""
PATIENCE = 1.0
"""Seconds for which a segment that cannot be read is tried again before it is given up."""


class Intake:
    """All journals of a session.

    Args:
        directories: where journals lie.
        progress: how far earlier listeners came, by journal.
        outputs: the files of captured output, which lie beside the journals.
    """

    def __init__(self, directories: list[str], progress: dict[str, Progress], outputs: Outputs | None = None) -> None:
        self.journals: dict[str, Journal] = {}
        self.outputs = outputs or Outputs({}, 0, ({}, str, 1 << 20))
        self._unknown: dict[str, float] = {}
        self._directories = directories
        self._progress = progress
        self._listed: dict[str, int] = {}
        self._known: dict[str, set[str]] = {}
        self.scanned_at = 0
        """Monotonic ns before which all segments that exist are known."""
        self._list_again_at = 0
        self._owners_at = 0.0
        self._active = 1
        self._rounds = Rounds()
        self._dead: dict[str, Journal] = {}
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        self._most_open = 4096 if soft == resource.RLIM_INFINITY else max(4, min(4096, soft // 2 - 16))
        self.budget = BUDGET

    def scan(self, *, force: bool = False) -> None:
        """List the directories that changed and take in new journals and segments.

        Long listings are made less often; `scanned_at` says up to when everything is known.
        """
        now = time.monotonic_ns()
        if not force and now < self._list_again_at:
            return
        complete = True
        for directory in self._directories:
            try:
                changed = os.stat(directory).st_mtime_ns
            except OSError as error:
                # Beside the log there may be somebody else's directories: none of our journals is in them.
                closed = error.errno == errno.EACCES and directory != self._directories[0]
                complete = complete and (closed or error.errno in (errno.ENOENT, errno.ENOTDIR))
                continue
            if not force and self._listed.get(directory) == changed:
                continue
            # A change so fresh that another one may follow with the same time is looked at again.
            fresh = abs(time.time_ns() - changed) < (COARSE if changed % 1_000_000_000 else WHOLE_SECONDS)
            try:
                names = set(os.listdir(directory))
                for name in names - self._known.get(directory, set()):
                    self._add(directory, name)
                self._known[directory] = names
                self._listed[directory] = -1 if fresh else changed
            except OSError as error:  # out of descriptors, above all: nothing may count as written that was not seen
                complete = complete and error.errno == errno.ENOENT
        if complete:
            self.scanned_at = now
        self._list_again_at = now + min(4 * (time.monotonic_ns() - now), LONGEST_UNLISTED)

    @property
    def known_at(self) -> int:
        """Monotonic ns before which everything that exists was looked at."""
        return min(self.scanned_at, self._rounds.looked_at)

    def read(self, now: int, *, force: bool = False) -> bool:
        """Read what is new, up to the budget; return whether anything came. `now` is monotonic ns.

        With `force`, and where there are more journals than descriptors, all journals are looked at.
        """
        limit = max(LEAST_READ, self.budget // self._active) if self.budget == BUDGET else self.budget
        active = self._look_at(self._rounds.due(now, force=force or len(self.journals) > self._most_open), now, limit)
        self._active = max(1, active)
        if active or len(self.journals) > CROWD:
            self._catch_up()
        self._rounds.calm(now)
        # Behind the journals: where something was found in one, output that came before it is looked for now.
        output = self.outputs.read(now, self.is_dead, force=force, calm=not self._rounds.lively())
        return active > 0 or output

    def _look_at(self, journals: Iterable[Journal], now: int, limit: int) -> int:
        """Read on in journals; return in how many there was anything."""
        active = 0
        opened = 0
        for journal in journals:
            reader = journal.reader
            if len(journal.chunks) > (0 if journal.more else 64):
                # What was read waits for its time or for the file; more would only fill memory.
                journal.more = True
            elif journal.exhausted if journal.dead else reader.is_quiet():
                journal.more = False
            elif not reader.is_open and not reader.segments:
                journal.more = False  # Else a process that only drops would hold up every `flush`.
                journal.exhausted = journal.dead
                continue
            else:
                if self._read_one(journal, limit):
                    active += 1
                    journal.active_at = now
                self._rounds.wake(journal)
            opened += reader.is_open
            if opened > self._most_open:
                reader.close()
                self._rounds.forget()
        return active

    def _catch_up(self) -> None:
        """Read on in the journals that hold up the others.

        A batch ends where the first journal with more to read ends. Among hundreds of journals, those of the dead
        above all, one read of each would move that end by next to nothing.
        """
        behind = [(journal.previous[:KEY], journal.name) for journal in self._rounds.lively() if journal.more]
        if len(behind) <= CROWD:
            return
        heapq.heapify(behind)
        for _ in range(CATCH_UP // LEAST_READ):
            if not behind:
                return
            journal = self.journals[heapq.heappop(behind)[1]]
            if self._read_one(journal, LEAST_READ) and journal.more:
                heapq.heappush(behind, (journal.previous[:KEY], journal.name))
            if len(self.journals) > self._most_open:
                journal.reader.close()
                self._rounds.forget()

    def _read_one(self, journal: Journal, limit: int) -> bool:
        reader = journal.reader
        try:
            data, journal.more = reader.read(limit, dead=journal.dead)
        except OSError as error:
            self._cannot_read(journal, error)
            return False
        journal.trouble_since = 0.0
        if data:
            journal.more = journal.more or journal.dead
            chunk = Chunk(data, reader.begin, reader.position, journal.previous)
            journal.damaged += chunk.damaged
            if chunk.lines:
                journal.previous = chunk.lines[-1]
            journal.chunks.append(chunk)
        if journal.dead and (not data or not reader.has_more()):
            # Known at once: nothing of the others has to wait for it any more.
            journal.exhausted = True
            journal.more = False
            reader.close()
        return bool(data)

    def _cannot_read(self, journal: Journal, error: OSError) -> None:
        """Try again for a while, in which nothing overtakes it; then give the segment up, so that it stops nobody."""
        journal.more = True
        if error.errno in EXHAUSTED:
            self._most_open = max(1, self._most_open // 2)
            return
        now = time.monotonic()
        journal.trouble_since = journal.trouble_since or now
        if now - journal.trouble_since > PATIENCE:
            journal.trouble_since = 0.0
            journal.damaged += 1
            journal.more = False
            journal.reader.skip()

    def watermark(self, highest: int) -> int:
        """Return the key up to which nothing more can come: `highest`, or less where a journal has unread lines."""
        for journal in self._rounds.lively():
            if journal.more:
                highest = min(highest, key_of(journal.previous))
        return self.outputs.watermark(highest)

    def take(self, watermark: int, now: int) -> tuple[list[list[bytes]], dict[str, Range]]:
        """Take what is up to the watermark, as one ascending run a journal, with the range it covers."""
        runs: list[list[bytes]] = []
        ranges: dict[str, Range] = {}
        for journal in self._rounds.lively():
            if not journal.chunks:
                continue
            lines, taken = take(journal.chunks, watermark, now, journal.floor_taken)
            if taken is not None:
                ranges[journal.name] = taken
                journal.floor_taken = taken.last
                journal.count += taken.count
                journal.undone += 1
            if lines:
                runs.append(lines)
        more_runs, more_ranges = self.outputs.take(watermark, now)
        return runs + more_runs, ranges | more_ranges

    def retake(self, name: str, taken: Range) -> list[bytes]:
        """Return the lines of an interrupted batch's range again, and count the range as under way."""
        if self.outputs.owns(name):
            return self.outputs.again(name, taken)
        journal = self.journals.get(name)
        if journal is None:
            return []
        journal.undone += 1
        return retake(journal.reader.read_range(taken.start, taken.end), taken)

    def check_owners(self, *, force: bool = False) -> list[Journal]:
        """Return the journals whose owner was found dead by this look; look a few times in a second."""
        now = time.monotonic()
        if not force and now < self._owners_at:
            return []
        self._owners_at = now + (OWNERS_EVERY if len(self.journals) <= FEW else OWNERS_OF_MANY_EVERY)
        found = [journal for journal in self.journals.values() if not journal.dead and not journal.lives()]
        if not found:
            return []
        # The last segments of the dead must be known before they are read to their end. And one whose owner file
        # the last listing has missed is not dead: it is asked again.
        self.scan(force=True)
        dead = [journal for journal in found if not journal.lives()]
        for journal in dead:
            journal.dead = True
            self._dead[journal.name] = journal
            self._rounds.wake(journal)
        return dead

    @property
    def is_crowd(self) -> bool:
        """Whether there are so many journals that looking at all of them is not done often while nothing happens."""
        return len(self.journals) > MANY

    @property
    def is_behind(self) -> bool:
        """Whether a journal has more to read at once."""
        return any(journal.more for journal in self._rounds.lively())

    def alive(self) -> int:
        """Return how many owners live."""
        return len(self.journals) - len(self._dead)

    def pending(self) -> bool:
        """Tell whether lines are known that are in no batch yet, or a dead journal is not read to its end."""
        return any(
            journal.chunks or (journal.dead and not journal.exhausted) for journal in self._rounds.lively()
        ) or self.outputs.pending(self.is_dead)

    def is_dead(self, name: str) -> bool:
        """Tell whether the owner of a journal is known to be gone, or the journal not known for a second."""
        journal = self.journals.get(name)
        if journal is not None:
            return journal.dead
        return time.monotonic() - self._unknown.setdefault(name, time.monotonic()) > 1.0

    def remove_outputs(self) -> list[str]:
        """Delete files of output that are through; return their names."""
        if self._unknown:
            self._unknown = {name: since for name, since in self._unknown.items() if self.outputs.knows(name)}
        return self.outputs.remove_finished(self.is_dead, lambda name: name not in self.journals and self.is_dead(name))

    def release(self, ranges: dict[str, Range]) -> None:
        """Delete the segments that a finished batch has left behind."""
        for name, taken in ranges.items():
            journal = self.journals.get(name)
            if journal is None:
                self.outputs.release(name, taken)
                continue
            journal.undone -= 1
            if taken.end.segment > taken.start.segment:
                self._delete_below(journal, taken.end.segment)

    def forget_consumed(self) -> None:
        """Delete what an earlier listener was through with and could not delete any more."""
        for journal in self.journals.values():
            if not journal.undone:
                self._delete_below(journal, journal.reader.position.segment)

    def _delete_below(self, journal: Journal, least: int) -> None:
        for number in [number for number in journal.reader.segments if number < least]:
            if unlink(journal.reader.segments[number]):
                del journal.reader.segments[number]

    def finished(self) -> list[Journal]:
        """Return the journals of the dead of which nothing is left to read, write or deliver."""
        return [
            journal
            for journal in self._dead.values()
            if journal.exhausted and not journal.chunks and not journal.undone
        ]

    def remove(self, journal: Journal) -> bool:
        """Delete a journal's files, its owner file last; False: one is still there, and the journal with it.

        A journal that is forgotten while a segment of it stays is written once more by the next listener.
        """
        journal.close()
        if not all(unlink(path) for path in [*journal.reader.segments.values(), journal.owner_path] if path):
            return False
        del self.journals[journal.name]
        self._dead.pop(journal.name, None)
        self._rounds.leave(journal)
        if self.outputs.knows(journal.name):
            self._unknown[journal.name] = -math.inf
        return True

    def close(self) -> None:
        """Close all descriptors."""
        for journal in self.journals.values():
            journal.close()

    def mend(self) -> None:
        """Forget descriptors that the application has closed; they are opened again when they are needed."""
        for journal in self.journals.values():
            journal.mend()
        self._rounds.forget()

    def _add(self, directory: str, name: str) -> None:
        path = os.path.join(directory, name)
        if name.endswith(SUFFIX):
            journal = self._journal(name[: -len(SUFFIX)])
            if not journal.owner_path:
                journal.meet_owner(path, keep=len(self.journals) < self._most_open // 2)
            return
        if self.outputs.add(directory, name):
            return
        parsed = parse_segment_name(name)
        if parsed is not None:
            journal = self._journal(parsed[0])
            if parsed[1] not in journal.reader.segments:
                journal.reader.segments[parsed[1]] = path
                if parsed[1] >= journal.reader.position.segment:
                    journal.exhausted = False
                self._rounds.wake(journal)

    def _journal(self, name: str) -> Journal:
        journal = self.journals.get(name)
        if journal is None:
            progress = self._progress.get(name, Progress(START))
            journal = self.journals[name] = Journal(name, progress, self._directories)
            self._rounds.enter(journal)
        return journal
