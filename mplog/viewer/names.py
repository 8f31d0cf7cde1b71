"""Names that occur in a log, found in no time: for shell completion. Runs in the command `mplog`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator

from mplog.viewer import archives, reading
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.parsing import Parser

KINDS = ("process", "logger", "thread", "field")

_HEAD, _TAIL = 256 << 10, 2 << 20  # bytes of a log that are looked at: a key press must not wait
_MOST_FILES = 8
_OWN = ("time", "level", "msg", "logger", "process", "pid", "thread", "file", "line", "func", "seq", "exc")


def names(kind: str, words: Iterable[str]) -> list[str]:
    """Return the names in the beginning and the end of the logs among the words of a command line.

    Args:
        kind: `process`, `logger`, `thread` or `field`.
        words: the words as typed, quoted or not; those that are no log are passed over.
    """
    found: set[str] = set(_OWN) if kind == "field" else set()
    for path in _logs(words):
        try:
            for record in _sample(path):
                if kind == "field":
                    found.update(record.fields)
                else:
                    found.add(getattr(record, kind))
        except (OSError, EOFError, ViewerError):
            continue
    # A name with a control character in it can be shown by no shell, and drive a terminal.
    return sorted(name for name in found if name.isprintable() and name.strip())


def _logs(words: Iterable[str]) -> Iterator[str]:
    found: list[str] = []
    for word in words:
        try:
            plain = " ".join(shlex.split(word))
        except ValueError:
            continue
        path = os.path.expanduser(plain)
        if path.startswith("-") or not os.path.exists(path):
            continue
        try:
            found += [name for source in reading.expand([path]) for name in source.files]
        except ViewerError:
            continue
    if not found and os.environ.get("MPLOG_FILE"):
        found.append(os.environ["MPLOG_FILE"])
    yield from found[:_MOST_FILES]


def _sample(path: str) -> Iterator[Record]:
    parser = Parser(path)
    with reading.open_source(path) as stream:
        head = stream.read(_HEAD)
        tail = b""
        if not archives.is_compressed(path):
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(len(head), end - _TAIL))
            tail = stream.read(_TAIL)
    for part in (head, tail):
        # The first and the last line may be cut off: they fail to parse, and are passed over.
        for line in part.split(b"\n")[:-1]:
            if line:
                yield from (record for record in parser.feed(line, 0) if not record.damaged)
    yield from (record for record in parser.flush() if not record.damaged)
