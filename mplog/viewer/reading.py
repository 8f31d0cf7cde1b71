"""Sources to records: files, directories, globs, standard input; merged by time. Runs in the command `mplog`."""

from __future__ import annotations

import glob as _glob
import heapq
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.parsing import Parser

BLOCK = 1 << 20
SUFFIXES = (".log", ".json", ".jsonl", ".ndjson")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True)
class Source:
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
    return list(found.values())


def _names(path: str) -> list[str]:
    if path == "-":
        return ["-"]
    if os.path.isdir(path):
        names = sorted(n for n in os.listdir(path) if not n.startswith(".") and n.endswith(SUFFIXES))
        if not names:
            raise ViewerError(f"{path}: no log in this directory; logs end in {', '.join(SUFFIXES)}")
        return [os.path.join(path, name) for name in names]
    if not os.path.exists(path) and _glob.has_magic(path):
        names = sorted(n for n in _glob.glob(path, recursive=True) if not os.path.isdir(n))
        if names:
            return names
        raise ViewerError(f"{path}: no file matches")
    try:
        with open(path, "rb"):
            return [path]
    except OSError as error:
        raise ViewerError(f"{path}: {error.strerror}") from None


def _files(name: str, rotated: bool) -> tuple[str, ...]:
    if not rotated:
        return (name,)
    return (*(older for _, older in sorted(rotations(name), reverse=True)), name)


def rotations(name: str) -> list[tuple[int, str]]:
    """Return the rotated files of a log with their numbers, `app.log.1` and `app.log.2.gz`; 1 is the youngest."""
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
    """Open a file for reading, decompressed."""
    if path == "-":
        return sys.stdin.buffer
    if path.endswith(".gz"):
        import gzip

        return gzip.open(path)  # type: ignore[return-value]
    if path.endswith(".bz2"):
        import bz2

        return bz2.open(path)  # type: ignore[return-value]
    if path.endswith(".xz"):
        import lzma

        return lzma.open(path)  # type: ignore[return-value]
    return open(path, "rb", buffering=0)


def blocks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, whole lines) of a stream; the last block may lack its newline."""
    offset = 0
    rest = b""
    while chunk := stream.read(BLOCK):
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            rest += chunk
            continue
        block = rest + chunk[:cut]
        yield offset, block
        offset += len(block)
        rest = chunk[cut:]
    if rest:
        yield offset, rest


def _read(source: Source, input_format: str) -> Iterator[Record]:
    for path in source.files:
        parser = Parser(path, input_format)
        try:
            with open_source(path) as stream:
                for at, block in blocks(stream):
                    for line in block.split(b"\n"):
                        if line:
                            yield from parser.feed(line, at)
                        at += len(line) + 1
        except (OSError, EOFError) as error:
            raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        yield from parser.flush()


def _keyed(number: int, records: Iterator[Record]) -> Iterator[tuple[float, int, int, Record]]:
    last = 0.0
    for count, record in enumerate(records):
        if record.time is not None and record.time > last:
            last = record.time
        yield last, number, count, record


def read_records(paths: list[str], *, rotated: bool = False, input_format: str = "auto") -> Iterator[Record]:
    """Yield the records of all sources, merged by time, in bounded memory; damaged lines too (`damaged`).

    Raises:
        ViewerError: as `expand`; also while reading, where a file breaks off.
    """
    sources = expand(paths, rotated=rotated)
    if len(sources) == 1:
        return _read(sources[0], input_format)
    streams = [_keyed(i, _read(source, input_format)) for i, source in enumerate(sources)]
    return (item[3] for item in heapq.merge(*streams))
