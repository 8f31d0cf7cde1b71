"""The ways through a log: forward, backward, from a time on; batches of selected records.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from mplog.viewer import layouts
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.output import Progress
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import BLOCK, MAX_LINE, Source, blocks, is_plain, open_source
from mplog.viewer.scan import WIDEN, Plan, Scanner

_PROBE = 1 << 16
_FIRST_BACK = 1 << 16
_MOST_BACK = 1 << 20
_CARRY = 4 << 20

Batches = Iterator[list[Record]]


def forward(source: Source, plan: Plan, progress: Progress | None = None) -> Batches:
    """Yield the selected records of a log in file order, as batches.

    Raises:
        ViewerError: a file breaks off or cannot be read.
    """
    for path in source.files:
        try:
            with open_source(path) as stream:
                begin, end = span(stream, path, plan)
                seekable = is_plain(path)
                scanner = Scanner(path, plan, whole=seekable)
                if seekable:
                    scanner.decide(pread(stream.fileno(), BLOCK, begin))
                    pieces = pieces_of(stream.fileno(), begin, end, records=scanner.text_hits)
                else:
                    pieces = _blocks(stream)
                for at, block, limit in pieces:
                    found = scanner.block(block, at, limit)
                    if found:
                        yield found
                    if progress is not None:
                        progress.at(at)
        except (OSError, EOFError) as error:
            raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        found = scanner.finish()
        if found:
            yield found


def _blocks(stream: BinaryIO) -> Iterator[tuple[int, bytes, int | None]]:
    return ((at, block, None) for at, block in blocks(stream))


def pieces_of(
    fd: int, begin: int, end: int | None, *, records: bool = False
) -> Iterator[tuple[int, bytes, int | None]]:
    """Yield (offset, bytes, end of the whole lines in them) of a file; nothing is copied to get whole lines.

    A line longer than 16 MiB is cut there.

    Args:
        fd: a file that can be read anywhere.
        begin: the first byte.
        end: behind the last byte; None is the end of the file.
        records: end where a text record begins, not just where a line does.
    """
    at, size = begin, BLOCK
    while end is None or at < end:
        wanted = size if end is None else min(size, end - at)
        data = pread(fd, wanted, at)
        if not data:
            return
        last = len(data) < size
        limit = len(data) if last and records else layouts.whole_records(data) if records else data.rfind(b"\n") + 1
        if limit:
            yield at, data, limit
            at, size = at + limit, BLOCK
        elif last:
            yield at, data, None
            return
        elif size < MAX_LINE:
            size *= 4
        else:
            yield at, data[:MAX_LINE], None
            at, size = _next_line(fd, at + len(data)), BLOCK


def _next_line(fd: int, at: int) -> int:
    while data := os.pread(fd, BLOCK, at):
        newline = data.find(b"\n")
        if newline >= 0:
            return at + newline + 1
        at += len(data)
    return at


def backward(source: Source, plan: Plan) -> Batches:
    """Yield the selected records of a log in batches from the end; each batch is in file order.

    What cannot be read backward, compressed files and standard input, is unpacked into a temporary file
    first.
    """
    for path in reversed(source.files):
        try:
            with open_source(path) as stream:
                seekable = stream if is_plain(path) else _unpacked(stream)
                begin, end = span(seekable, path, plan)
                fd = seekable.fileno()
                if end is None:
                    end = os.fstat(fd).st_size
                chosen = Scanner(path, plan, whole=True)
                for at, block in blocks_back(fd, begin, end, Parser(path, plan.input_format).begins):
                    scanner = Scanner(path, plan, whole=True)
                    scanner.adopt(chosen, block)
                    found = [*scanner.block(block, at), *scanner.finish()]
                    if found:
                        yield found
        except (OSError, EOFError) as error:
            raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _unpacked(stream: BinaryIO) -> BinaryIO:
    import tempfile

    copy = tempfile.TemporaryFile()
    while chunk := stream.read(1 << 20):
        copy.write(chunk)
    copy.flush()
    return copy


def blocks_back(fd: int, begin: int, end: int, begins: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, whole records) from the end of a file to its beginning, small blocks first.

    Args:
        fd: a file that can be read anywhere.
        begin: the first byte, at the beginning of a record.
        end: behind the last byte.
        begins: tells whether a line begins a record, or continues one.
    """
    size = _FIRST_BACK
    rest = b""
    while end > begin:
        at = max(begin, end - size)
        block = pread(fd, end - at, at) + rest
        cut = 0 if at == begin else _record_start(block, begins)
        if cut is None and len(block) < _CARRY:
            rest, end = block, at
            size = min(size * 2, _MOST_BACK)
            continue
        cut = cut or 0
        yield at + cut, block[cut:]
        rest, end = block[:cut], at
        size = min(size * 2, _MOST_BACK)
    if rest:
        yield begin, rest


