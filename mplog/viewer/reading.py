"""Sources to records: files, directories, globs, standard input; merged by time.

Runs in the command `mplog`.
"""

from __future__ import annotations

import contextlib
import glob as _glob
import os
import select
import stat
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from mplog.viewer.archives import SUFFIXES as COMPRESSED
from mplog.viewer.archives import is_compressed, open_archive
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import MAX_LINE, MAX_WHOLE, Lines
from mplog.viewer.merging import merged
from mplog.viewer.parsing import Parser

BLOCK = 1 << 19
_MANY = 100  # logs that any system opens at once
SUFFIXES = (".log", ".json", ".jsonl", ".ndjson")


class Source(msgspec.Struct, frozen=True):
    """Name one log: the files it consists of, oldest first; `-` is standard input."""

    path: str
    files: tuple[str, ...]


def expand(paths: list[str], *, rotated: bool = False) -> list[Source]:
    """Return the logs that files, directories, globs and `-` stand for.

    Raises:
        ViewerError: there is no such file, it cannot be read, or a directory holds no log.
    """
    found: dict[str, Source] = {}
    for path in paths:
        for name in _names(path):
            if name not in found:
                found[name] = Source(name, (name,) if name == "-" else _files(name, rotated))
    if len(found) > _MANY:
        _allow_files(len(found))
    return list(found.values())


def _allow_files(count: int) -> None:
    """Raise the limit of open files as far as it may be: to merge logs by time, all of them are open at once."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + _MANY if hard == resource.RLIM_INFINITY else min(hard, count + _MANY)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _names(path: str) -> list[str]:
    if path == "-":
        return ["-"]
    if os.path.isdir(path):
        try:
            names = sorted(n for n in os.listdir(path) if not n.startswith(".") and n.endswith(SUFFIXES))
        except OSError as error:
            raise ViewerError(f"{path}: {error.strerror}") from None
        if not names:
            raise ViewerError(f"{path}: no log in this directory; logs end in {', '.join(SUFFIXES)}")
        return [os.path.join(path, name) for name in names]
    if not os.path.exists(path) and _glob.has_magic(path):
        names = sorted(n for n in _glob.glob(path, recursive=True) if not os.path.isdir(n))
        if names:
            return names
        raise ViewerError(f"{path}: no file matches")
    try:
        # Opening a FIFO just to try would end whoever writes into it.
        if stat.S_ISFIFO(os.stat(path).st_mode):
            return [path]
        with open(path, "rb"):
            return [path]
    except OSError as error:
        raise ViewerError(f"{path}: {error.strerror}") from None


def _files(name: str, rotated: bool) -> tuple[str, ...]:
    if not rotated:
        return (name,)
    folder = os.path.dirname(name) or "."
    if not os.access(folder, os.R_OK):
        raise ViewerError(f"{folder}: Permission denied; -R has to look there for rotated files")
    return (*(older for _, older in sorted(rotations(name), reverse=True)), name)


def rotations(name: str) -> list[tuple[int, str]]:
    """Return the rotated files of a log with their numbers, `app.log.1`, `app.log.2.gz`; youngest first."""
    folder, base = os.path.split(name)
    found = []
    try:
        entries = os.listdir(folder or ".")
    except OSError:
        return []
    for entry in entries:
        if entry.startswith(base + "."):
            number = entry[len(base) + 1 :]
            for suffix in COMPRESSED:
                number = number.removesuffix(suffix)
            if number.isascii() and number.isdigit():
                found.append((int(number), os.path.join(folder, entry)))
    return sorted(found)


def open_source(path: str) -> BinaryIO:
    """Open a file for reading, decompressed.

    Raises:
        ViewerError: a `.zst` file and no module that reads it.
        OSError: the file cannot be opened.
    """
    if path == "-":
        return open(0, "rb", buffering=0, closefd=False)
    if is_compressed(path):
        return open_archive(path)
    return open(path, "rb", buffering=0)


def is_plain(path: str) -> bool:
    """Say whether a file can be read anywhere: no archive, no pipe, no device."""
    if path == "-" or is_compressed(path):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def arriving(longest: int = MAX_LINE) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, whole lines) of standard input as they arrive; an empty block after 0.1 s of quiet."""
    lines, quiet = Lines(0, longest), True
    while True:
        if not quiet and not select.select([0], [], [], 0.1)[0]:
            quiet = True
            yield lines.offset, b""
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        quiet = False
        yield from lines.feed(chunk)
    yield from lines.rest()


def blocks(
    stream: BinaryIO, begin: int = 0, end: int | None = None, longest: int = MAX_LINE
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, whole lines) of a stream; the last block may lack its newline.

    Args:
        stream: of bytes.
        begin: the first byte to read, if the stream is a file.
        end: behind the last byte to read; None is the end of the stream.
        longest: of a longer line only the two ends are kept; the offsets stay right.
    """
    if begin:
        stream.seek(begin)
    lines = Lines(begin, longest)
    left = (1 << 62) if end is None else end - begin
    # Of an archive that breaks off, `read1` gives what there is before it raises.
    read = getattr(stream, "read1", stream.read)
    while left > 0 and (chunk := read(min(BLOCK, left))):
        left -= len(chunk)
        yield from lines.feed(chunk)
    yield from lines.rest()


def _read(source: Source, input_format: str) -> Iterator[Record]:
    for path in source.files:
        parser = Parser(path, input_format)
        try:
            with open_source(path) as stream:
                for at, block in blocks(stream, longest=MAX_WHOLE):
                    lines = block.split(b"\n")
                    if not lines[-1]:
                        lines.pop()
                    for line in lines:
                        yield from parser.feed(line, at)
                        at += len(line) + 1
        except (OSError, EOFError) as error:
            raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        yield from parser.flush()


def read_records(paths: list[str], *, rotated: bool = False, input_format: str = "auto") -> Iterator[Record]:
    """Yield the records of all sources, merged by time, in bounded memory; damaged lines too (`damaged`).

    Lines of up to 16 MiB are whole.

    Raises:
        ViewerError: as `expand`; also while reading, where a file breaks off.
    """
    sources = expand(paths, rotated=rotated)
    if len(sources) == 1:
        return _read(sources[0], input_format)
    return merged(_read(source, input_format) for source in sources)
