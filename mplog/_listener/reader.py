"""Read write-once journals: the other side of `journal`. Runs in the listener, and wherever journals are recovered."""

import errno
import os
from collections.abc import Sequence
from typing import NamedTuple

from mplog._shared.held import Held
from mplog._shared.segments import APPENDED, END_LINE, parse_segment_name, withdraw

MAX_LINE = 64 << 20
"""Bytes after which a line without an end is taken for damage."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What is said where something cannot be opened for now, though nothing is wrong with it."""

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Position(NamedTuple):
    """A place in a journal: segment number (1, 2, 3 ..) and byte offset in that segment."""

    segment: int
    offset: int


START = Position(0, 0)


class JournalReader:
    """Read complete lines of one journal, while it is written or after its owner died.

    `segments` maps the numbers of the segments that exist to their paths; who owns the reader adds to it. Reads go
    through `pread` into private memory: a truncated file gives a short read, not SIGBUS, and a hostile writer
    cannot change what was checked.

    Args:
        journal: the journal's id.
        position: where to begin.
        directories: where a segment that a listing has missed is looked for.
    """

    __slots__ = ("_appended", "_directories", "_file", "begin", "journal", "position", "segments")

    def __init__(self, journal: str, position: Position = START, directories: Sequence[str] = ()) -> None:
        self.journal = journal
        self.position = position
        self.begin = position
        """Where the bytes begin that `read` returned last."""
        self.segments: dict[int, str] = {}
        self._directories = directories
        self._file: Held | None = None
        self._appended = False

    @property
    def is_open(self) -> bool:
        """Tell whether the reader holds a descriptor."""
        return self._file is not None

    def is_quiet(self) -> bool:
        """Tell, with one system call, that a live journal has nothing new; False means: read."""
        place = self.quiet_place()
        if place is None:
            return False
        try:
            return os.pread(place[0], 1, place[1]) == b"\0"
        except OSError:
            return False  # `read` meets it again, and says so.

    def quiet_place(self) -> tuple[int, int] | None:
        """Return descriptor and offset of the byte that is zero as long as nothing is new, or None: `read` tells."""
        if self._file is None or self._appended or self.position.segment + 1 in self.segments:
            return None
        return self._file.fd, self.position.offset

    def has_more(self) -> bool:
        """Tell whether there is anything behind `position`, for a journal whose owner is dead."""
        self.mend()
        number, offset = self.position
        if any(n > number for n in self.segments) or (self._file is None and number in self.segments):
            return True
        if self._file is None:
            return False
        while True:
            rest = os.pread(self._file.fd, 1 << 16, offset)
            if rest.strip(b"\0"):
                return True
            if not rest:
                return False
            offset += len(rest)

    def read(self, limit: int, *, dead: bool = False) -> tuple[bytes, bool]:
        """Return the next complete lines, about `limit` bytes, and whether there may be more to read now.

        With `dead` the owner is known to be gone: holes are stepped over and the last half line is given too,
        for `split_lines` to discard. `position` advances over what is returned, which never spans two segments.
        """
        while self._file is not None or self._open_next():
            try:
                data, finished = self._take(limit, dead=dead)
            except OSError:
                if self.mend():
                    raise
                continue
            if finished:
                self._leave()
            if data:
                return data, finished or len(data) >= limit // 2
            if not finished:
                break
        return b"", False

    def read_range(self, start: Position, end: Position) -> list[bytes]:
        """Return again, segment by segment, the bytes between two positions: to recover an interrupted batch."""
        parts = []
        for number in sorted(number for number in self.segments if start.segment <= number <= end.segment):
            first = start.offset if number == start.segment else 0
            with open(self.segments[number], "rb", buffering=0) as file:
                file.seek(first)
                parts.append(file.read(end.offset - first) if number == end.segment else file.read())
        return parts

    def skip(self) -> None:
        """Give up the current segment, which cannot be read."""
        if self._file is None:
            following = [number for number in self.segments if number >= self.position.segment]
            self.position = Position(min(following, default=self.position.segment), 0)
        self._leave()

    def close(self) -> None:
        """Close the descriptor; the next read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def mend(self) -> bool:
        """Forget a descriptor that the application has closed; return False if it had, and the next read opens it."""
        if self._file is None or self._file.is_intact():
            return True
        self._file = None
        return False

    def _leave(self) -> None:
        self.close()
        self.position = Position(self.position.segment + 1, 0)

    def _open_next(self) -> bool:
        """Open the segment at `position`, or the first one behind it."""
        while True:
            number = self.position.segment
            chosen = min((n for n in self.segments if n >= number), default=0)
            if not chosen:
                return False
            if chosen > number:
                chosen = self._missed(max(number, 1), chosen)
            try:
                self._file = Held(os.open(self.segments[chosen], _OPEN))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
                path = self.segments.pop(chosen)
                if error.errno == errno.ELOOP:  # No link is ours: it goes, and is not followed.
                    withdraw(path)
                    self.position = Position(chosen + 1, 0)  # also where it cannot be removed, and is listed again
                continue
            self._appended = self.segments[chosen].endswith(APPENDED)
            if chosen != number:
                self.position = Position(chosen, 0)
            return True

    def _missed(self, number: int, chosen: int) -> int:
        """Return the first segment before `chosen` that exists though no listing has shown it.

        A listing need not show what is created while it is made, so it may show a later segment without an earlier
        one. Segments are created in order, so one that begins now shows whatever was there before `chosen`; other
        numbers were never used, which on a full disk are thousands, or are consumed.
        """
        for directory in self._directories:
            try:
                names = os.listdir(directory)
            except OSError as error:
                if error.errno in EXHAUSTED:  # A moment later it can be listed: nothing is passed over unseen.
                    raise
                continue
            for name in names:
                parsed = parse_segment_name(name)
                if parsed is not None and parsed[0] == self.journal and number <= parsed[1] < chosen:
                    self.segments.setdefault(parsed[1], os.path.join(directory, name))
        return min(n for n in self.segments if n >= number)

    def _take(self, limit: int, *, dead: bool) -> tuple[bytes, bool]:
        """Return complete lines of the open segment, and whether it is finished."""
        assert self._file is not None
        number, offset = self.begin = self.position
        fd = self._file.fd
        # Known before the bytes are read: a writer that has gone on to it never comes back to this one.
        later = any(n > number for n in self.segments)
        while True:
            data = os.pread(fd, limit, offset)
            full = len(data) == limit
            if not dead:
                zero = data.find(b"\0")
                if zero >= 0:
                    data, full = data[:zero], False
            cut = data.rfind(b"\n") + 1
            if cut or not full:
                break
            if limit > MAX_LINE:
                self._stat()
                return b"", True
            limit *= 4  # One line longer than the limit: go on until its end.
        stat = self._stat()
        if full or not dead:
            data = data[:cut]
        self.position = Position(number, offset + len(data))
        if dead:
            return data, not data
        if not data:
            return data, self._is_over(stat, offset, later=later)
        if self._appended:
            return data, data.endswith(b"\n" + END_LINE) or data == END_LINE
        return data, self.position.offset >= stat.st_size

    def _stat(self) -> os.stat_result:
        """Look at the open segment; raise `OSError` if what was read was another file's."""
        assert self._file is not None
        stat = os.fstat(self._file.fd)
        if (stat.st_dev, stat.st_ino) != self._file.key:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return stat

    def _is_over(self, stat: os.stat_result, offset: int, *, later: bool) -> bool:
        """Tell whether a segment without a complete line at `offset` will never have one."""
        if self._appended:
            return later
        if 0 < stat.st_size <= offset:
            return True
        # Withdrawn by its writer, who went on to a later one.
        return later and (stat.st_size == 0 or (offset == 0 and stat.st_nlink == 0))


def split_lines(data: bytes) -> list[bytes]:
    """Split what `JournalReader.read` returned into lines without newline.

    Blank lines (filled rests and failed claims) and the end line are left out, and so is what holes of zeros tore
    apart: the call that would have filled them never returned.
    """
    lines = data.split(b"\n")
    if b"\0" in data:
        # The half line before a hole goes; a whole line may begin directly behind the hole.
        lines = [line[line.rfind(b"\0") + 1 :] for line in lines[:-1]]
    elif lines[-1]:
        lines.pop()
    return [line for line in lines if line and line != b"-" and not line.isspace()]