def _record_start(block: bytes, begins: Callable[[bytes], bool]) -> int | None:
    at = block.find(b"\n") + 1
    while at:
        stop = block.find(b"\n", at)
        line = block[at:stop] if stop >= 0 else block[at:]
        if not line and stop < 0:
            return None
        if begins(line):
            return at
        at = stop + 1
    return None


def pread(fd: int, size: int, at: int) -> bytes:
    """Read exactly so many bytes, or what there is."""
    parts = []
    while size > 0 and (part := os.pread(fd, size, at)):
        parts.append(part)
        at += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def span(stream: BinaryIO, path: str, plan: Plan) -> tuple[int, int | None]:
    """Return the part of a file that can hold the time asked for: found by bisection, 2 s wider."""
    since, until = plan.selection.since, plan.selection.until
    if (since is None and until is None) or not is_plain(path):
        return 0, None
    fd = stream.fileno()
    size = os.fstat(fd).st_size
    time_at = _Times(fd, size, path, plan.input_format)
    begin = 0 if since is None else _bisect(time_at, size, since - WIDEN, upper=False)
    end = None if until is None else _bisect(time_at, size, until + WIDEN, upper=True)
    return begin, end


class _Times:
    """Tell the time of the first record at or behind an offset, and where that record begins."""

    def __init__(self, fd: int, size: int, path: str, input_format: str) -> None:
        self._fd, self._size, self._path, self._format = fd, size, path, input_format

    def __call__(self, offset: int) -> tuple[float, int] | None:
        at = max(0, offset - 1)
        reach = _PROBE
        while at < self._size:
            block = pread(self._fd, reach, at)
            skip = block.find(b"\n") + 1 if offset else 0
            if offset and not skip:
                at += len(block)
                continue
            found = self._first(block[skip:], at + skip)
            if found is not None or at + len(block) >= self._size:
                return found
            reach *= 4
            if reach > 1 << 24:
                at += len(block) // 2
        return None

    def _first(self, block: bytes, at: int) -> tuple[float, int] | None:
        parser = Parser(self._path, self._format)
        for line in block.split(b"\n"):
            for record in (*parser.feed(line, at), *parser.flush()):
                if record.time is not None:
                    return record.time, record.offset
            at += len(line) + 1
        return None


def _bisect(time_at: _Times, size: int, wanted: float, *, upper: bool) -> int:
    """Return the offset of the first record whose time is at least `wanted`; the size when there is none.

    Where the times met are not in order, as in a log that several programs write, all of the file is taken.
    """
    low, high = 0, size
    earliest, latest = float("-inf"), float("inf")
    while high - low > _PROBE:
        middle = (low + high) // 2
        found = time_at(middle)
        if found is None or found[1] >= high:
            high = middle
            continue
        if not earliest - WIDEN <= found[0] <= latest + WIDEN:
            return size if upper else 0
        if found[0] < wanted:
            low, earliest = found[1], found[0]
        else:
            high, latest = middle, found[0]
    found = time_at(low)
    while found is not None and found[0] < wanted:
        found = time_at(found[1] + 1)
    return size if found is None else found[1]
