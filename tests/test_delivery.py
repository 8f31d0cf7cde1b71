"""Console and handlers on threads of their own: bounded, counted, never in the file's way."""

import logging
import os
import threading
import time

import pytest

from mplog._listener import delivery as _delivery
from mplog._listener.delivery import EVER, ConsoleTarget, Delivery, HandlerTarget, at_level

LINE = (
    b'%016x {"time":"2026-11-22T11:11:11.123456Z","level":"%b","msg":"%b","logger":"a","process":"p","pid":1,'
    b'"thread":"t","file":"f","line":1,"func":"g","seq":%d}'
)


def lines(count: int, level: bytes = b"INFO", size: int = 1) -> list[bytes]:
    return [LINE % (number, level, b"m" * size, number) for number in range(1, count + 1)]


class Slow(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.gate.wait(20)
        self.seen.append(record.getMessage())


@pytest.fixture
def delivery():
    made = []

    def make(target, **kwargs) -> Delivery:
        made.append(Delivery(target, **kwargs))
        return made[-1]

    yield make
    for found in made:
        handler = getattr(found.target, "handler", None)
        if isinstance(handler, Slow):
            handler.gate.set()
        assert found.finish(time.monotonic() + 10)


def test_batches_come_in_order_and_are_told_when_through(delivery, eventually):
    """What is handed over is handled in order; `through` says up to where."""
    handler = Slow()
    found = delivery(HandlerTarget(handler))
    found.put(1, lines(3))
    found.put(2, lines(2))
    assert found.through() == 0
    handler.gate.set()
    assert eventually(lambda: found.idle)
    assert found.through() == EVER
    assert len(handler.seen) == 5


def test_what_does_not_fit_is_skipped_counted_and_reported(delivery, eventually, monkeypatch):
    """A queue is bounded; what a target is too slow for is counted and said once it is at rest."""
    monkeypatch.setattr(_delivery, "QUEUE", 1000)
    handler = Slow()
    found = delivery(HandlerTarget(handler))
    for generation in range(1, 30):
        found.put(generation, lines(10))
    assert found.skipped > 100
    assert found.through() == EVER
    handler.gate.set()
    assert eventually(lambda: found.idle)
    event, text = found.report()
    assert event == "handler_skipped"
    assert str(found.skipped) in text
    assert found.report() is None


def test_a_target_at_work_is_waited_for_a_little(delivery, eventually, monkeypatch):
    """Not more than its patience, and not at all once it hangs; where nothing else gets the lines, longer."""
    monkeypatch.setattr(_delivery, "QUEUE", 10)
    handler, other = Slow(), Slow()
    found, essential = delivery(HandlerTarget(handler)), delivery(HandlerTarget(other), essential=True)
    for one in (found, essential):
        one.put(1, lines(1))
        one.put(2, lines(1))
    assert found.holds_up()
    assert essential.holds_up()
    monkeypatch.setattr(_delivery, "HANGS_AFTER", 0.0)
    assert eventually(lambda: found.hangs and essential.hangs)
    assert not found.holds_up()
    assert essential.holds_up()
    monkeypatch.setattr(_delivery, "STUCK_AFTER", 0.0)
    assert not essential.holds_up()
    assert found.report()[0] == "handler_hangs"


def test_a_handler_that_raises_costs_that_record_in_that_handler(delivery, eventually):
    """It is counted, and the others get through."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                raise ValueError("no")

    found = delivery(HandlerTarget(Broken()))
    found.put(1, lines(2) + lines(3, b"ERROR"))
    assert eventually(lambda: found.idle)
    assert found.failed == 3
    assert found.report()[0] == "handler_failed"


def test_levels_are_told_without_decoding():
    """Also those that only the worker's process knows, by the number in the record."""
    own = [LINE.replace(b'"seq":%d', b'"seq":%d,"levelno":35') % (1, b"NOTICE", b"x", 1)]
    mixed = lines(1, b"DEBUG") + lines(1, b"WARNING") + own + lines(1, b"Level 15")
    assert len(at_level(mixed, 0)) == 4
    assert at_level(mixed, 30) == [mixed[1], own[0]]
    assert at_level(mixed, 15) == [mixed[1], own[0], mixed[3]]


def test_a_console_that_is_gone_is_left_alone(delivery, eventually):
    """EPIPE costs nothing but the console, to which nothing is handed over any more."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        found = delivery(ConsoleTarget(stream, lambda fields: fields["msg"], 0))
        found.put(1, lines(3))
        assert eventually(lambda: found.idle)
        assert found.target.gone
        found.put(2, lines(3))
        assert not found._queue
        assert found.through() == EVER
        assert found.failed == 0
