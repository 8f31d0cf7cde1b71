"""A log counted in parts: whole blocks of mplog's JSON by a few columns, on all cores. Runs in the command `mplog`.

A summary that only counts need not make a `Record` of every line. It says which members of a line it counts (`Part`),
and adds up the parts in the order of the file (`Target`). Lines that are not mplog's JSON, and those that a part leaves
out because their order matters, are parsed one by one: the result is the same.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from mplog.viewer import layouts, quick
from mplog.viewer.archives import is_compressed
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.forks import LARGE, Team, workers
from mplog.viewer.lines import Record
from mplog.viewer.longlines import left_out
from mplog.viewer.output import Progress
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import Source
from mplog.viewer.walk import pieces_of, pread

_BLOCK = 16 << 20
_SAMPLE = 1 << 18
_LENGTH = struct.Struct("<Q")

Items = list[tuple[int, Any]]
"""Where lines begin, and their part; None for lines that are to be parsed."""


class Part(Protocol):
    """Counts of lines next to each other."""

    decoder: msgspec.json.Decoder[Any]
    """Of the members counted; it refuses a line without a time, a level or a message."""

    @property
    def full(self) -> bool:
        """Say whether it must not grow any more."""

    def fits(self, rows: Sequence[Any]) -> bool:
        """Say whether every decoded line can be counted here."""

    def add(self, rows: Sequence[Any], size: int) -> None:
        """Count decoded lines of so many bytes."""

    def packed(self) -> object:
        """Return the counts as lists, text and numbers."""


class Target(Protocol):
    """What the parts add up to."""

    def part(self) -> Part:
        """Return an empty part."""

    def merge(self, packed: Any) -> bool:
        """Add a part; return False, and change nothing, if these lines must be seen one by one."""

    def collect(self, records: Iterable[Record]) -> object:
        """Count records one by one."""


def fits(sources: Sequence[Source], input_format: str) -> bool:
    """Say whether a log can be counted in parts: one that lies in plain files of mplog's JSON."""
    if len(sources) != 1 or input_format not in ("auto", "json"):
        return False
    return all(_is_own(path) for path in sources[0].files)


def _is_own(path: str) -> bool:
    if path == "-" or is_compressed(path):
        return False
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb", buffering=0) as stream:
            return layouts.sniff(pread(stream.fileno(), _SAMPLE, 0)) == layouts.JSON
    except OSError:
        return False


def fold(target: Target, source: Source, input_format: str, progress: Progress) -> None:
    """Count the records of a log.

    Raises:
        ViewerError: a file cannot be read.
    """
    for path in source.files:
        try:
            with open(path, "rb", buffering=0) as stream:
                _fold(target, stream.fileno(), path, Parser(path, input_format), progress)
        except OSError as error:
            raise ViewerError(f"{path}: {error.strerror or error}") from None


def _fold(target: Target, fd: int, path: str, parser: Parser, progress: Progress) -> None:
    for items, end in _all_items(fd, path, target.part):
        for position, (begin, packed) in enumerate(items):
            if packed is not None:
                target.collect(parser.pass_json())
                if target.merge(packed):
                    continue
            stop = items[position + 1][0] if position + 1 < len(items) else end
            target.collect(_parsed(fd, begin, stop, parser))
        progress.at(end)
    target.collect(parser.flush())


