"""Records around a match, counted within its process, its thread, or by time. Runs in the command `mplog`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mplog.viewer.conditions import Predicate
from mplog.viewer.lines import Record

Group = list[tuple[Record, bool]]


class Context:
    """Collect, around each matching record, the records before and after it with the same key.

    Groups are yielded when complete, each together: in an interleaved log the neighbours of a match are
    lines of
    other processes. Matches closer than the context share a group. Memory is bounded by the number of keys.

    Args:
        before: how many records before a match.
        after: how many behind it.
        by: `process`, `thread` or `time`.
        match: the condition.
    """

    def __init__(self, before: int, after: int, by: str, match: Predicate) -> None:
        self.before, self.after, self.by, self.match = before, after, by, match
        self._earlier: dict[tuple[object, ...], deque[Record]] = {}
        self._open: dict[tuple[object, ...], tuple[Group, int]] = {}

    def key(self, record: Record) -> tuple[object, ...]:
        """Return what a record is counted with."""
        if self.by == "time":
            return ()
        if self.by == "thread":
            return (record.source, record.process, record.pid, record.thread)
        return (record.source, record.process, record.pid)

    def feed(self, record: Record) -> Iterator[Group]:
        """Take the next record and yield the groups it completes."""
        key = self.key(record)
        group, left = self._open.get(key) or ([], 0)
        if not record.damaged and self.match(record):
            if not group:
                group = [(earlier, False) for earlier in self._earlier.pop(key, ())]
            group.append((record, True))
            left = self.after
        elif group:
            group.append((record, False))
            left -= 1
        else:
            if self.before:
                self._earlier.setdefault(key, deque(maxlen=self.before)).append(record)
            return
        if left > 0:
            self._open[key] = (group, left)
            return
        self._open.pop(key, None)
        yield group

    def finish(self) -> Iterator[Group]:
        """Yield the groups still waiting for records behind their match."""
        for group, _ in self._open.values():
            yield group
        self._open.clear()


class Immediate:
    """Show context while following: what led to a match comes with it, what follows it as it comes.

    Nothing is held back, so records of other processes may stand in between.

    Args:
        context: what to show around a match, and how to count it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._earlier: dict[tuple[object, ...], deque[Record]] = {}
        self._left: dict[tuple[object, ...], int] = {}

    def pick(self, records: list[Record]) -> list[Record]:
        """Return the records to show of those that came."""
        found: list[Record] = []
        context = self._context
        for record in records:
            key = context.key(record)
            if not record.damaged and context.match(record):
                found += [*self._earlier.pop(key, ()), record]
                self._left[key] = context.after
            elif self._left.get(key, 0):
                self._left[key] -= 1
                found.append(record)
            elif context.before:
                self._earlier.setdefault(key, deque(maxlen=context.before)).append(record)
        return found
