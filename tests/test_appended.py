"""Segments that are not mapped, while signal handlers that log come in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mplog._listener.reader import JournalReader, split_lines
from mplog._shared.account import Drops, Policy
from mplog._shared.journal import JournalWriter
from mplog._shared.segments import parse_segment_name

REAL_WRITE, REAL_MAP = os.write, "mplog._shared.journal.map_segment"
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def drop_line(drops: Drops) -> tuple[bytes, bytes]:
    return b"drops %d,%d,%d " % (drops.count, drops.seq_first, drops.seq_last), b"\n"


def lines_of(directory: Path) -> list[bytes]:
    """What a listener reads while the owner lives."""
    reader = JournalReader("j", directories=[str(directory)])
    for name in os.listdir(directory):
        parsed = parse_segment_name(name)
        assert parsed is not None
        reader.segments[parsed[1]] = str(directory / name)
    lines = []
    while data := reader.read(1 << 16)[0]:
        lines += split_lines(data)
    reader.close()
    return lines


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A journal whose first segment is appended to; later ones are mapped again."""
    writer = JournalWriter("j", [str(tmp_path)], Policy(overflow="drop"), drop_line=drop_line)
    with monkeypatch.context() as full:

        def no_room(fd: int, size: int) -> None:
            raise NO_ROOM

        full.setattr(REAL_MAP, no_room)
        assert writer.write(b"first ", b"\n")
    assert list(tmp_path.glob("*.appended"))
    yield writer
    writer.close()


def half(fd: int, data: bytes) -> int:
    return REAL_WRITE(fd, data[: len(data) // 2])


def none(fd: int, data: bytes) -> int:
    raise NO_ROOM


def whole(fd: int, data: bytes) -> int:
    return REAL_WRITE(fd, data)


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "appended"])
@pytest.mark.parametrize("written", [half, none, whole])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_signal_handler_that_logs_while_a_line_is_appended_loses_nothing(
    written: Callable[[int, bytes], int],
    mapped: bool,
    calls: int,
    journal: JournalWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Whatever of the line is on the disk: it and the handler's are there once, and every `seq` is accounted for."""
    told: list[bytes] = []

    def no_room(fd: int, size: int) -> None:
        raise NO_ROOM

    def write(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", REAL_WRITE)
        try:
            return written(fd, data)
        finally:  # where the interpreter runs the handler of a signal that came during the call
            if not mapped:
                monkeypatch.setattr(REAL_MAP, no_room)
            told.extend(b"handler" for _ in range(calls) if journal.write(b"handler ", b"\n"))

    monkeypatch.setattr(os, "write", write)
    if journal.write(b"x" * 100 + b" ", b"\n"):
        told.append(b"x" * 100)
    told.extend(b"later" for _ in range(3) if journal.write(b"later ", b"\n"))
    lines = [line.split(b" ") for line in lines_of(tmp_path)]
    assert sorted(line[0] for line in lines if line[0] != b"drops") == sorted([b"first", *told])
    numbers = [int(line[-1]) for line in lines]
    assert len(set(numbers)) == len(numbers)
    missing = set(range(1, journal.seq + 1)) - set(numbers)
    assert len(missing) == journal.dropped


def test_a_signal_handler_that_raises_behind_a_line_leaves_its_number_used(
    journal: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C behind the write: the line is there, and the next one has another `seq`."""

    def write(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", REAL_WRITE)
        REAL_WRITE(fd, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(KeyboardInterrupt):
        journal.write(b"stopped ", b"\n")
    assert journal.write(b"later ", b"\n")
    assert lines_of(tmp_path) == [b"first 1", b"stopped 2", b"later 3"]
    assert journal.dropped == 0


def test_what_was_begun_first_and_dropped_last_is_in_the_range_of_the_dropped(
    journal: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A drop record names the least and the greatest `seq`, in whatever order they were given up."""

    def write(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", REAL_WRITE)
        half(fd, data)
        with monkeypatch.context() as full:
            full.setattr(os, "open", lambda *args: none(*args[:2]))
            assert not journal.write(b"handler ", b"\n")
        raise NO_ROOM

    monkeypatch.setattr(os, "write", write)
    assert journal.write(b"begun ", b"\n")
    assert journal.write(b"later ", b"\n")
    assert lines_of(tmp_path) == [b"first 1", b"drops 2,2,3 4", b"begun 5", b"later 6"]
