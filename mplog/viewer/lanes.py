"""A lane for each process or thread beside the records, as `git log --graph` draws branches.

Runs in the command `mplog`.
"""

from __future__ import annotations

from mplog.viewer import colours
from mplog.viewer.lines import Record

_MARKS = ((40, "✖"), (30, "◆"), (20, "●"), (0, "○"))


class Lanes:
    """Give each process (or thread) a lane from its first record to its end, and draw them.

    Args:
        by: `process` or `thread`.
        colour: draw each lane in the colour of its name.
        width: of the terminal; lanes take at most a third of it, what has none left is marked at the edge.
        reserved: how many lanes to leave room for from the beginning.
    """

    def __init__(self, by: str, colour: bool, width: int, reserved: int = 0) -> None:
        self.by = by
        self._colour = colour
        self._most = max(2, width // 6)
        self._reserved = min(reserved, self._most)
        self._lanes: list[tuple[object, ...] | None] = []
        self._names: list[str] = []

    def of(self, record: Record) -> tuple[str, str]:
        """Return what is drawn beside a record's first line and beside its further lines."""
        ended = _ended(record)
        key: tuple[object, ...] = ended or (record.process, record.pid)
        name = str(key[0] or key[1] or "")
        if self.by == "thread" and ended is None:
            key, name = (*key, record.thread), record.thread or name
        at = self._lane(key, name) if ended is None else self._known(ended)
        room = "  " * (self._reserved - len(self._lanes))
        mark = "┴" if ended else next(mark for least, mark in _MARKS if record.levelno >= least)
        drawn = [self._paint(i, "│" if lane is not None else " ") for i, lane in enumerate(self._lanes)]
        if at is None:
            further = " ".join(drawn) + " " + room
            return further + (mark if ended is None else " ") + " ", further + "  "
        drawn[at] = self._paint(at, mark)
        if ended:
            self._lanes[at] = None
        below = [self._paint(i, "│" if lane is not None else " ") for i, lane in enumerate(self._lanes)]
        return f"{' '.join(drawn)} {room}", f"{' '.join(below)} {room}"

    def _known(self, key: tuple[object, ...]) -> int | None:
        return next((at for at, lane in enumerate(self._lanes) if lane is not None and lane[:2] == key), None)

    def _lane(self, key: tuple[object, ...], name: str) -> int | None:
        if key in self._lanes:
            return self._lanes.index(key)
        if None in self._lanes:
            at = self._lanes.index(None)
            self._lanes[at], self._names[at] = key, name
            return at
        if len(self._lanes) >= self._most:
            return None
        self._lanes.append(key)
        self._names.append(name)
        return len(self._lanes) - 1

    def _paint(self, lane: int, text: str) -> str:
        if not self._colour or text == " ":
            return text
        return f"{colours.of_name(self._names[lane])}{text}{colours.RESET}"


def _ended(record: Record) -> tuple[object, ...] | None:
    """Return the process whose end a record reports."""
    if record.fields.get("event") not in ("died", "ended"):
        return None
    return (record.fields.get("died_process", record.process), record.fields.get("died_pid", record.pid))
