"""What a writer has produced and dropped, and when it may: produced == written + dropped, exactly. Runs in a worker.

Any thread and any signal handler may come in between two calls of this module, but not within a row of assignments.
"""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import mmap


class Drops(NamedTuple):
    """Records of one process that were not written. `first` and `last` are wall clock nanoseconds."""

    count: int  # type: ignore[assignment]
    seq_first: int
    seq_last: int
    first: int
    last: int
    reason: str


class Policy(NamedTuple):
    """What a writer does when the listener is behind. Sizes in bytes, times in seconds."""

    quota: int = 64 * 1024 * 1024
    overflow: str = "block"
    block_timeout: float = 2.0
    urgent_timeout: float = 10.0
    """How long a record of level ERROR or above waits."""


class Account:
    """Count lines, and those that were dropped and are not reported yet.

    Args:
        on_drop: told what was dropped and is not reported yet, and how many were dropped in all; must not raise.
    """

    __slots__ = (
        "_drop_count",
        "_drop_first",
        "_drop_last",
        "_drop_reason",
        "_drop_seq_first",
        "_drop_seq_last",
        "_on_drop",
        "dropped",
        "seq",
    )

    def __init__(self, on_drop: Callable[[Drops | None, int], None]) -> None:
        self.seq = 0
        self.dropped = 0
        self._on_drop = on_drop
        self._drop_count = 0
        self._drop_seq_first = self._drop_seq_last = self._drop_first = self._drop_last = 0
        self._drop_reason = ""

    def _drop(self, reason: str) -> None:
        self._count_drop(0, reason)

    def _count_drop(self, seq: int, reason: str) -> None:
        """Count a dropped line; with `seq` 0 it takes the next one."""
        now = time.time_ns()
        # No call in here: a drop is counted together with its `seq`, whatever interrupts the process.
        if not seq:
            seq = self.seq + 1
            self.seq = seq
        # One that had its `seq` before a signal handler's was dropped may be counted after it.
        if not self._drop_count:
            self._drop_seq_first = self._drop_seq_last = seq
            self._drop_first = now
            self._drop_reason = reason
        elif seq < self._drop_seq_first:
            self._drop_seq_first = seq
        elif seq > self._drop_seq_last:
            self._drop_seq_last = seq
        self._drop_count += 1
        self.dropped += 1
        self._drop_last = now
        self._tell_drops()

    def _take_back(self, drops: Drops) -> None:
        """Count drops as not reported again, whose record could not be written."""
        count, seq_first, seq_last, first, last, _ = drops
        if not self._drop_count:
            self._drop_seq_first = seq_first
            self._drop_seq_last = seq_last
            self._drop_last = last
        elif seq_first < self._drop_seq_first:
            self._drop_seq_first = seq_first
        if seq_last > self._drop_seq_last:
            self._drop_seq_last = seq_last
        self._drop_count += count
        self._drop_first = first

    def _tell_drops(self) -> None:
        drops = None
        if self._drop_count:
            drops = Drops(
                self._drop_count,
                self._drop_seq_first,
                self._drop_seq_last,
                self._drop_first,
                self._drop_last,
                self._drop_reason,
            )
        self._on_drop(drops, self.dropped)

    def blank(self, memory: "mmap.mmap | None", start: int, end: int, seq: int) -> None:
        """Turn a claim whose copy failed (out of memory) into an empty line."""
        if memory is not None:
            for position in range(start, end - 1):
                memory[position] = 32
            memory[end - 1] = 10
        self._count_drop(seq, "out of memory")


def in_event_loop() -> bool:
    """Tell whether the calling thread runs an asyncio event loop, which must not be held up."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None
