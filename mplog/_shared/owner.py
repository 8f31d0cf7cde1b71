"""The owner file: by it the listener knows who owns a journal, whether the owner lives, and what was dropped.

    byte 0     {"journal":...,"pid":...,"process":...,...}     written before the file becomes visible
    byte 2048  drops, two slots written in turn                 in case nobody lives to write the drop record
    byte 3072  bye <seq> <time ns>                              the process ended in order

Where not even this has room, the file is empty, and so much longer than all of this as there are records dropped: a
file that is lengthened takes no room. It is furnished as soon as there is some.

The owner holds a lock on it, taken before the file gets its name, and never opens it again. Written in a worker,
read in the listener.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import sys
import time
from typing import Any, NamedTuple

from mplog._shared import lock
from mplog._shared.account import Drops
from mplog._shared.held import is_file, open_private
from mplog._shared.segments import NO_ROOM, abandon, map_file

SUFFIX = ".owner"
SIZE = 4096
_SLOTS = (2048, 2560)
_BYE = 3072
_SLOT_SIZE = 512


class Owner:
    """This process's claim on a journal. Runs in a worker, or wherever a journal is written.

    Args:
        directories: journal directories, best first.
        identity: what `identity` returned, perhaps with more.
    """

    __slots__ = ("_fd", "_key", "_map", "_text", "_turn", "journal", "path")

    def __init__(self, directories: list[str], identity: dict[str, Any]) -> None:
        self.journal = os.urandom(8).hex()
        self._turn = 0
        who = {"journal": self.journal, **identity}
        self._text = json.dumps(who, separators=(",", ":")).encode()[: _SLOTS[0] - 1] + b"\n"
        self._map: mmap.mmap | None = None
        error: OSError | None = None
        for bare in (False, True):
            for directory in directories:
                self.path = os.path.join(directory, self.journal + SUFFIX)
                try:
                    self._create(self.path + ".tmp", bare=bare)
                    return
                except OSError as failed:
                    error = error or failed
        raise error or FileNotFoundError("no journal directory")

    def _create(self, temporary: str, *, bare: bool) -> None:
        fd = open_private(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            self._fd = fd
            if not self.furnish() and not bare:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            # Locked first, visible second: a listener that sees the file unlocked may bury its owner.
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.adopt(fd)
            os.rename(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            os.close(fd)
            raise
        stat = os.fstat(fd)
        self._key = stat.st_dev, stat.st_ino

    def furnish(self) -> bool:
        """Give the file its room and write into it who owns it; return whether that is so, now or since long.

        Raises:
            OSError: for another reason than want of room.
        """
        if self._map is None:
            try:
                os.posix_fallocate(self._fd, 0, SIZE)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                return False
            os.pwrite(self._fd, self._text, 0)
            self._map = map_file(self._fd, SIZE)
        return True

    def note_drops(self, drops: Drops | None, total: int) -> None:
        """Keep what was dropped and is not in the journal yet (None: all is), readable after a SIGKILL."""
        with contextlib.suppress(OSError):
            bare = self._map is None
            if bare and not self.furnish():
                os.ftruncate(self._fd, SIZE + drops.count if drops is not None else 0)
        if self._map is None:
            return
        self._turn += 1
        count, seq_first, seq_last, first, last, reason = drops or Drops(0, 0, 0, 0, 0, "")
        text = f"drops {total} {count} {seq_first} {seq_last} {first} {last} {reason}"[:400]
        line = f"{self._turn:012d} {text} {self._turn:012d}\n".encode()
        start = _SLOTS[self._turn % 2]
        self._map[start : start + _SLOT_SIZE] = line.ljust(_SLOT_SIZE, b" ")
        if bare:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, SIZE)

    def say_bye(self, seq: int) -> None:
        """Note that the process ends in order, after `seq` records."""
        line = f"bye {seq} {time.time_ns()}\n".encode()
        if self._map is not None or self.furnish():
            assert self._map is not None
            self._map[_BYE : _BYE + len(line)] = line

    def release(self) -> None:
        """Give the lock back: for the listener the owner is gone from now on."""
        if self._map is not None and self.is_intact():
            self._map.close()
        else:
            abandon(self._map)
        lock.release(self._fd)

    def is_intact(self) -> bool:
        """Tell whether the lock's descriptor is still open: a program that becomes a daemon closes all it finds."""
        return is_file(self._fd, self._key)

    def lock_again(self) -> bool:
        """Take the lock anew after its descriptor was closed; return False if the file is gone."""
        abandon(self._map)
        fd = lock.take_again(self._key, self.path)
        if fd is None:
            return False
        self._fd = fd
        if self._map is not None:
            self._map = map_file(fd, SIZE)  # The old mapping would close a descriptor that is not its own.
        return True


