"""The line that a process has begun to print and not ended yet, where the listener finds it.

A process has no thread that could look after it, and may be killed. So the unfinished line of `sys.stdout` and that
of `sys.stderr` lie in a mapped file, ``<journal>.out``, one slot each. A line that nobody continued for a while is
made a record by the listener. Both sides may decide at the same moment, so each says so in ``<journal>.said``, which
is only appended to: whose entry for a line comes first has it.

    C 1 17 {...}     the listener takes line 17 of stdout, and this is its record
    D 1 17           the process goes on with line 17 itself

The process asks the file only if the line was quiet for longer than `quiet`; before, the listener does not touch it.
Slots are written in a worker, read in the listener.
"""

import fcntl
import json
import mmap
import os
from typing import Any, NamedTuple

from mplog._shared.held import open_private

OUT, SAID = ".out", ".said"
HEADER = 1024
SLOT_SIZE = 16 * 1024
TEXT_AT = 128
ROOM = SLOT_SIZE - TEXT_AT
FILE_SIZE = HEADER + 2 * SLOT_SIZE
QUIET, QUIET_BAR = 1_000_000_000, 10_000_000_000
"""Nanoseconds without a further piece after which an unfinished line is given out; the second if it has a ``\\r``."""
MARGIN = 250_000_000
"""Nanoseconds by which the listener waits longer, so that the two clocks' readings cannot cross."""

_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND


class Pending(NamedTuple):
    """What a slot says: line `number`, last touched at `moment` (monotonic ns), `wall` (ns since 1970)."""

    number: int
    moment: int
    wall: int
    bar: bool
    text: str

    def is_due(self, now: int) -> bool:
        """Tell whether the listener may take the line."""
        return bool(self.text) and now - self.moment > (QUIET_BAR if self.bar else QUIET) + MARGIN


def create_file(path: str, identity: dict[str, Any], *, size: int = 0) -> int:
    """Create one of a process's output files, its first line saying whose it is, and return a descriptor (O_APPEND).

    The descriptor carries a shared `flock`, which lasts until its last duplicate in any process is closed.
    """
    temporary = path + ".tmp"
    fd = open_private(temporary, _CREATE)
    try:
        if size:
            os.posix_fallocate(fd, 0, size)
            os.pwrite(fd, header(identity), 0)
        else:
            os.write(fd, header(identity))
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        os.close(fd)
        raise
    return fd


def header(identity: dict[str, Any]) -> bytes:
    """Return the first line of an output file."""
    return json.dumps(identity, separators=(",", ":")).encode()[: HEADER - 1] + b"\n"


def read_header(fd: int) -> tuple[dict[str, Any], int]:
    """Return what the first line says, and where the second begins. Runs in the listener."""
    line, newline, _ = os.pread(fd, HEADER, 0).partition(b"\n")
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return (found if isinstance(found, dict) else {}), len(line) + len(newline)


class Board:
    """The slots of this process. Runs in a worker, under its streams' locks.

    Args:
        stem: path of the journal without a suffix.
        identity: who this process is.
    """

    def __init__(self, stem: str, identity: dict[str, Any]) -> None:
        self._said = create_file(stem + SAID, identity)
        out = stem + OUT
        temporary = out + ".tmp"
        fd = open_private(temporary, _CREATE & ~os.O_APPEND)
        try:
            os.posix_fallocate(fd, 0, FILE_SIZE)
            os.pwrite(fd, header(identity), 0)
            self._memory = mmap.mmap(fd, FILE_SIZE)
            os.rename(temporary, out)
        finally:
            os.close(fd)
        self._number = [0, 0, 0]

    def show(self, stream: int, data: bytes, moment: int, wall: int, *, bar: bool) -> int:
        """Put up the unfinished line of stream 1 or 2, as far as there is room; return its number."""
        start = HEADER + (stream - 1) * SLOT_SIZE
        memory = self._memory
        number = self._number[stream] = self._number[stream] + 1
        data = data[:ROOM]
        memory[start : start + 2] = b"-\n"
        memory[start + TEXT_AT : start + TEXT_AT + len(data)] = data
        line = b"%d %d %d %d %d\n" % (number, moment, wall, bar, len(data))
        # The first byte last: a line without it is none, so the listener never takes a half one.
        memory[start + 1 : start + len(line)] = line[1:]
        memory[start] = line[0]
        return number

    def clear(self, stream: int) -> None:
        """Take the line down."""
        start = HEADER + (stream - 1) * SLOT_SIZE
        self._memory[start : start + 2] = b"-\n"

    def keep(self, stream: int, number: int) -> bool:
        """Decide that this process goes on with a line itself; return False if the listener has taken it."""
        try:
            end = os.lseek(self._said, 0, os.SEEK_END)
            os.write(self._said, b"D %d %d\n" % (stream, number))
            data = os.pread(self._said, 1 << 20, max(0, end - (1 << 16)))
        except OSError:
            return True
        taken = data.find(b"\nC %d %d {" % (stream, number))
        return taken < 0 or taken > data.find(b"\nD %d %d\n" % (stream, number))

    @staticmethod
    def room(text: str) -> int:
        """Return how many characters of a text have room in a slot."""
        data = text.encode("utf-8", "backslashreplace")
        return len(text) if len(data) <= ROOM else len(data[:ROOM].decode("utf-8", "ignore"))

    def close(self) -> None:
        """Give back mapping and descriptor; the files stay for the listener."""
        self._memory.close()
        os.close(self._said)


def read_pending(fd: int, stream: int) -> Pending | None:
    """Return the unfinished line of a stream, or None if there is none. Runs in the listener."""
    start = HEADER + (stream - 1) * SLOT_SIZE
    first = os.pread(fd, TEXT_AT, start)
    words = first.partition(b"\n")[0].split()
    if len(words) != 5 or not all(word.isdigit() for word in words):
        return None
    number, moment, wall, bar, length = map(int, words)
    text = os.pread(fd, min(length, ROOM), start + TEXT_AT)
    if os.pread(fd, TEXT_AT, start) != first:
        return None
    return Pending(number, moment, wall, bool(bar), text.decode("utf-8", "backslashreplace"))
