"""Merging by time up to a watermark, and the same batch again after a crash."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mplog._listener.merge import (
    Chunk,
    ascending,
    bound,
    count_late,
    is_printable,
    key_of,
    merge,
    retake,
    take,
    without_keys,
)
from mplog._listener.reader import JournalReader, Position

EVER = (1 << 64) - 1


def line(key: int, text: str = "") -> bytes:
    return b'%016x {"msg":"%s"}' % (key, text.encode())


def chunk(lines: list[bytes], previous: bytes = b"") -> Chunk:
    data = b"".join(entry + b"\n" for entry in lines)
    return Chunk(data, Position(1, 0), Position(1, len(data)), previous)


keys = st.lists(st.integers(1, 60), max_size=30)


@given(journals=st.lists(keys, max_size=4), watermark=st.integers(0, 70))
def test_up_to_the_watermark_in_order(journals, watermark):
    """What comes out is sorted, up to the watermark, and each journal keeps its order."""
    runs = []
    for name, found in enumerate(journals):
        chunks = [chunk([line(key, f"{name}.{index}") for index, key in enumerate(found)])] if found else []
        lines, _ = take(chunks, watermark, EVER, 0)
        runs.append(lines)
    merged = merge([run for run in runs if run]) if any(runs) else []
    assert merged == sorted(merged)
    assert all(key_of(entry) <= watermark for entry in merged)
    for name in range(len(journals)):
        mine = [int(entry.split(b'"')[3].split(b".")[1]) for entry in merged if b'"%d.' % name in entry]
        assert mine == list(range(len(mine)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=keys, cuts=st.lists(st.integers(0, 30)), marks=st.lists(st.integers(0, 70), max_size=6))
def test_a_batch_can_be_made_again(tmp_path_factory, found, cuts, marks):
    """However the bytes were cut into reads and batches, a range gives the same lines again."""
    directory = tmp_path_factory.mktemp("m")
    entries = [line(key, str(index)) for index, key in enumerate(found)]
    data = b"".join(entry + b"\n" for entry in entries)
    path = Path(directory, "j.000001.mapped")
    path.write_bytes(data)
    reader = JournalReader("j")
    reader.segments[1] = str(path)
    edges = sorted({0, len(entries), *(cut for cut in cuts if cut < len(entries))})
    chunks, previous, at = [], bound(0), 0
    for first, last in pairwise(edges):
        part = b"".join(entry + b"\n" for entry in entries[first:last])
        made = Chunk(part, Position(1, at), Position(1, at + len(part)), previous)
        at += len(part)
        previous = made.lines[-1]
        chunks.append(made)
    floor = 0
    for mark in [*sorted(marks), EVER]:
        lines, taken = take(chunks, mark, EVER, floor)
        if taken is not None:
            assert retake(reader.read_range(taken.start, taken.end), taken) == lines
            floor = taken.last
    os.unlink(path)


def test_keys_that_go_back_are_lifted():
    """In one journal the order is the journal's, whatever the clocks say."""
    lifted = ascending([line(5), line(3), line(9), line(9)], b"")
    assert [key_of(entry) for entry in lifted] == [5, 6, 9, 10]


@pytest.mark.parametrize("key", [b"zzzzzzzzzzzzzzzz", b"00000000000000_1", b"+000000000000001", b"FFFFFFFFFFFFFFFF"])
def test_a_key_that_is_none_holds_up_nobody(key):
    """A line whose key is no lower-case hexadecimal number is taken at once."""
    chunks = [chunk([key + b' {"a":1}'])]
    lines, taken = take(chunks, 100, 1000, 0)
    assert len(lines) == 1
    assert taken is not None
    assert not chunks


def test_a_key_in_the_future_holds_up_nobody():
    """So is one from a clock that is not ours."""
    chunks = [chunk([line(10**18)])]
    assert take(chunks, 100, 1000, 0)[0]


def test_what_is_no_line_is_counted_and_left_out():
    """A line that is not `key {...}` costs one counted record."""
    found = chunk([line(1), b"garbage", line(2)[:-1], line(3)])
    assert found.damaged == 2
    assert [key_of(entry) for entry in found.lines] == [1, 3]
    found.drop(1)
    assert found.start == Position(1, len(line(1)) + 1)


@pytest.mark.parametrize("bad", [b"\x1b[2J", b"\x07", b"\x7f", b"\xc2\x9b", "\u202e".encode(), b"\xff", b"\t", b"\r"])
def test_nothing_that_drives_a_terminal_passes(bad):
    """Control characters, bidi marks and what is no UTF-8 are escaped in lines that are passed through."""
    found = chunk([line(1), line(2)[:-2] + bad + b'"}', line(3)])
    out = without_keys(found.lines)
    assert is_printable(out)
    assert bad not in out
    assert out.count(b"\n") == 3


def test_late_lines_are_counted():
    """What is older than what was written already is late."""
    assert count_late([line(3), line(5), line(8)], 6) == 2
    assert count_late([], 6) == 0