def is_mapped(journal: str, pid: int) -> bool:
    """Tell whether a process has a journal's owner file mapped: then it lives, though it closed its descriptors.

    A mapping outlives its descriptor, and ends with the process and with `exec`. Where this cannot be told (no
    /proc, another pid namespace) the answer is False.
    """
    name = f"/{journal}{SUFFIX}\n".encode()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
        return any(line.endswith(name) for line in file)
    return False


class OwnerState(NamedTuple):
    """What an owner file says."""

    identity: dict[str, Any]
    drops: Drops | None
    """What the owner dropped and has not written into its journal."""
    dropped: int
    """What it dropped in all."""
    bye: int | None
    """`seq` of the last record if the process ended in order."""


def read_owner(fd: int) -> OwnerState:
    """Read an owner file; what makes no sense in it is left out. Runs in the listener."""
    data = os.pread(fd, SIZE, 0)
    try:
        identity = json.loads(data[: _SLOTS[0]].partition(b"\n")[0])
    except (ValueError, RecursionError):
        identity = {}
    if not isinstance(identity, dict) or not (
        isinstance(identity.get("pid", 0), int) and isinstance(identity.get("process", ""), str)
    ):
        identity = {}
    slots = [_read_slot(data[start : start + _SLOT_SIZE]) for start in _SLOTS]
    turn, drops, dropped = max(slots, key=lambda slot: slot[0])
    stat = os.fstat(fd)
    if not turn and stat.st_size > SIZE:
        dropped = stat.st_size - SIZE
        drops = Drops(dropped, 1, dropped, stat.st_mtime_ns, stat.st_mtime_ns, "no space left on device")
    bye = data[_BYE:].split(b"\n", 1)[0].split()
    ended = int(bye[1]) if len(bye) == 3 and bye[0] == b"bye" and bye[1].isdigit() else None
    return OwnerState(identity, drops, dropped, ended)


def _read_slot(data: bytes) -> tuple[int, Drops | None, int]:
    words = data.rstrip(b"\0 \n").decode("utf-8", "replace").split(" ")
    try:
        if words[0] != words[-1] or words[1] != "drops":
            return 0, None, 0
        total, count, seq_first, seq_last, first, last = (int(word) for word in words[2:8])
        drops = Drops(count, seq_first, seq_last, first, last, " ".join(words[8:-1]))
        return int(words[0]), drops if count else None, total
    except (ValueError, IndexError):
        return 0, None, 0


def identity(role: str = "worker") -> dict[str, Any]:
    """Return what tells this process from every other one, for display; liveness is the lock's business."""
    process = sys.modules.get("multiprocessing.process")
    return {
        "role": role,
        "pid": os.getpid(),
        "process": process.current_process().name if process else "MainProcess",
        "parent_pid": os.getppid(),
        "started": time.time_ns(),
        "start_ticks": start_ticks("self"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "argv": [str(word)[:200] for word in sys.argv[:4]],
    }


def start_ticks(pid: int | str) -> int:
    """Return when a process started, in clock ticks since boot (proc(5), stat, field 22); 0 where unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return int(file.read(2048).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
