"""The parts of capturing that need no second process: streams, unfinished lines, raw files."""

import io
import json
import logging
import os
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mplog._listener.commit import Progress
from mplog._listener.outputs import Outputs
from mplog._listener.raw import LIMIT, LONGEST
from mplog._shared import descriptors
from mplog._shared import pending as _pending
from mplog._shared.pending import OUT, SAID, Board, create_file, read_pending
from mplog._worker.output import CapturedStream, last_state

SETTINGS = ({"": 10}, str, 1 << 20)


@pytest.fixture
def records(keep):
    """What the logger `stdout` gets."""
    return keep("stdout", logging.INFO)


@pytest.fixture
def replaced():
    return io.StringIO()


@pytest.fixture
def stream(records, replaced):
    return CapturedStream(1, replaced, None, str)


@pytest.fixture
def board(tmp_path):
    found = Board(str(tmp_path / "abc"), {"process": "W", "pid": 7})
    yield found
    found.close()


def msgs(records):
    return [record.getMessage() for record in records]


def test_each_line_is_a_record_at_its_place(stream, records):
    """A print is a record with the place it was made at; blank lines are none."""
    print("one\ntwo", "three", file=stream)
    print(file=stream)
    assert msgs(records) == ["one", "two three"]
    assert {record.funcName for record in records} == {"test_each_line_is_a_record_at_its_place"}
    assert {record.filename for record in records} == {"test_capture.py"}


def test_percent_signs_are_text(stream, records):
    """What is printed is no format."""
    print("100 %s", file=stream)
    assert msgs(records) == ["100 %s"]


def test_threads_do_not_cut_each_others_lines(stream, records):
    """Each thread has a line of its own."""
    begun, done = threading.Event(), threading.Event()

    def other():
        stream.write("other ")
        begun.set()
        done.wait()
        stream.write("thread\n")

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    stream.write("this thread\n")
    done.set()
    thread.join()
    assert msgs(records) == ["this thread", "other thread"]


def test_a_handler_that_prints_does_not_run_in_circles(stream, records, replaced):
    """What is written while a record of output is handled goes to the original."""

    class Prints(logging.Handler):
        def emit(self, record):
            stream.write(f"handled {record.getMessage()}\n")

    handler = Prints()
    logging.getLogger("stdout").addHandler(handler)
    stream.write("once\n")
    logging.getLogger("stdout").removeHandler(handler)
    assert msgs(records) == ["once"]
    assert replaced.getvalue() == "handled once\n"


def test_a_filter_that_raises_costs_no_output(stream, replaced):
    """If a filter of the application raises, the line goes to the original."""

    def broken(record):
        raise RuntimeError("broken")

    logging.getLogger("stdout").addFilter(broken)
    stream.write("kept\n")
    logging.getLogger("stdout").removeFilter(broken)
    assert replaced.getvalue() == "kept\n"


def test_the_stream_is_what_programs_expect(stream):
    """`isatty`, `encoding`, `buffer` and the rest behave as of a stream that is no terminal."""
    assert not stream.isatty()
    assert stream.writable()
    assert not stream.readable()
    assert stream.encoding == "utf-8"
    assert stream.errors == "backslashreplace"
    assert stream.line_buffering
    assert stream.buffer.raw is stream.buffer
    stream.reconfigure(line_buffering=False)
    stream.flush()
    stream.close()
    assert not stream.closed
    with pytest.raises(TypeError):
        stream.write(b"bytes")
    captured = CapturedStream(1, sys.__stdout__, None, str)
    assert captured.name == sys.__stdout__.name


def test_bytes_become_text(stream, records):
    """`buffer` takes bytes, also in the middle of a character; others are escaped."""
    stream.buffer.write(b"caf\xc3")
    stream.buffer.write(b"\xa9 \xff\n")
    assert msgs(records) == ["caf\u00e9 \\xff"]


@pytest.mark.parametrize(
    ("line", "state"),
    [("plain", "plain"), ("1%\r2%\r3%", "3%"), ("3%\r", "3%"), ("\r1%\r", "1%"), ("\r\r", ""), ("crlf\r", "crlf")],
)
def test_last_state_of_a_line(line, state):
    """A line shows what a terminal would in the end."""
    assert last_state(line) == state


def test_a_bar_is_kept_short(stream, records):
    """A bar that is redrawn a million times takes no memory for it."""
    for number in range(1000):
        stream.write(f"\r{number}%")
    assert len(stream._lines[threading.get_ident()].text) < 10
    stream.write("\rdone\n")
    assert msgs(records) == ["done"]


def test_unfinished_lines_are_given_out(stream, records):
    """At the end, and after a while, an unfinished line is a record."""
    stream.write("begun")
    stream.give_out(quiet=True)
    assert msgs(records) == []
    stream._lines[threading.get_ident()].moment -= 2 * 10**9
    stream.give_out(quiet=True)
    assert msgs(records) == ["begun"]
    stream.write(" and ended\n")
    assert msgs(records) == ["begun", " and ended"]
    stream.write("\r50%")
    stream._lines[threading.get_ident()].moment -= 2 * 10**9
    stream.give_out(quiet=True)
    assert len(records) == 2
    stream.give_out()
    assert msgs(records)[2:] == ["50%"]


