"""The journal of one process: write-once segments, claims, drops, and the reader's view of them."""

import errno
import mmap
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mplog._listener.reader import JournalReader, Position, split_lines
from mplog._shared.account import Drops, Policy
from mplog._shared.journal import MIN_SEGMENT, JournalWriter
from mplog._shared.segments import APPENDED, MAPPED, parse_segment_name, segment_name


def no_mapping(fd: int, size: int) -> mmap.mmap:
    raise OSError(errno.ENOMEM, "no memory")


def drop_line(drops: Drops) -> tuple[bytes, bytes]:
    return b'drops {"dropped":%d,"first":%d,"last":%d,"seq":' % (drops.count, drops.seq_first, drops.seq_last), b"}\n"


def make(directory: Path, name: str = "j", **policy: Any) -> JournalWriter:
    return JournalWriter(name, [str(directory)], Policy(**policy), drop_line=drop_line)


def reader_of(directory: Path, name: str = "j") -> JournalReader:
    reader = JournalReader(name, directories=[str(directory)])
    look(reader, directory)
    return reader


def look(reader: JournalReader, directory: Path) -> None:
    for entry in os.listdir(directory):
        parsed = parse_segment_name(entry)
        if parsed and parsed[0] == reader.journal:
            reader.segments.setdefault(parsed[1], str(directory / entry))


def everything(reader: JournalReader, directory: Path, *, limit: int = 1 << 16, dead: bool = False) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        look(reader, directory)
        data, _ = reader.read(limit, dead=dead)
        if not data:
            return lines
        lines += split_lines(data)


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mplog._shared.journal.MIN_SEGMENT", 8192)
    monkeypatch.setattr("mplog._shared.journal.MAX_SEGMENT", 8192)


def test_segment_names_come_back():
    """A segment's name says its journal and its number."""
    assert parse_segment_name(segment_name("ab", 3, MAPPED)) == ("ab", 3)
    assert parse_segment_name("ab.owner") is None
    assert parse_segment_name("ab.x.mapped") is None
    for number in ("\u00b2", "000000", "9" * 19, ""):
        assert parse_segment_name(f"ab.{number}.mapped") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.one_of(st.integers(1, 400), st.sampled_from([4000, 70_000, 200_000])), max_size=60),
    limit=st.sampled_from([64, 4096, 1 << 20]),
    reads=st.integers(1, 9),
)
def test_what_is_written_is_read_once_in_order(tmp_path_factory, sizes, limit, reads):
    """The reader gives every line once, in order, however reads and writes alternate."""
    directory = tmp_path_factory.mktemp("j")
    journal, reader = make(directory), reader_of(directory)
    got: list[bytes] = []
    expected = []
    for number, size in enumerate(sizes, 1):
        assert journal.write(b"k", b"x" * size + b"\n")
        expected.append(b"k%d" % number + b"x" * size)
        if number % reads == 0:
            got += everything(reader, directory, limit=limit)
    got += everything(reader, directory, limit=limit)
    assert got == expected
    journal.close()
    reader.close()


def test_every_byte_of_a_new_segment_is_reserved(tmp_path):
    """A segment is created at its full size, all of it allocated."""
    journal = make(tmp_path)
    journal.write(b"a", b"\n")
    stat = next(tmp_path.glob("*.mapped")).stat()
    assert stat.st_size == MIN_SEGMENT
    assert stat.st_blocks * 512 >= MIN_SEGMENT
    assert stat.st_mode & 0o777 == 0o600
    journal.close()


def test_a_claim_without_a_copy_is_a_hole_for_the_dead_alone(tmp_path):
    """A hole stops the reader while the owner lives and is stepped over when it is dead."""
    journal = make(tmp_path)
    journal.write(b"a", b"\n")
    journal.used += 50
    journal.write(b"b", b"\n")
    reader = reader_of(tmp_path)
    assert everything(reader, tmp_path) == [b"a1"]
    assert everything(reader, tmp_path, dead=True) == [b"b2"]
    reader.close()


def test_a_dead_writers_half_line_is_discarded(tmp_path):
    """The last line without its newline belongs to a call that never returned."""
    journal = make(tmp_path)
    journal.write(b"a", b"\n")
    journal.memory[journal.used : journal.used + 4] = b"half"
    reader = reader_of(tmp_path)
    assert everything(reader, tmp_path, dead=True) == [b"a1"]
    reader.close()


def test_no_segment_is_skipped_because_a_listing_missed_it(tmp_path, small_segments):
    """A reader that knows a later segment only looks for the earlier ones itself."""
    journal = make(tmp_path)
    for _ in range(100):
        journal.write(b"x" * 200, b"\n")
    reader = JournalReader("j", directories=[str(tmp_path)])
    names = sorted(tmp_path.glob("*.mapped"))
    assert len(names) > 2
    reader.segments[len(names)] = str(names[-1])
    lines = []
    while data := reader.read(1 << 16)[0]:
        lines += split_lines(data)
    assert len(lines) == 100
    journal.close()
    reader.close()


