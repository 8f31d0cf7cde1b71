"""The listener's memory: intents, what became of them, and what a crash leaves open."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mplog._listener.commit import CommitLog, Intent, Progress
from mplog._listener.merge import Range
from mplog._listener.reader import Position


def intent(generation: int, journal: str = "j", *, start: int = 0, end: int = 100, **more) -> Intent:
    taken = {journal: Range(Position(1, start), Position(1, end), generation, generation + 1, 3)}
    return Intent(generation, (1, 2, 300), generation, taken, **more)


@pytest.fixture
def log(tmp_path):
    made = []

    def open_again() -> CommitLog:
        while made:
            made.pop().close()
        found = CommitLog(str(tmp_path / "commits"))
        found.load()
        made.append(found)
        return found

    yield open_again
    for found in made:
        found.close()


def test_an_intent_without_done_is_pending(log):
    """After a crash the batch that was under way is known, with its notes and whose death they report."""
    first = log()
    first.intend(intent(1))
    first.done(1, delivered=True)
    first.intend(intent(2, start=100, end=200, notes=("a note",), reported=("j",)))
    again = log()
    assert again.pending == intent(2, start=100, end=200, notes=("a note",), reported=("j",))
    assert again.undelivered == [again.pending]
    assert again.progress == {"j": Progress(Position(1, 200), 3, 6)}
    assert again.reported == {"j"}


def test_done_and_not_delivered_is_given_again(log):
    """Console and handlers get at least once what is in the file."""
    first = log()
    for generation in (1, 2, 3):
        first.intend(intent(generation))
        first.done(generation)
    first.delivered(1)
    again = log()
    assert again.pending is None
    assert [found.generation for found in again.undelivered] == [2, 3]


def test_the_same_batch_for_another_file_counts_once(log):
    """An intent stored anew replaces the one before."""
    first = log()
    first.intend(intent(1))
    first.intend(intent(1)._replace(file=(9, 9, 9)))
    again = log()
    assert again.pending.file == (9, 9, 9)
    assert again.progress["j"].count == 3


def test_a_rotation_is_remembered_until_it_is_done(log):
    """A rotation that was begun is known after a crash."""
    log().rotate((5, 6))
    second = log()
    assert second.rotating == (5, 6)
    second.rotate(None)
    assert log().rotating is None


def test_it_stays_small_and_counts_listeners(log, tmp_path):
    """The log is compacted, and what is open survives that."""
    first = log()
    for generation in range(1, 4000):
        first.intend(intent(generation, journal="j" * 200))
        first.done(generation, delivered=True)
    first.intend(intent(4000, journal="k"))
    assert (tmp_path / "commits").stat().st_size < 3 << 20
    again = log()
    assert again.pending.generation == 4000
    assert again.progress["j" * 200].count == 3 * 3999
    assert again.starts == 2


def test_a_full_disk_does_not_keep_it_from_storing(log, monkeypatch):
    """Room is reserved beforehand: an intent needs none."""
    first = log()

    def full(*_: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(os, "write", full)
    first.intend(intent(1))
    assert log().pending == intent(1)


def test_half_an_intent_was_never_stored(log, tmp_path):
    """A kill in the middle of storing leaves the log as it was before."""
    first = log()
    first.intend(intent(1))
    first.done(1)
    path = Path(tmp_path / "commits")
    data = path.read_bytes()
    used = data.index(b"\0")
    entry = json.dumps({"intent": 2, "file": None, "newest": 1, "take": {}}).encode()
    path.write_bytes(data[:used] + entry[:20] + bytes(100))
    again = log()
    assert again.pending is None
    again.intend(intent(2))
    assert log().pending == intent(2)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.floats(),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["state", "intent", "take", "file", "newest", "done", "rotate"]), inner
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode() + b"\n"),
    )
)
def test_any_file_is_read_without_trouble(tmp_path_factory, data):
    """What makes no sense in the log is as if it were not there."""
    path = tmp_path_factory.mktemp("c") / "commits"
    path.write_bytes(data)
    found = CommitLog(str(path))
    found.load()
    found.intend(intent(found.generation + 1))
    found.close()
    again = CommitLog(str(path))
    again.load()
    assert again.pending is not None
    again.close()
