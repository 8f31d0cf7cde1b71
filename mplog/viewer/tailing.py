"""One followed log: what is appended to it, through rotations and truncation. Runs in the command `mplog`."""

from __future__ import annotations

import errno
import os
import stat
import time

from mplog.viewer.cursors import HEAD, Place, fingerprint, is_file_of, place_of
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import Lines
from mplog.viewer.output import say
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import blocks
from mplog.viewer.scan import Plan, Scanner
from mplog.viewer.successors import Successors
from mplog.viewer.walk import blocks_back, pread, span

_READ = 1 << 19
_READS = 3  # in one go: what is behind waits in the file, not in memory
_HOLD = 0.1
_LATE = 5.0


class Tail:
    """Follow one log by name.

    Reads the file it has open to its end before it turns to what has taken its name; files that were
    rotated in between are found among `app.log.1`, `app.log.2.gz` and read in their order; a file cut short is
    read anew.

    Args:
        path: of the log; it may not exist yet, or for a while.
        plan: what to find.
    """

    def __init__(self, path: str, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self._fd = -1
        self._lines = Lines(0, plan.longest)
        self._mark = (0, 0)  # length and checksum of the first bytes, by which the file is known again
        self._scanner = Scanner(path, plan)
        self._fed = 0.0
        self._held = False
        self._late: list[tuple[int, int, float]] = []
        self.behind = False  # whether more waits in the file than the last call of `poll` has read

    def start(self, last: int | None, place: Place | None = None, *, later: bool = False) -> list[Record]:
        """Return the records to show at once: the last ones (None: all), or those in the time asked for.

        Args:
            last: how many; None is all.
            place: where an earlier call has ended; all behind it.
            later: leave all to `poll`, which takes a large log in pieces.
        """
        if not self._open():
            return []
        size = os.fstat(self._fd).st_size
        if place is not None:
            if is_file_of(self._fd, place) and place.offset <= size:
                self._begin_at(place.offset)
            return [] if later else self._poll_all()
        if last is None:
            if self.plan.selection.since is not None:
                with open(self.path, "rb", buffering=0) as stream:
                    self._begin_at(span(stream, self.path, self.plan)[0])
            return [] if later else self._poll_all()
        self._begin_at(self._last_newline(size))
        return self._last(last)

    def _open(self) -> bool:
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # to open a FIFO would wait for its writer
                return False
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise ViewerError(f"{self.path}: {error.strerror}; follow fewer logs, or see ulimit -n") from None
            self._fd = -1
        return self._fd >= 0

    def _last_newline(self, size: int) -> int:
        end = size
        while end > 0:
            begin = max(0, end - (1 << 16))
            newline = pread(self._fd, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
        return 0

    def _last(self, count: int) -> list[Record]:
        found: list[Record] = []
        if not count:
            return found
        begins = Parser(self.path, self.plan.input_format).begins
        chosen = Scanner(self.path, self.plan)
        for at, block in blocks_back(self._fd, 0, self._lines.offset, begins, self.plan.longest):
            scanner = Scanner(self.path, self.plan)
            scanner.adopt(chosen, block)
            found = [*scanner.block(block, at), *scanner.finish(), *found]
            if len(found) >= count:
                break
        return found[-count:]

    def _poll_all(self) -> list[Record]:
        found: list[Record] = []
        before = -1
        while before != self._seen:
            before = self._seen
            found += self._read()
        return found

    def poll(self, now: float) -> list[Record]:
        """Return what has become readable since the last call."""
        found = self._read_late(now)
        self.behind = False
        if self._fd < 0:
            if self._open():
                self._begin_at(0)
            return found
        if self._rewritten():
            found += self._anew()
        for _ in range(_READS):
            before = self._seen
            found += self._read()
            if self._seen == before:
                break
        else:
            self.behind = True
            return found
        found += self._changed(now)
        if self._held and now - self._fed > _HOLD:
            found += self._scanner.finish()
            self._held = False
        return found

    def _begin_at(self, offset: int) -> None:
        self._lines = Lines(offset, self.plan.longest)
        self._mark = (0, 0)

    @property
    def _seen(self) -> int:
        """Return how much of the open file was read."""
        return self._lines.offset + self._lines.waiting

    def _read(self) -> list[Record]:
        data = os.pread(self._fd, _READ, self._seen)
        found: list[Record] = []
        for at, block in self._lines.feed(data) if data else ():
            found += self._scanner.block(block, at)
            self._fed, self._held = time.monotonic(), True
        return found

    def _finish_file(self) -> list[Record]:
        """Return what is left of a file that is complete now."""
        found: list[Record] = []
        while True:
            before = self._seen
            found += self._read()
            if self._seen == before:
                break
        for at, block in self._lines.rest():
            found += self._scanner.block(block, at)
        return [*found, *self._scanner.finish()]

    def _changed(self, now: float) -> list[Record]:
        """Notice rotation and truncation."""
        try:
            there = os.stat(self.path)
        except OSError:
            return []
        here = os.fstat(self._fd)
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return self._anew() if here.st_size < self._seen else []
        if not stat.S_ISREG(there.st_mode):
            return []
        successors = Successors.of(self.path, self._fd)
        if successors is None:
            return []
        found = self._finish_file()
        self._late.append((self._fd, self._lines.offset, now + _LATE))
        for name, stream in successors.between:
            with stream:
                scanner = Scanner(name, self.plan)
                for at, block in blocks(stream, longest=self.plan.longest):
                    found += scanner.block(block, at)
                found += scanner.finish()
        self._fd = successors.current
        self._begin_at(0)
        return found

    def _rewritten(self) -> bool:
        """Notice a file that was truncated and has already grown again: it begins with other bytes."""
        if self._mark[0] and fingerprint(self._fd, self._mark[0]) != self._mark:
            return os.fstat(self._fd).st_size > 0
        if self._mark[0] < HEAD:
            self._mark = fingerprint(self._fd, self._seen)
        return False

    def _anew(self) -> list[Record]:
        say(f"{self.path} was truncated; reading it anew")
        found = self._scanner.finish()
        self._begin_at(0)
        return found

    def _read_late(self, now: float) -> list[Record]:
        """Return what a slow writer still put into a file after its rotation."""
        found: list[Record] = []
        kept = []
        for fd, offset, until in self._late:
            data = os.pread(fd, _READ, offset)
            cut = data.rfind(b"\n") + 1
            if cut:
                scanner = Scanner(self.path, self.plan)
                found += [*scanner.block(data[:cut], offset), *scanner.finish()]
                offset += cut
            if now < until:
                kept.append((fd, offset, until))
            else:
                os.close(fd)
        self._late = kept
        return found

    def place(self) -> Place | None:
        """Return where a later call goes on."""
        if self._fd < 0:
            return None
        return place_of(self._fd, self._lines.offset)
