"""One clock for key and time of a record."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from mplog._listener.notes import Notes
from mplog._shared import clock

HOUR = 3_600_000_000_000


@pytest.fixture(autouse=True)
def distance() -> Iterator[None]:
    """Put the distance between the clocks back."""
    before = clock.offset
    yield
    clock.offset = before


def test_a_shared_distance_is_kept_while_the_wall_clock_runs_as_it_should() -> None:
    """Processes of a session use one distance, so that the order of times is the order of keys."""
    close = clock.measure() + 300_000
    clock.share(close)
    assert clock.offset == close
    clock.check()
    assert clock.offset == close


@pytest.mark.parametrize("step", [-HOUR, HOUR, -1_000_000_000, 1_000_000_000])
def test_a_wall_clock_that_was_set_is_followed(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the wall clock is set forward or back, times follow it and keys go on."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + step)
    clock.check()
    assert abs(time.monotonic_ns() + clock.offset - real() - step) < 2_000_000


def test_the_key_of_a_record_is_that_of_the_moment_it_was_made() -> None:
    """The key of a record lies as far back as its `created`, and never in the future."""
    created = time.time() - 0.005
    key = clock.key_of(created)
    assert key + clock.offset == round(created * 1e6) * 1000
    assert clock.key_of(time.time() + 60) <= time.monotonic_ns()


@pytest.mark.parametrize("created", [float("nan"), float("inf"), -1.0, 0, 1e300, None, "now", 12345.0])
def test_a_record_made_at_no_time_is_made_now(created: object) -> None:
    """A `created` that is no moment just now gives the key of now."""
    before = time.monotonic_ns()
    assert before <= clock.key_of(created) <= time.monotonic_ns()  # type: ignore[arg-type]


def test_the_listeners_own_records_are_where_their_time_says() -> None:
    """A death certificate is merged by the moment that it shows, to the microsecond, as every record is."""
    clock.share(clock.measure() + 300_000)  # the session's distance, not that of the process
    notes = Notes(logging.DEBUG)
    for _ in range(200):
        assert notes.add(logging.INFO, "ended")
    for line, _ in notes.due(time.monotonic_ns()):
        key, _, record = line.partition(b" ")
        wall = (int(key, 16) + clock.offset) // 1000
        moment = datetime.fromisoformat(json.loads(record)["time"])
        assert abs(moment.timestamp() * 1e6 - wall) < 2
    assert not notes
