"""What `mplog ps` counts of a part of a log: the records of each process. Runs in the command `mplog`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mplog.viewer import times
from mplog.viewer.counting import NUMBER, kinds_of

_MOST = 20_000


class _Row(msgspec.Struct, gc=False):
    time: str
    level: str
    msg: str
    logger: str = ""
    process: str = ""
    pid: Any = None
    seq: Any = None
    levelno: Any = None


class Share(NamedTuple):
    """The records of one process in a part of a log.

    `earliest` and `latest` are None if no record has a time; `untimed`: some have none. `again`: a record other than
    the first is number 1, as that of a new process is.
    """

    pid: int | None
    process: str
    counts: Sequence[int]
    earliest: float | None
    latest: float | None
    untimed: bool
    first_time: float | None
    first_seq: int | None
    again: bool
    last_seq: int
    last_msg: str


class _Process:
    """Follow the records of one process."""

    __slots__ = (
        "again", "counts", "earliest", "first_seq", "first_time", "last_msg", "last_seq", "latest", "process", "untimed"
    )  # fmt: skip

    def __init__(self, row: _Row) -> None:
        self.process, self.first_seq, self.first_time = row.process, row.seq, times.parse_utc(row.time)
        self.counts = [0, 0, 0]
        self.earliest, self.latest = float("inf"), float("-inf")
        self.untimed = self.again = False
        self.last_seq, self.last_msg = 0, ""


class FamilyPart:
    """Count lines next to each other for `mplog ps`; not mplog's own records, which tell of other processes."""

    decoder = msgspec.json.Decoder(_Row)

    def __init__(self) -> None:
        self._found: dict[tuple[int | None, str], _Process] = {}

    @property
    def full(self) -> bool:
        """Say whether there are so many processes that it must not grow any more."""
        return len(self._found) > _MOST

    def fits(self, rows: Sequence[_Row]) -> bool:
        """Say whether pid and seq are numbers and nobody speaks of others."""
        if not ({type(row.pid) for row in rows} <= NUMBER and {type(row.seq) for row in rows} <= NUMBER):
            return False
        return "mplog" not in [row.logger for row in rows]

    def add(self, rows: Sequence[_Row], size: int) -> None:  # noqa: ARG002 - `stats` counts the bytes
        """Count decoded lines."""
        found, parse = self._found, times.parse_utc
        for row, kind in zip(rows, kinds_of(rows), strict=True):
            key = (row.pid, "") if row.pid is not None else (None, row.process)
            process = found.get(key)
            if process is None:
                if key == (None, ""):
                    continue
                process = found[key] = _Process(row)
            elif row.seq == 1:
                process.again = True
            process.counts[kind] += 1
            process.last_msg = row.msg
            process.last_seq = row.seq or process.last_seq
            moment = parse(row.time)
            if moment is None:
                process.untimed = True
                continue
            if moment > process.latest:
                process.latest = moment
            if moment < process.earliest:
                process.earliest = moment

    def packed(self) -> object:
        """Return the shares as lists, text and numbers."""
        return [
            Share(
                pid, life.process, life.counts,
                life.earliest if life.earliest <= life.latest else None,
                life.latest if life.earliest <= life.latest else None,
                life.untimed, life.first_time, life.first_seq, life.again, life.last_seq, life.last_msg,
            )
            for (pid, _), life in self._found.items()
        ]  # fmt: skip