def _parsed(fd: int, begin: int, end: int, parser: Parser) -> Iterator[Record]:
    for at, data, limit in pieces_of(fd, begin, end):
        lines = (data if limit is None else data[:limit]).split(b"\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            yield from parser.feed(line, at)
            at += len(line) + 1


def _all_items(fd: int, path: str, make: Callable[[], Part]) -> Iterator[tuple[Items, int]]:
    """Yield the items of a file, block by block, and where each block ends."""
    size = os.fstat(fd).st_size
    if size < LARGE or workers() < 2 or not hasattr(os, "fork"):
        team = _Team(fd, path, size, make)
        for number in range(team.blocks):
            begin, end = team.bounds(number)
            yield items_of(fd, begin, end, make), end
        return
    team = _Team(fd, path, size, make).start()
    try:
        for number in range(team.blocks):
            (length,) = _LENGTH.unpack(team.receive(number, _LENGTH.size))
            yield msgspec.msgpack.decode(team.receive(number, length))
    finally:
        team.dismiss()


class _Team(Team):
    """Count the blocks of one file."""

    def __init__(self, fd: int, path: str, size: int, make: Callable[[], Part]) -> None:
        super().__init__(fd, path, 0, size, _BLOCK)
        self._make = make

    def answer(self, number: int) -> tuple[bytes, bytes]:
        """Return the items of a block."""
        begin, end = self.bounds(number)
        try:
            found = msgspec.msgpack.encode((items_of(self.fd, begin, end, self._make), end))
        except OverflowError:  # a number that does not fit into 64 bits
            found = msgspec.msgpack.encode(([(begin, None)] if end > begin else [], end))
        return _LENGTH.pack(len(found)), found


def items_of(fd: int, begin: int, end: int, make: Callable[[], Part]) -> Items:
    """Return the items of a piece of a file that begins and ends with whole lines."""
    divider = _Divider(make)
    for at, data, limit in pieces_of(fd, begin, end):
        divider.block(data if limit is None else data[:limit], at)
    return divider.done()


class _Divider:
    """Divide lines into parts, and lines that belong into none."""

    def __init__(self, make: Callable[[], Part]) -> None:
        self._make = make
        self._part = make()
        self._begin: int | None = None
        self._items: Items = []

    def block(self, block: bytes, at: int) -> None:
        rows = self._rows(block)
        if rows is not None:
            self._add(rows, at, len(block) + (left_out(block) if len(rows) == 1 else 0))
            return
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        rows, begin, size = [], at, 0
        for line in lines:
            row = self._row(line)
            if row is None:
                self._add(rows, begin, size)
                self._leave_out(at)
                rows, begin, size = [], at + len(line) + 1, 0
            else:
                rows.append(row)
                size += len(line) + left_out(line) + (line[-1:] != b"\r")
            at += len(line) + 1
        self._add(rows, begin, size)

    def done(self) -> Items:
        self._close()
        return self._items

    def _rows(self, block: bytes) -> list[Any] | None:
        """Return the decoded lines of a block; None unless each is an object by itself and can be counted."""
        count = objects(block)
        if not count:
            return None
        try:
            rows: list[Any] = self._part.decoder.decode_lines(block)
        except quick.REFUSALS:
            return None
        return rows if len(rows) == count and self._part.fits(rows) else None

    def _row(self, line: bytes) -> Any | None:
        if line[:1] != b"{" or not _is_text(line):
            return None
        try:
            row = self._part.decoder.decode(line)
        except quick.REFUSALS:
            return None
        return row if self._part.fits((row,)) else None

    def _add(self, rows: list[Any], at: int, size: int) -> None:
        if rows:
            if self._begin is None:
                self._begin = at
            self._part.add(rows, size)
            if self._part.full:
                self._close()

    def _leave_out(self, at: int) -> None:
        self._close()
        if not self._items or self._items[-1][1] is not None:
            self._items.append((at, None))

    def _close(self) -> None:
        if self._begin is not None:
            self._items.append((self._begin, self._part.packed()))
            self._part, self._begin = self._make(), None


def objects(block: bytes) -> int:
    """Return how many lines a block has; 0 unless each of them may be an object by itself, and all of it is UTF-8."""
    count = block.count(b"\n")
    if block[:1] != b"{" or block[-2:] != b"}\n" or block.count(b"}\n{") != count - 1:
        return 0
    return count if _is_text(block) else 0


def _is_text(data: bytes) -> bool:
    """Say whether bytes are UTF-8; a decoder does not look into the members that it passes over."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