def test_no_segment_is_passed_over_while_no_directory_can_be_listed(tmp_path, small_segments, monkeypatch):
    """Out of descriptors for a moment: the reader says so, and finds the earlier segments the next time."""
    journal = make(tmp_path)
    for _ in range(100):
        journal.write(b"x" * 200, b"\n")
    reader = JournalReader("j", directories=[str(tmp_path)])
    last = max(tmp_path.glob("*.mapped"))
    reader.segments[int(last.name.split(".")[1])] = str(last)
    with monkeypatch.context() as full:
        full.setattr(os, "listdir", lambda path: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
        with pytest.raises(OSError, match="Too many open files"):
            reader.read(1 << 16)
    assert len(everything(reader, tmp_path)) == 100
    journal.close()
    reader.close()


def test_a_link_that_cannot_be_removed_does_not_stop_the_reader(tmp_path, small_segments, monkeypatch):
    """It is passed over, though every listing shows it again."""
    journal = make(tmp_path)
    for _ in range(100):
        journal.write(b"x" * 200, b"\n")
    first = min(tmp_path.glob("*.mapped"))
    first.rename(tmp_path / "elsewhere")
    first.symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(os, "unlink", lambda path: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no")))
    reader = reader_of(tmp_path)
    assert 0 < len(everything(reader, tmp_path)) < 100
    journal.close()
    reader.close()


def test_numbers_that_were_never_used_cost_nothing(tmp_path, monkeypatch):
    """On a full disk a writer tries thousands of numbers in vain; a reader does not look for each of them."""
    journal, reader = make(tmp_path), reader_of(tmp_path)
    assert journal.write(b"x", b"\n")
    assert everything(reader, tmp_path) == [b"x1"]
    journal._number = 1_000_000
    journal._finish_segment()
    assert journal.write(b"y", b"\n")
    looked = []
    for name in ("listdir", "open", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, **kwargs: looked.append(1) or real(*args, **kwargs))
    assert everything(reader, tmp_path) == [b"y2"]
    assert len(looked) < 20
    journal.close()
    reader.close()


def test_without_mapping_it_appends(tmp_path, monkeypatch):
    """Where nothing can be mapped the journal is appended to, and reads the same."""
    monkeypatch.setattr(
        "mplog._shared.journal.map_segment", lambda fd, size: (_ for _ in ()).throw(OSError(12, "no memory"))
    )
    journal, reader = make(tmp_path), reader_of(tmp_path)
    for _ in range(3000):
        assert journal.write(b"x" * 500, b"\n")
    assert not list(tmp_path.glob("*.mapped"))
    lines = everything(reader, tmp_path)
    assert [int(line[500:]) for line in lines] == list(range(1, 3001))
    journal.close()
    reader.close()


def test_a_torn_appended_line_does_not_hold_up_the_next_segment(tmp_path, monkeypatch):
    """After a short write the writer goes on in the next segment, and the reader follows."""
    monkeypatch.setattr(
        "mplog._shared.journal.map_segment", lambda fd, size: (_ for _ in ()).throw(OSError(12, "no memory"))
    )
    journal, reader = make(tmp_path), reader_of(tmp_path)
    journal.write(b"a", b"\n")
    real, calls = os.write, []

    def short(fd: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) == 1:
            return real(fd, data[:3])
        if len(calls) == 2:
            raise OSError(28, "full")
        return real(fd, data)

    monkeypatch.setattr(os, "write", short)
    assert journal.write(b"second", b"\n")
    assert journal.write(b"third", b"\n")
    assert everything(reader, tmp_path) == [b"a1", b"second2", b"third3"]
    journal.close()
    reader.close()


def test_drops_are_counted_and_reported_in_the_journal(tmp_path, small_segments):
    """Above the quota a line is dropped and counted; a record says so as soon as there is room."""
    told: list[tuple[Drops | None, int]] = []
    journal = JournalWriter(
        "j", [str(tmp_path)], Policy(16384, "drop"), drop_line=drop_line, on_drop=lambda *args: told.append(args)
    )
    results = [journal.write(b"x" * 500, b"\n") for _ in range(60)]
    dropped = results.count(False)
    assert dropped
    assert journal.dropped == dropped
    assert told[-1][0].count == dropped
    reader = reader_of(tmp_path)
    assert len(everything(reader, tmp_path)) == 60 - dropped
    for path in tmp_path.glob("*.mapped"):
        path.unlink()
    assert journal.write(b"later", b"\n")
    reader = reader_of(tmp_path)
    reader.position = Position(0, 0)
    lines = everything(reader, tmp_path)
    assert lines[0].startswith(b'drops {"dropped":%d,"first":%d,' % (dropped, 61 - dropped)), lines
    assert lines[-1].startswith(b"later")
    assert told[-1] == (None, dropped)
    journal.close()
    reader.close()


def test_seq_goes_on_over_a_million_drops(tmp_path):
    """Dropped records use up their `seq`; the next line has the right one."""
    journal = make(tmp_path)
    journal.write(b"a", b"\n")
    for _ in range(3000):
        journal._drop("test")
    journal.write(b"b", b"\n")
    reader = reader_of(tmp_path)
    assert everything(reader, tmp_path)[-1] == b"b3002"
    journal.close()
    reader.close()


def test_block_waits_as_long_as_the_policy_says(tmp_path, small_segments):
    """With `block` a call waits for room, at most `block_timeout`, and stops waiting after three time-outs."""
    import time

    journal = make(tmp_path, quota=8192, overflow="block", block_timeout=0.05)
    while journal.write(b"x" * 500, b"\n"):
        pass
    began = time.monotonic()
    for _ in range(5):
        assert not journal.write(b"x" * 5000, b"\n")
    assert 0.08 < time.monotonic() - began < 0.5
    journal.close()


def test_nobody_waits_in_a_call_inside_a_call(tmp_path, small_segments):
    """A signal handler that logs while its process waits for room drops at once, and both are counted."""
    journal = make(tmp_path, quota=8192, overflow="block", block_timeout=0.3)
    while journal.seq < 15:
        journal.write(b"x" * 500, b"\n")
    inner: list[bool] = []
    previous = signal.signal(signal.SIGALRM, lambda *_: inner.append(journal.write(b"x" * 5000, b"\n")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        assert not journal.write(b"x" * 5000, b"\n")
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert inner == [False]
    assert journal.dropped == 2
    journal.close()


def test_a_finalizer_that_logs_while_a_segment_is_finished_loses_nothing(tmp_path, small_segments):
    """Whoever logs between claim and fill opens the next segment, which stays in use."""

    class Nosy:
        def __init__(self, memory: mmap.mmap) -> None:
            self.memory = memory

        def __setitem__(self, place: slice, data: bytes) -> None:
            if data.isspace():
                journal.write(b"nested", b"\n")
            self.memory[place] = data

    journal = make(tmp_path)
    journal.write(b"a", b"\n")
    journal.memory = Nosy(journal.memory)
    for _ in range(40):
        journal.write(b"x" * 300, b"\n")
    reader = reader_of(tmp_path)
    lines = everything(reader, tmp_path)
    assert len(lines) == 42
    journal.close()
    reader.close()


def test_an_exception_while_a_segment_is_made_leaves_nothing_that_is_waited_for(tmp_path, monkeypatch, small_segments):
    """KeyboardInterrupt in the middle of creating a segment: the next one is read all the same."""
    journal, reader = make(tmp_path), reader_of(tmp_path)
    journal.write(b"a", b"\n")
    real = os.posix_fallocate

    def interrupted(*args: int) -> None:
        monkeypatch.setattr(os, "posix_fallocate", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "posix_fallocate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.write(b"x" * 8188, b"\n")
    assert journal.write(b"b" * 8188, b"\n")
    assert [line[:1] for line in everything(reader, tmp_path)] == [b"a", b"b"]
    journal.close()
    reader.close()


def test_threads_share_a_journal(tmp_path, small_segments):
    """Eight threads: every line whole and once, each thread's in order, `seq` without a gap."""
    journal, reader = make(tmp_path), reader_of(tmp_path)

    def run(name: int) -> None:
        for number in range(500):
            journal.write(b"%d %d " % (name, number), b"\n")

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [tuple(map(int, line.split())) for line in everything(reader, tmp_path)]
    assert sorted(seq for _, _, seq in found) == list(range(1, 4001))
    for name in range(8):
        assert [number for who, number, _ in found if who == name] == list(range(500))
    journal.close()
    reader.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=3000), dead=st.booleans(), suffix=st.sampled_from([MAPPED, APPENDED]))
def test_any_bytes_are_read_without_trouble(tmp_path_factory, data, dead, suffix):
    """A segment may hold anything: what is returned ends with a line, and reading comes to an end."""
    directory = tmp_path_factory.mktemp("g")
    (directory / segment_name("j", 1, suffix)).write_bytes(data)
    (directory / segment_name("j", 2, suffix)).write_bytes(b"end\n")
    reader = reader_of(directory)
    lines = everything(reader, directory, limit=64, dead=dead)
    assert all(b"\n" not in line and b"\0" not in line for line in lines)
    if dead:
        assert lines[-1:] == [b"end"]
    reader.close()
