"""Records around a match, counted within its process, its thread, or by time. Runs in the command `mplog`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from mplog.viewer.conditions import Predicate
from mplog.viewer.lines import Record

Group = list[tuple[Record, bool]]
Item = Record | Callable[[], Record]
"""A record, or what makes it when it is shown."""
_Items = list[tuple[Item, bool]]


class Context:
    """Collect, around each matching record, the records before and after it with the same key.

    Groups are yielded when complete, each together: in an interleaved log the neighbours of a match are lines of
    other processes. Matches closer than the context share a group. Memory is bounded by the number of keys.

    Args:
        before: how many records before a match.
        after: how many behind it.
        by: `process`, `thread` or `time`.
        match: the condition.
        logs: which log a file is of, for the rotated ones.
    """

    def __init__(
        self, before: int, after: int, by: str, match: Predicate, logs: Mapping[str, str] | None = None
    ) -> None:
        self.before, self.after, self.by, self.match = before, after, by, match
        self.logs = logs or {}
        self._earlier: dict[tuple[Hashable, ...], deque[Item]] = {}
        self._open: dict[tuple[Hashable, ...], tuple[_Items, int]] = {}

    def key(self, record: Record) -> tuple[Hashable, ...]:
        """Return what a record is counted with."""
        if self.by == "time":
            return ()
        log = self.logs.get(record.source, record.source)
        if self.by == "thread":
            return (log, record.process, record.pid, record.thread)
        return (log, record.process, record.pid)

    def feed(self, record: Record) -> Iterator[Group]:
        """Take the next record and yield the groups it completes."""
        key = self.key(record)
        matched = not record.damaged and self.match(record)
        if not matched and key not in self._open:
            if self.before:
                self.note_earlier(key, (record,))
            return
        group = self.take(key, record, matched=matched)
        if group is not None:
            yield group

    def note_earlier(self, key: tuple[Hashable, ...], items: Iterable[Item]) -> None:
        """Keep records that match nothing: a match may follow."""
        self._earlier.setdefault(key, deque(maxlen=self.before)).extend(items)

    def behind(self, key: tuple[Hashable, ...]) -> int:
        """Return how many records behind a match are still wanted."""
        return self._open[key][1] if key in self._open else 0

    def take(self, key: tuple[Hashable, ...], item: Item, *, matched: bool) -> Group | None:
        """Take a match, or a record that is wanted behind one; return the group that it completes."""
        group, left = self._open.get(key) or ([], 0)
        if matched:
            if not group:
                group = [(earlier, False) for earlier in self._earlier.pop(key, ())]
            left = self.after
        else:
            left -= 1
        group.append((item, matched))
        if left > 0:
            self._open[key] = (group, left)
            return None
        self._open.pop(key, None)
        return _made(group)

    def in_order(self, keys: Iterable[tuple[Hashable, ...]]) -> None:
        """Note in which order the newest groups were begun, of those that are not complete."""
        for key in keys:
            if key in self._open:
                self._open[key] = self._open.pop(key)

    def finish(self) -> Iterator[Group]:
        """Yield the groups still waiting for records behind their match."""
        for group, _ in self._open.values():
            yield _made(group)
        self._open.clear()


def _made(items: _Items) -> Group:
    return [(item if isinstance(item, Record) else item(), matched) for item, matched in items]


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
