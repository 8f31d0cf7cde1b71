"""`--cursor-file`: go on where the last call ended, also behind a rotation. Runs in the command `mplog`."""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mplog.viewer.archives import is_compressed
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.reading import rotations

if TYPE_CHECKING:
    from mplog.viewer.scan import Plan
    from mplog.viewer.view import View

HEAD = 256


class Place(NamedTuple):
    """Say where reading goes on: length and checksum of the file's first bytes, and the offset."""

    length: int
    checksum: int
    offset: int


Places = dict[str, Place]


def fingerprint(fd: int, size: int) -> tuple[int, int]:
    """Return length and checksum of a file's first bytes: a rotated file keeps them, a new one has others."""
    head = os.pread(fd, min(size, HEAD), 0)
    return len(head), zlib.crc32(head)


def place_of(fd: int, offset: int) -> Place:
    """Return the place at an offset of an open file."""
    return Place(*fingerprint(fd, offset), offset)


def is_file_of(fd: int, place: Place) -> bool:
    """Say whether an open file begins with the bytes of a place's file."""
    head = os.pread(fd, place.length, 0)
    return (len(head), zlib.crc32(head)) == (place.length, place.checksum)


def load(path: str) -> Places:
    """Return the places that a cursor file holds, by real path; nothing if there is none yet.

    Raises:
        ViewerError: the file is no cursor file, or could not be written later on.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ViewerError(f"{path}: there is no directory {folder}; make it, or name another cursor file")
    if os.path.exists(path) and not os.path.isfile(path):  # merely to open a FIFO would wait for its writer
        raise ViewerError(f"{path}: a cursor file is a regular file, and this is none; name another")
    if not os.access(folder, os.W_OK):
        raise ViewerError(f"{path}: cannot be written: {os.strerror(errno.EACCES)}")
    try:
        with open(path, encoding="utf-8") as stream:
            files = json.load(stream)["files"]
        return {
            str(name): Place(int(place["length"]), int(place["checksum"]), int(place["offset"]))
            for name, place in files.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ViewerError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ViewerError(f"{path}: this is no cursor file; delete it or name another") from None


def save(path: str, places: Places) -> None:
    """Write a cursor file in one step, so that a killed call leaves the old one.

    Raises:
        ViewerError: it cannot be written.
    """
    partial = f"{path}.{os.getpid()}.part"
    try:
        with open(partial, "w", encoding="utf-8") as stream:
            json.dump({"files": {name: place._asdict() for name, place in places.items()}}, stream)
        os.replace(partial, path)
    except OSError as error:
        raise ViewerError(f"{path}: cannot be written: {error.strerror}") from None


def from_cursor(view: View, plan: Plan) -> Iterator[Record]:
    """Yield the selected records behind the cursor, of all logs in turn; then move the cursor.

    Raises:
        ViewerError: the cursor file, or a log, cannot be read.
    """
    cursor = os.path.abspath(view.args.cursor_file)
    places = load(cursor)
    left = view.args.max_count
    for source in view.sources:
        if source.path == "-" or is_compressed(source.path):
            raise ViewerError(f"--cursor-file needs a plain file; {source.path} is none")
        key = os.path.realpath(source.path)
        for path, begin in _unread(source.path, places.get(key)):
            for record in _records(path, begin, plan):
                if left is not None:
                    if not left:
                        break
                    left -= 1
                yield record
                places[key] = _behind(path, record)
            else:
                places[key] = _place(path, _complete(path))
            if left == 0:
                break
    save(cursor, places)


def _place(path: str, offset: int) -> Place:
    with open(path, "rb", buffering=0) as stream:
        return place_of(stream.fileno(), offset)


def _behind(path: str, record: Record) -> Place:
    """Return the place behind a record, whose bytes may be fewer than its line has: a long one is cut."""
    at = record.offset + len(record.raw)
    with open(path, "rb", buffering=0) as stream:
        while (data := os.pread(stream.fileno(), 1 << 16, at)) and b"\n" not in data:
            at += len(data)
        return place_of(stream.fileno(), at + data.find(b"\n") + 1)


def _complete(path: str) -> int:
    """Return the offset behind the last whole line."""
    with open(path, "rb", buffering=0) as stream:
        end = os.fstat(stream.fileno()).st_size
        while end > 0:
            begin = max(0, end - (1 << 16))
            newline = os.pread(stream.fileno(), end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
    return 0


def _unread(path: str, place: Place | None) -> list[tuple[str, int]]:
    """Return (file, first byte) of everything behind a place: the rest of its file, and the younger files."""
    if place is None:
        return [(path, 0)]
    younger: list[tuple[str, int]] = []
    for name in [path, *(name for _, name in rotations(path) if not is_compressed(name))]:
        with open(name, "rb", buffering=0) as stream:
            if is_file_of(stream.fileno(), place):
                size = os.fstat(stream.fileno()).st_size
                return [(name, place.offset if place.offset <= size else 0), *reversed(younger)]
        younger.append((name, 0))
    return [(path, 0)]


def _records(path: str, begin: int, plan: Plan) -> Iterator[Record]:
    from mplog.viewer.reading import blocks
    from mplog.viewer.scan import Scanner

    scanner = Scanner(path, plan)
    with open(path, "rb", buffering=0) as stream:
        for at, block in blocks(stream, begin, _complete(path), plan.longest):
            yield from scanner.block(block, at)
    yield from scanner.finish()
