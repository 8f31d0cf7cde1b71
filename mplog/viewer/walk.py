"""The ways through a log: forward, backward, from a time on; batches of selected records.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from mplog.viewer import layouts, longlines
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import MAX_LINE
from mplog.viewer.output import Progress
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import BLOCK, Source, blocks, is_plain, open_source
from mplog.viewer.scan import WIDEN, Plan, Scanner

_PROBE = 1 << 16
_FIRST_BACK = 1 << 16
_MOST_BACK = 1 << 20

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
                    pieces = pieces_of(stream.fileno(), begin, end, plan.longest, records=scanner.text_hits)
                else:
                    pieces = _blocks(stream, plan.longest)
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


def _blocks(stream: BinaryIO, longest: int) -> Iterator[tuple[int, bytes, int | None]]:
    return ((at, block, None) for at, block in blocks(stream, longest=longest))


def pieces_of(
    fd: int, begin: int, end: int | None, longest: int = MAX_LINE, *, records: bool = False
) -> Iterator[tuple[int, bytes, int | None]]:
    """Yield (offset, bytes, end of the whole lines in them) of a file; nothing is copied to get whole lines.

    Args:
        fd: a file that can be read anywhere.
        begin: the first byte.
        end: behind the last byte; None is the end of the file.
        longest: of a longer line only the two ends are read.
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
        if records and not limit and size >= MAX_LINE:  # a record of very many lines
            limit = data.rfind(b"\n") + 1
        if limit:
            yield at, data, limit
            at, size = at + limit, BLOCK
        elif last:
            yield at, data, None
            return
        elif size < MAX_LINE:
            size = MAX_LINE
        else:
            del data
            stop = _newline(fd, at + size, end)
            yield at, _long_line(fd, at, stop, longest), None
            at, size = stop + 1, BLOCK


def _newline(fd: int, at: int, end: int | None) -> int:
    """Return where the line ends that has come up to `at`: its newline, or the end of what is to be read."""
    while data := os.pread(fd, _PROBE if end is None else min(_PROBE, end - at), at):
        newline = data.find(b"\n")
        if newline >= 0:
            return at + newline
        at += len(data)
    return at


def _long_line(fd: int, begin: int, end: int, longest: int) -> bytes:
    if end - begin <= longest:
        return pread(fd, end - begin, begin)
    return longlines.from_file(partial(pread, fd), begin, end)


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
                for at, block in blocks_back(fd, begin, end, Parser(path, plan.input_format).begins, plan.longest):
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


def blocks_back(
    fd: int, begin: int, end: int, begins: Callable[[bytes], bool], longest: int = MAX_LINE
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, whole records) from the end of a file to its beginning, small blocks first.

    Args:
        fd: a file that can be read anywhere.
        begin: the first byte, at the beginning of a record.
        end: behind the last byte.
        begins: tells whether a line begins a record, or continues one.
        longest: of a longer line only the two ends are read.
    """
    size = _FIRST_BACK
    rest = b""
    while end > begin:
        at = max(begin, end - size)
        block = pread(fd, end - at, at) + rest
        cut = 0 if at == begin else _record_start(block, begins)
        size = min(size * 2, _MOST_BACK)
        if cut is None and len(block) < MAX_LINE:
            rest, end = block, at
        elif cut is None:
            newline = block.find(b"\n")
            stop = at + (len(block) if newline < 0 else newline)
            rest = b"" if newline < 0 else block[newline + 1 :]
            if rest:
                yield stop + 1, rest
            del block
            end, rest = _line_begin(fd, at, begin), b""
            yield end, _long_line(fd, end, stop, longest)
        else:
            yield at + cut, block[cut:]
            rest, end = block[:cut], at
    if rest:
        yield begin, rest


def _line_begin(fd: int, at: int, begin: int) -> int:
    """Return where the line begins that an offset lies in."""
    while at > begin:
        size = min(BLOCK, at - begin)
        newline = pread(fd, size, at - size).rfind(b"\n")
        if newline >= 0:
            return at - size + newline + 1
        at -= size
    return begin


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
        begin = offset
        if offset:
            begin = _newline(self._fd, offset - 1, self._size) + 1
        if begin >= self._size:
            return None
        found = self._first(pread(self._fd, _PROBE, begin), begin)
        if found is not None or begin + _PROBE >= self._size:
            return found
        for at, data, limit in pieces_of(self._fd, begin, self._size):
            found = self._first(data if limit is None else data[:limit], at)
            if found is not None:
                return found
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