def outputs(tmp_path, progress=None, settings=SETTINGS):
    found = Outputs(progress or {}, 0, settings)
    for name in sorted(os.listdir(tmp_path)):
        found.add(str(tmp_path), name)
    return found


def drain(found, now, *, dead=False):
    """Read until nothing comes; return lines and the ranges they came in."""
    lines, ranges = [], []
    while found.read(now, lambda name: dead, force=True):
        runs, taken = found.take((1 << 64) - 1, now + 10**9)
        lines += [line for run in runs for line in run]
        ranges.append(taken)
        for name, each in taken.items():
            found.release(name, each)
    return lines, ranges


def test_the_listener_takes_a_quiet_line_and_the_process_goes_on_behind_it(tmp_path, board, monkeypatch, records):
    """A line is given out by one side only, whoever is first."""
    stream = CapturedStream(1, io.StringIO(), board, str)
    stream.write("question? ")
    now = time.monotonic_ns()
    found = outputs(tmp_path)
    assert drain(found, now)[0] == []
    found._slots_at = 0.0
    monkeypatch.setattr(_pending, "MARGIN", -(10**9) - 1)
    lines, _ = drain(found, time.monotonic_ns() + 2 * 10**9)
    assert [b'"msg":"question? "' in line for line in lines] == [True]
    assert b'"process":"W","pid":7' in lines[0]
    line = stream._lines[threading.get_ident()]
    line.moment -= 2 * 10**9
    stream.write("answer\n")
    assert msgs(records) == ["answer"]
    found._slots_at = 0.0
    assert drain(found, time.monotonic_ns())[0] == []


@pytest.mark.parametrize(
    ("text", "rest"), [("password=hunter2 and more", ""), ("x" * 20_000, "x" * (20_000 - _pending.ROOM))]
)
def test_of_a_line_that_was_taken_only_the_rest_is_left(tmp_path, board, records, text, rest):
    """What had no room in the slot follows as a record; a redacted text is not cut at the wrong place."""
    stream = CapturedStream(1, io.StringIO(), board, lambda text: text.replace("hunter2", "***"))
    stream.write(text)
    with open(tmp_path / ("abc" + OUT), "rb") as file:
        pending = read_pending(file.fileno(), 1)
    assert "hunter2" not in pending.text
    outputs(tmp_path)._claim(str(tmp_path / ("abc" + SAID)), {}, 1, pending)
    stream._lines[threading.get_ident()].moment -= 2 * 10**9
    stream.write("\n")
    assert msgs(records) == ([rest] if rest else [])


def test_the_process_takes_its_quiet_line_back(tmp_path, board, records):
    """If the process comes first, the listener's claim counts for nothing."""
    stream = CapturedStream(1, io.StringIO(), board, str)
    stream.write("question? ")
    with open(tmp_path / ("abc" + OUT), "rb") as file:
        pending = read_pending(file.fileno(), 1)
    stream._lines[threading.get_ident()].moment -= 2 * 10**9
    stream.write("answer\n")
    assert msgs(records) == ["question? answer"]
    found = outputs(tmp_path)
    found._claim(str(tmp_path / ("abc" + SAID)), {}, 1, pending)
    assert drain(found, time.monotonic_ns())[0] == []


def test_of_a_dead_process_everything_is_given_out(tmp_path, board):
    """What a dead process has begun to print is a record at once."""
    board.show(2, b"last words", time.monotonic_ns(), time.time_ns(), bar=False)
    found = outputs(tmp_path)
    [line], _ = drain(found, time.monotonic_ns(), dead=True)
    assert b'"level":"WARNING","msg":"last words","logger":"stderr"' in line
    assert found.remove_finished(lambda name: True, lambda name: True) == ["abc" + SAID]
    assert os.listdir(tmp_path) == []


def raw(tmp_path, data, number=1):
    fd = create_file(str(tmp_path / f"abc.fd{number}"), {"process": "W", "pid": 7, "fd": number})
    os.write(fd, data)
    return fd


def test_a_raw_file_is_read_line_by_line(tmp_path):
    """Each complete line is a record with the process's name, in order, and time and key of its writing."""
    fd = raw(tmp_path, b"one\n\ntwo\r\n10%\r20%\nhalf")
    lines, _ = drain(outputs(tmp_path), time.monotonic_ns())
    os.close(fd)
    texts = [line.split(b'"msg":"')[1].split(b'"')[0] for line in lines]
    assert texts == [b"one", b"two", b"20%"]
    assert sorted(lines) == lines
    assert all(line[16:18] == b" {" and line.endswith(b'"seq":0,"fd":1}') for line in lines)


