"""Context lines in a log of mplog's JSON: matches are found by bytes, only they and their neighbours become records.

Runs in the command `mplog`. Of the other lines no more is decoded than whose they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator
from itertools import accumulate
from typing import Any

import msgspec

from mplog.viewer import folding, quick
from mplog.viewer.context import Context, Group, Item
from mplog.viewer.counting import NUMBER
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record, decode_own
from mplog.viewer.output import Progress
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import BLOCK, Source, open_source
from mplog.viewer.scan import Plan, Scanner
from mplog.viewer.walk import pieces_of, pread


class _Row(msgspec.Struct, gc=False):
    time: str
    level: str
    msg: str
    process: str = ""
    pid: Any = None
    thread: str = ""


_decode_lines = msgspec.json.Decoder(_Row).decode_lines


def groups(source: Source, plan: Plan, context: Context, progress: Progress) -> Iterator[Group] | None:
    """Return the groups of a log; None where every line has to become a record anyway.

    Raises:
        ViewerError: a file cannot be read, while the groups are taken.
    """
    timed = plan.selection.since is not None or plan.selection.until is not None
    if timed or not folding.fits([source], plan.input_format):
        return None
    sparse = msgspec.structs.replace(plan, every_record=False)
    with open_source(source.files[0]) as stream:
        probe = Scanner(source.files[0], sparse, whole=True)
        probe.decide(pread(stream.fileno(), BLOCK, 0))
    return None if probe.chosen is None else _groups(source, sparse, context, progress)


def _groups(source: Source, plan: Plan, context: Context, progress: Progress) -> Iterator[Group]:
    for path in source.files:
        try:
            with open_source(path) as stream:
                yield from _Reader(path, plan, context).groups(stream.fileno(), progress)
        except OSError as error:
            raise ViewerError(f"{path}: {error.strerror or error}") from None
    yield from context.finish()


class _Reader:
    """Read one file block by block."""

    def __init__(self, path: str, plan: Plan, context: Context) -> None:
        self._path, self._plan, self._context = path, plan, context
        self._scanner = Scanner(path, plan, whole=True)
        self._parser = Parser(path, plan.input_format)
        self._opened: dict[tuple[Hashable, ...], int] = {}
        log = context.logs.get(path, path)
        self._key_of: Callable[[_Row], tuple[Hashable, ...]] = {
            "time": lambda _: (),
            "thread": lambda row: (log, row.process, row.pid, row.thread),
            "process": lambda row: (log, row.process, row.pid),
        }[context.by]

    def groups(self, fd: int, progress: Progress) -> Iterator[Group]:
        for at, data, limit in pieces_of(fd, 0, None, self._plan.longest):
            block = data if limit is None or limit == len(data) else data[:limit]
            rows = self._rows(block)
            if rows is None or self._scanner_is_slow(block):
                yield from self._one_by_one(block, at)
            else:
                for record in self._parser.pass_json():
                    yield from self._context.feed(record)
                yield from self._block(block, at, rows)
            progress.at(at)
        for record in self._parser.flush():
            yield from self._context.feed(record)

    def _scanner_is_slow(self, block: bytes) -> bool:
        self._scanner.decide(block)
        return self._scanner.chosen is None or self._scanner.text_hits

    def _one_by_one(self, block: bytes, at: int) -> Iterator[Group]:
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            for record in self._parser.feed(line, at):
                if record.damaged:
                    self._plan.damage.add(record)
                    if not self._plan.show_damaged:
                        continue
                yield from self._context.feed(record)
            at += len(line) + 1

    @staticmethod
    def _rows(block: bytes) -> list[_Row] | None:
        """Return whose each line is; None unless each is a record of mplog's JSON by itself."""
        count = folding.objects(block)
        if not count:
            return None
        try:
            rows: list[_Row] = _decode_lines(block)
        except quick.REFUSALS:
            return None
        return rows if len(rows) == count and {type(row.pid) for row in rows} <= NUMBER else None

    def _block(self, block: bytes, at: int, rows: list[_Row]) -> list[Group]:
        context, key_of = self._context, self._key_of
        lines = block.split(b"\n")
        starts = list(accumulate((len(line) + 1 for line in lines), initial=at))
        positions: dict[tuple[Hashable, ...], list[int]] = {}
        for number, row in enumerate(rows):
            key = key_of(row)
            try:
                positions[key].append(number)
            except KeyError:
                positions[key] = [number]
        matches: dict[tuple[Hashable, ...], list[tuple[int, Record]]] = {}
        for record in self._scanner.block(block, at):
            number = bisect_left(starts, record.offset)
            matches.setdefault(key_of(rows[number]), []).append((number, record))
        done: list[tuple[int, Group]] = []
        for key, numbers in positions.items():
            if key in matches or context.behind(key):
                done += self._one_key(key, numbers, matches.get(key, []), lines, starts)
            elif context.before:
                context.note_earlier(key, [self._item(lines, starts, n) for n in numbers[-context.before :]])
        context.in_order(sorted(self._opened, key=self._opened.__getitem__))
        self._opened.clear()
        done.sort(key=lambda each: each[0])
        return [group for _, group in done]

    def _one_key(
        self, key: tuple[Hashable, ...], numbers: list[int], matches: list[tuple[int, Record]],
        lines: list[bytes], starts: list[int],
    ) -> Iterator[tuple[int, Group]]:  # fmt: skip
        """Yield the groups of one process that are completed in a block, each with the line that completes it."""
        context, begin = self._context, 0
        for number, record in [*matches, (len(lines), None)]:
            end = bisect_left(numbers, number)
            behind = context.behind(key)
            for position in range(begin, min(end, begin + behind)):
                group = context.take(key, self._item(lines, starts, numbers[position]), matched=False)
                if group is not None:
                    yield numbers[position], group
            begin += min(end - begin, behind)
            if context.before:
                rest = numbers[max(begin, end - context.before) : end]
                context.note_earlier(key, [self._item(lines, starts, n) for n in rest])
            if record is not None:
                if not context.behind(key):
                    self._opened[key] = number
                group = context.take(key, record, matched=True)
                if group is not None:
                    yield number, group
                begin = end + 1

    def _item(self, lines: list[bytes], starts: list[int], number: int) -> Item:
        line, at, path = lines[number], starts[number], self._path
        return lambda: decode_own(line, at, path) or Parser(path).feed(line, at)[0]
