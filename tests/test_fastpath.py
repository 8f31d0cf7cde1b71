"""The short way from a logging call to a line writes what the standard way writes."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from multiprocessing import process
from pathlib import Path
from typing import Any

import pytest

import mplog
from mplog import worker
from mplog._worker import fastpath

log = logging.getLogger("app.fast")


class Journal:
    """Stands where the process's journal stands, and keeps the lines."""

    def __init__(self, size: int) -> None:
        self.seq = self.used = 0
        self.size = size
        self.memory = self
        self.lines: list[dict[str, Any]] = []

    def __setitem__(self, place: slice, line: bytes) -> None:
        """Keep a line that is copied to where there is room for it."""
        assert place.stop - place.start == len(line)
        assert place.stop == self.used
        self._keep(line)

    def write(self, head: bytes, tail: bytes, levelno: int = 20) -> bool:
        """Keep a line that comes the standard way, or for which there is no room."""
        self._keep(head + b"0" + tail)
        return True

    def _keep(self, line: bytes) -> None:
        assert line.endswith(b"}\n")
        assert line[16:18] == b" {"
        assert 0 <= time.monotonic_ns() - int(line[:16], 16) < 10**9
        self.lines.append(json.loads(line[17:]) | {"seq": 0})


@pytest.fixture(params=[1 << 40, 0], ids=["room", "no room"])
def lines(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """Return the list in which lines appear as they are written."""
    handlers = list(logging.root.handlers)
    with mplog.setup(tmp_path / "app.jsonl", console=False, level="DEBUG"):
        assert worker.current is not None
        real, journal = worker.current.journal, Journal(request.param)
        worker.current.journal = journal  # type: ignore[assignment]
        worker.current.check_at = 1 << 63
        try:
            yield journal.lines
        finally:
            worker.current.journal = real
            logging.root.handlers[:] = [*handlers, *(h for h in logging.root.handlers if h not in handlers)]


def alone() -> None:
    """Take pytest's own handlers off the root logger, which come anew for each phase of a test."""
    logging.root.handlers[:] = [fastpath._handler]


def took_the_short_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows whenever a record object is made."""
    made: list[str] = []
    original = logging.LogRecord.__init__

    def init(self: logging.LogRecord, *args: Any, **kwargs: Any) -> None:
        made.append("record")
        original(self, *args, **kwargs)

    monkeypatch.setattr(logging.LogRecord, "__init__", init)
    return made


CALLS = [
    ("plain", ()),
    ("%d of %s", (3, "seven")),
    ("100% sure", ()),
    ("%(name)s is %(age)d", ({"name": "x", "age": 3},)),
    ("%s", ({},)),
    ("%s", ({"a": 1},)),
    ("%s", (["a"],)),
    ("%s %s", ("a", "b")),
    ('quotes " and \\ and\nnewline\ttab \x1b[31m \x7f', ()),
    ("ünïcödé \u2028 \u202e %s", ("\U0001f600",)),
    ("lone \ud800 surrogate", ()),
    ("", ()),
]


def test_both_ways_write_the_same(lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the message and the level, the line is the same as that of a LogRecord."""
    alone()
    made = took_the_short_way(monkeypatch)
    for msg, args in CALLS:
        for name in ("debug", "info", "warning", "error", "critical"):
            for way in ("short", "standard"):
                with monkeypatch.context() as patch:
                    if way == "standard":
                        patch.setattr(logging, "_logRecordFactory", lambda *a, **k: logging.LogRecord(*a, **k))
                    getattr(log, name)(msg, *args)
                assert bool(made) == (way == "standard"), (msg, args)
            made.clear()
            short, standard = lines
            lines.clear()
            assert short.pop("time") <= standard.pop("time")
            assert short == standard
            assert short["func"] == "test_both_ways_write_the_same"
            assert short["file"] == __file__


def test_arguments_that_do_not_fit_lose_nothing(lines: list[dict[str, Any]]) -> None:
    """Wrong arguments give one record all the same."""
    alone()
    for number, broken in enumerate(["%d of %s", "%q", "%(x)s"], 1):
        log.info(broken, "one")
        assert len(lines) == number
        assert "one" in lines[-1]["msg"]


def test_renamed_threads_and_processes_are_seen(lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A record says the names that thread and process have at that moment."""
    alone()

    def run() -> None:
        for name in ("first", "second"):
            threading.current_thread().name = name
            log.info("x")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    monkeypatch.setattr(process.current_process(), "name", "Renamed")
    log.info("x")
    assert [line["thread"] for line in lines] == ["first", "second", "MainThread"]
    assert [line["process"] for line in lines] == ["MainProcess", "MainProcess", "Renamed"]


def test_each_call_site_has_its_line(lines: list[dict[str, Any]]) -> None:
    """File, line and function are those of the call, also for several calls in one line and through wrappers."""
    alone()
    log.info("a"), log.info("b")
    log.info("c")
    log.log(logging.INFO, "d")
    logging.LoggerAdapter(log, {}).info("e")
    logging.info("f")
    numbers = [line["line"] - lines[0]["line"] for line in lines]
    assert numbers == [0, 0, 1, 2, 3, 4]
    assert {line["func"] for line in lines} == {"test_each_call_site_has_its_line"}


@pytest.mark.parametrize(
    "change",
    ["filter", "handler", "handler filter", "handler level", "subclass", "call handlers", "make record", "propagate"],
)
def test_whoever_asks_for_the_record_gets_it(
    lines: list[dict[str, Any]], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, other handlers, subclasses and patches see every record, as without mplog."""
    alone()
    logger = logging.getLogger(f"app.fast.{change.replace(' ', '_')}")
    seen: list[str] = []

    class Other(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    def note(record: logging.LogRecord) -> bool:
        seen.append(record.getMessage())
        return True

    written = 1
    if change == "filter":
        logger.addFilter(note)
    elif change == "handler":
        logger.addHandler(Other())
    elif change == "handler filter":
        monkeypatch.setattr(fastpath._handler, "filters", [note])
    elif change == "handler level":
        monkeypatch.setattr(fastpath._handler, "level", logging.ERROR)
        seen, written = ["x"], 0
    elif change == "subclass":

        class Special(logging.Logger):
            def handle(self, record: logging.LogRecord) -> None:
                note(record)
                super().handle(record)

        logger.__class__ = Special
    elif change == "call handlers":
        stock = logging.Logger.callHandlers
        monkeypatch.setattr(logging.Logger, "callHandlers", lambda self, record: note(record) and stock(self, record))
    elif change == "make record":
        make = logging.Logger.makeRecord

        def make_record(self: Any, *args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make(self, *args, **kwargs)
            note(record)
            return record

        monkeypatch.setattr(logging.Logger, "makeRecord", make_record)
    else:
        logger.propagate = False
        seen, written = ["x"], 0
        monkeypatch.setattr(logging, "lastResort", None)
        monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.info("x")
    assert seen == ["x"]
    assert len(lines) == written


def test_other_configuration_does_not_silence_the_session(lines: list[dict[str, Any]]) -> None:
    """What closes mplog's handler in passing is survived; who removes it by hand means it."""
    alone()
    logging.basicConfig(force=True, level=logging.DEBUG)
    log.info("after basicConfig")
    assert [line["msg"] for line in lines] == ["after basicConfig"]
    logging.root.removeHandler(fastpath._handler)
    log.info("after removeHandler")
    assert len(lines) == 1
    for handler in list(logging.root.handlers):
        logging.root.removeHandler(handler)


def test_the_session_leaves_logging_as_it_was(tmp_path: Path) -> None:
    """After `close`, the methods of `logging.Logger`, the root's handlers and the levels are those from before."""
    before = {name: getattr(logging.Logger, name) for name in fastpath._stock}
    handlers, level = list(logging.root.handlers), logging.root.level
    with mplog.setup(tmp_path / "app.jsonl", console=False, level="debug,app=error"):
        assert logging.Logger.info is not before["info"]
        assert logging.getLogger("app").level == logging.ERROR
    assert {name: getattr(logging.Logger, name) for name in fastpath._stock} == before
    assert list(logging.root.handlers) == handlers
    assert logging.root.level == level
    assert logging.getLogger("app").level == logging.NOTSET