def test_a_range_gives_the_same_lines_again(tmp_path):
    """A killed listener's batch of output is made again from the same bytes, byte for byte."""
    fd = raw(tmp_path, b"".join(b"line %d\n" % number for number in range(1000)) + b"half")
    found = outputs(tmp_path)
    now = time.monotonic_ns()
    assert found.read(now, lambda name: False)
    runs, ranges = found.take(now - 10**9, now)
    assert runs == []
    first = found._files["abc.fd1"].chunk.lines[0]
    runs, ranges = found.take(int(first[:16], 16) + 499, now)
    [lines] = runs
    assert len(lines) == 500
    again = outputs(tmp_path, {"abc.fd1": Progress(ranges["abc.fd1"].end, ranges["abc.fd1"].last, 500)})
    assert again.again("abc.fd1", ranges["abc.fd1"]) == lines
    rest, _ = drain(again, now)
    assert b'"line 500"' in rest[0]
    assert len(rest) == 500
    os.close(fd)


def test_long_and_many_lines(tmp_path):
    """A line without end is given out in pieces, and a backlog in several reads; nothing is lost."""
    fd = raw(tmp_path, b"x" * (LONGEST + 5) + b"\n" + b"y" * 99 + b"\n")
    os.write(fd, (b"z" * 99 + b"\n") * (LIMIT // 50))
    found = outputs(tmp_path)
    lines, _ = drain(found, time.monotonic_ns())
    os.close(fd)
    assert sum(line.count(b"x" * 100) > 0 for line in lines) == 1
    assert sum(b"zzz" in line for line in lines) == LIMIT // 50
    assert found.watermark(10**20) == found._polled


def test_levels_hold_for_output(tmp_path):
    """A level above INFO leaves stdout out."""
    fds = [raw(tmp_path, b"out\n", 1), raw(tmp_path, b"err\n", 2)]
    lines, _ = drain(outputs(tmp_path, settings=({"": 30}, str, 1 << 20)), time.monotonic_ns())
    for fd in fds:
        os.close(fd)
    assert [b'"err"' in line for line in lines] == [True]


def test_a_raw_file_stays_while_somebody_holds_it(tmp_path):
    """A child program that outlives its process is still read."""
    fd = raw(tmp_path, b"one\n")
    other = os.dup(fd)
    os.close(fd)
    found = outputs(tmp_path)
    now = time.monotonic_ns()
    assert len(drain(found, now, dead=True)[0]) == 1
    assert not found.pending(lambda name: True)
    assert found.remove_finished(lambda name: True, lambda name: True) == []
    os.write(other, b"two\n")
    assert len(drain(found, now, dead=True)[0]) == 1
    os.close(other)
    found._held_at = 0.0
    assert found.remove_finished(lambda name: True, lambda name: True) == ["abc.fd1"]


def test_garbage_in_output_files_is_no_danger(tmp_path):
    """Whatever stands in an output file, reading it raises nothing."""
    for name in ("a.fd1", "b.fd2", "c.said", "d.out", "e.fault"):
        (tmp_path / name).write_bytes(os.urandom(5000) + b"\nC 1 1 {}\nC 1 {\nC x y {}}\nD\n\xff\n")
    found = outputs(tmp_path)
    lines, _ = drain(found, time.monotonic_ns(), dead=True)
    assert all(line[16:18] == b" {" for line in lines)


def test_exempt_nests():
    """What a thread writes inside the block is exempt, and only there."""
    assert not descriptors.is_exempt()
    with descriptors.Exempt():
        with descriptors.Exempt():
            pass
        assert descriptors.is_exempt()
        seen = []
        thread = threading.Thread(target=lambda: seen.append(descriptors.is_exempt()))
        thread.start()
        thread.join()
        assert seen == [False]
    assert not descriptors.is_exempt()


PIECES = st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b"a\nb", b"x\r\n", b"\xc3"]), max_size=20)


@given(pieces=PIECES)
@settings(max_examples=60, deadline=None)
def test_however_output_is_read_the_lines_are_the_same(tmp_path_factory, pieces):
    """The records depend on the bytes alone, not on when they were read; each range gives its lines again."""
    directory = tmp_path_factory.mktemp("raw")
    fd = raw(directory, b"")
    found = outputs(directory)
    lines, all_ranges = [], []
    for piece in pieces:
        os.write(fd, piece)
        some, ranges = drain(found, time.monotonic_ns())
        lines += some
        all_ranges += ranges
    os.close(fd)
    some, ranges = drain(found, time.monotonic_ns(), dead=True)
    lines += some
    all_ranges += ranges
    whole = b"".join(pieces)
    expected = [part.decode("utf-8", "backslashreplace") for part in map(plain_state, whole.split(b"\n")) if part]
    assert [json.loads(line[17:])["msg"] for line in lines] == expected
    keys = [line[:16] for line in lines]
    assert keys == sorted(set(keys))
    again = outputs(directory)
    assert [line for ranges in all_ranges for line in again.again("abc.fd1", ranges["abc.fd1"])] == lines


def plain_state(line):
    """Return the last state of a line of bytes, worked out another way."""
    states = [state for state in line.split(b"\r") if state]
    return states[-1] if states else b""
