"""structlog loggers on the fast path: what `get_logger` and `configure_structlog` promise, in one process."""

import asyncio
import inspect
import json
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mplog
from mplog import worker
from mplog._shared.values import encode_own
from mplog._worker import bound, chain

NAME = "tests.processors"


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Leave structlog, the chain and the logger as they were."""
    yield
    chain.configure(())
    structlog.reset_defaults()
    logging.getLogger(NAME).setLevel(logging.NOTSET)
    mplog.clear_context()


class Log:
    """A session, and what it has written."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.session = mplog.setup(path, console=False, listener="thread", **settings)

    def records(self) -> list[dict[str, Any]]:
        """Return the records so far."""
        assert self.session.flush()
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def last(self) -> dict[str, Any]:
        """Return the latest record."""
        return self.records()[-1]


@pytest.fixture(params=["alone", "beside"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """Start a session whose handler is alone, which is the short way, or beside those of pytest."""
    handlers = logging.root.handlers[:]
    if request.param == "alone" and "caplog" not in request.fixturenames:
        logging.root.handlers[:] = []
    found = Log(tmp_path / "app.json")
    yield found
    found.session.close()
    logging.root.handlers[:] = handlers


def own(record: dict[str, Any]) -> dict[str, Any]:
    standard = {"time", "level", "logger", "process", "pid", "thread", "file", "line", "func", "seq", "exc"}
    return {name: value for name, value in record.items() if name not in standard}


def test_an_event_is_a_record_like_any_other(log: Log):
    """The same schema as `logging`: all fields right, `event` is `msg`, keywords are own fields."""
    events, stdlib = mplog.get_logger(NAME), logging.getLogger(NAME)
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    stdlib.info("done", extra={"job": 4}), events.info("done", job=4)
    first, second = log.records()
    assert list(first) == list(second)
    assert {**first, "seq": 2, "time": second["time"]} == second
    assert (second["file"], second["line"], second["func"]) == (
        __file__,
        line,
        "test_an_event_is_a_record_like_any_other",
    )
    assert (second["logger"], second["level"], second["msg"], second["job"]) == (NAME, "INFO", "done", 4)


@pytest.mark.parametrize("name", ["debug", "info", "warning", "warn", "error", "critical", "fatal", "msg"])
def test_each_method_has_its_level(log: Log, name: str):
    """The methods of structlog's loggers are there, each with its level."""
    logging.getLogger(NAME).setLevel(logging.DEBUG)
    getattr(mplog.get_logger(NAME), name)("x")
    asyncio.run(getattr(mplog.get_logger(NAME), f"a{name}")("x"))
    expected = {"warn": "WARNING", "fatal": "CRITICAL", "msg": "INFO"}.get(name, name.upper())
    assert [record["level"] for record in log.records()] == [expected, expected]


def test_log_takes_any_level(log: Log):
    """`log` takes numbers and names; a custom level has its name, or `Level 25`."""
    events = mplog.get_logger(NAME)
    for level in (25, "warning", logging.ERROR, 5):
        events.log(level, "x")
    assert [record["level"] for record in log.records()] == ["Level 25", "WARNING", "ERROR"]


def test_the_level_is_that_of_the_stdlib_logger(log: Log):
    """Events obey the level of the `logging.Logger` of the same name, at once when it changes, and `disable`."""
    events = mplog.get_logger(NAME)
    events.debug("no")
    logging.getLogger("tests").setLevel(logging.DEBUG)
    events.debug("yes")
    logging.getLogger("tests").setLevel(logging.NOTSET)
    logging.disable(logging.INFO)
    events.info("no")
    logging.disable(logging.NOTSET)
    events.setLevel(logging.ERROR)
    events.warning("no")
    assert [record["msg"] for record in log.records()] == ["yes"]
    assert events.is_enabled_for(40)
    assert events.get_effective_level() == events.getEffectiveLevel() == 40
    assert events.name == NAME


def test_bind_unbind_try_unbind_new(log: Log):
    """`bind`, `unbind`, `try_unbind` and `new` do what structlog's do; a call's own keywords hold before."""
    first = mplog.get_logger(NAME, app="a").bind(job=1, user="eve")
    first.unbind("user").try_unbind("nothing").info("x", job=2)
    first.info("y")
    with pytest.raises(KeyError):
        first.unbind("nothing")
    first.new(z=1).info("z")
    assert [own(record) for record in log.records()] == [
        {"msg": "x", "app": "a", "job": 2},
        {"msg": "y", "app": "a", "job": 1, "user": "eve"},
        {"msg": "z", "z": 1},
    ]


def test_positional_arguments_fill_in_the_event(log: Log):
    """Arguments fill in ``%`` marks as in structlog and `logging`; arguments that do not fit cost nothing."""
    events = mplog.get_logger(NAME)
    events.info("%d of %s", 3, "four")
    events.info("%(a)s", {"a": 1})
    events.info("100%")
    events.info("%d", "no number")
    events.info(event="by keyword", a=1)
    events.info()
    events.info(17)
    texts = [record["msg"] for record in log.records()]
    assert texts[:3] == ["3 of four", "1", "100%"]
    assert texts[3].startswith("%d [arguments: 'no number'] [TypeError")
    assert texts[4:] == ["by keyword", "", "17"]


def fail() -> None:
    raise ValueError("broken")


@pytest.mark.parametrize("how", ["exception", "exc_info", "instance", "aexception"])
def test_exceptions_are_data(log: Log, how: str):
    """`exception()` and `exc_info=` give the exception as data, as `logging` does."""
    events = mplog.get_logger(NAME)
    try:
        fail()
    except ValueError as error:
        if how == "exception":
            events.exception("x", job=4)
        elif how == "aexception":
            asyncio.run(events.aexception("x", job=4))
        else:
            events.error("x", exc_info=True if how == "exc_info" else error, job=4)
    record = log.last()
    assert (record["exc"]["type"], record["exc"]["message"]) == ("ValueError", "broken")
    assert [frame["func"] for frame in record["exc"]["frames"]] == ["test_exceptions_are_data", "fail"]
    assert record["exc"]["text"].endswith("ValueError: broken")
    assert own(record) == {"msg": "x", "job": 4} | ({"task": record["task"]} if how == "aexception" else {})


def test_no_exception_is_no_exception(log: Log):
    """`exc_info=True` where no exception is being handled adds nothing."""
    mplog.get_logger(NAME).error("x", exc_info=True)
    mplog.get_logger(NAME).error("x", exc_info=None)
    assert all("exc" not in record for record in log.records())


def outer(stacklevel: int, **options: Any) -> None:
    mplog.get_logger(NAME).info("x", stacklevel=stacklevel, **options)


def test_stack_info_and_stacklevel(log: Log):
    """`stack_info=True` adds the stack, `stacklevel` names a caller further up, as in `logging`."""
    outer(1)
    outer(2, stack_info=True)
    first, second = log.records()
    assert (first["func"], second["func"]) == ("outer", "test_stack_info_and_stacklevel")
    assert second["stack"].startswith("Stack (most recent call last):")


def test_async_methods_log_where_they_were_called(log: Log):
    """The async methods log when awaited, with the place of the call and the task that runs."""

    async def main() -> int:
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        pending = mplog.get_logger(NAME).ainfo("%s", "later", a=1)
        await asyncio.create_task(pending, name="the task")
        return line

    line = asyncio.run(main())
    record = log.last()
    assert (record["msg"], record["line"], record["func"], record["task"]) == ("later", line, "main", "the task")
    assert own(record) == {"msg": "later", "a": 1, "task": "the task"}


def test_the_task_is_named_in_records_of_both_kinds(log: Log):
    """Within asyncio a record names its task, on every version of Python, from `logging` and structlog alike."""

    async def main() -> None:
        mplog.get_logger(NAME).info("event")
        logging.getLogger(NAME).info("record", extra={"a": 1})

    asyncio.run(main())
    first, second = log.records()
    assert first["task"] == second["task"] != ""


def test_renamed_threads_and_processes_are_right(log: Log):
    """Thread and process name are those of the moment, however often they change."""
    import multiprocessing

    events = mplog.get_logger(NAME)
    process = multiprocessing.current_process()
    before = process.name

    def work() -> None:
        events.info("x")
        threading.current_thread().name = "second"
        events.info("x")
        process.name = "renamed"
        events.info("x")

    thread = threading.Thread(target=work, name="first")
    thread.start()
    thread.join()
    process.name = before
    assert [(record["thread"], record["process"]) for record in log.records()] == [
        ("first", before),
        ("second", before),
        ("second", "renamed"),
    ]


def test_fields_with_the_names_of_the_schema_are_renamed(log: Log):
    """Own fields that clash with the schema get a trailing `_`; attributes of a LogRecord do not clash."""
    mplog.get_logger(NAME).info("x", msg=1, level=2, seq=3, exc=4, name="n", args=(1, 2), module="m")
    expected = {"msg": "x", "name": "n", "args": [1, 2], "module": "m", "msg_": 1, "level_": 2, "seq_": 3, "exc_": 4}
    record = log.last()
    mplog.bind(line=5)
    mplog.get_logger(NAME).bind(func="f").info("y", a=1)
    assert own(log.last()) == {"msg": "y", "line_": 5, "func_": "f", "a": 1}
    assert record["level"] == "INFO"
    assert own(record) == expected


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
@example(fields={"low": -(1 << 63) - 1, "lowest": -(1 << 63), "high": (1 << 63) - 1, "higher": 1 << 63, "no": 1 << 64})
@example(fields={"nan": float("nan"), "inf": float("-inf"), "e": 1e22, "zero": -0.0, "null": None, "text": "null"})
@example(fields={"a": "\x7f", "b": "\u2028", "c": "\ud800", "d": "\x00\x1b"})
@example(fields={"a": "\x7f"})
@example(fields={"a": 1, "b": "\udc80"})
def test_msgspec_and_the_careful_encoder_agree(log: Log, fields: dict[str, Any]):
    """Whatever goes through msgspec means the same as what `encode_own` writes, in bytes that are as safe."""
    fields = {name: value for name, value in fields.items() if name not in bound._UNUSUAL}
    journal = Tape()
    here: Any = worker.current
    kept, here.journal = here.journal, journal
    try:
        mplog.get_logger(NAME).info("x", **fields)
    finally:
        here.journal = kept
    (tail,) = journal.tails
    assert json.loads(b"{" + tail.lstrip(b",")) == json.loads("{" + encode_own(fields)[1:] + "}")
    assert not any(byte < 32 or byte == 127 for byte in tail.rstrip(b"\n"))


class Tape:
    """A journal that keeps the ends of lines."""

    def __init__(self) -> None:
        self.tails: list[bytes] = []
        self.seq = self.used = self.size = 0

    def write(self, head: bytes, tail: bytes, level: int) -> bool:
        """Keep the end of a line."""
        self.tails.append(tail)
        return True


def test_strange_values_come_through(log: Log):
    """Whatever the fields hold there is a record: no finite number, huge, unprintable, binary, cyclic."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    cycle: list[Any] = []
    cycle.append(cycle)
    mplog.get_logger(NAME).info(
        "a\x1b\u202e\n\udc80",
        nan=float("nan"), huge=1 << 80, text="ä\x7f\udc80", raw=b"\xff", broken=Broken(), cycle=cycle, when=None,
    )  # fmt: skip
    assert own(log.last()) == {
        "msg": "a\x1b\u202e\n\\udc80", "nan": "NaN", "huge": str(1 << 80), "text": "ä\x7f\\udc80", "raw": "\\xff",
        "broken": "<unprintable Broken>", "cycle": ["<cycle: list>"], "when": None,
    }  # fmt: skip
    raw = log.path.read_bytes()
    assert b"\x1b" not in raw
    assert b"\x7f" not in raw


def test_a_long_event_is_cut(tmp_path: Path):
    """An event above `max_record` is cut like any record, and says so."""
    log = Log(tmp_path / "app.json", max_record=4096)
    mplog.get_logger(NAME).info("x" * 10_000, a=1)
    record = log.last()
    log.session.close()
    assert record["truncated"] > 10_000
    assert record["a"] == 1


def test_redaction_comes_before_the_journal(tmp_path: Path):
    """`redact` works on events, bound fields and the context as on any record."""
    log = Log(tmp_path / "app.json", redact=["token", "re:secret-[0-9]+"])
    mplog.bind(token="t1")
    mplog.get_logger(NAME).bind(api_token="t2").info("got secret-17", where="secret-18")
    logging.getLogger(NAME).info("got %s", "secret-19")
    first, second = log.records()
    log.session.close()
    assert own(first) == {
        "msg": "got [redacted]", "token": "[redacted]", "api_token": "[redacted]", "where": "[redacted]",
    }  # fmt: skip
    assert own(second) == {"msg": "got [redacted]", "token": "[redacted]"}


class Keep(logging.Handler):
    """A handler of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.kept.append(record)


def test_other_handlers_get_a_record(log: Log):
    """A handler beside ours gets a LogRecord with the fields as attributes; the line is the same as without it."""
    events = mplog.get_logger(NAME)
    keep = Keep()

    def call() -> None:
        events.bind(job=4).warning("%s", "x", user="eve", name="n")

    call()
    logging.getLogger("tests").addHandler(keep)
    call()
    logging.getLogger("tests").removeHandler(keep)
    first, second = log.records()
    assert {**first, "seq": 2, "time": ""} == {**second, "time": ""}
    (record,) = keep.kept
    assert (record.getMessage(), record.name, record.levelname, record.funcName) == ("x", NAME, "WARNING", "call")
    assert vars(record)["job"] == 4
    assert vars(record)["user"] == "eve"


def test_caplog_sees_events(log: Log, caplog: pytest.LogCaptureFixture):
    """pytest's caplog has the events, and they are in the log as well."""
    mplog.get_logger(NAME).warning("seen", job=4)
    assert caplog.record_tuples == [(NAME, logging.WARNING, "seen")]
    assert log.last()["msg"] == "seen"


def test_filters_of_loggers_and_handlers_hold(log: Log):
    """A filter on the logger or on our handler sees the event as a record, may drop it or add to it."""

    def check(record: logging.LogRecord) -> bool:
        record.seen = True
        return record.getMessage() != "no"

    logger = logging.getLogger(NAME)
    ours = next(handler for handler in logging.root.handlers if isinstance(handler, mplog.WorkerHandler))
    for place in (logger, ours):
        place.addFilter(check)
        mplog.get_logger(NAME).info("no")
        mplog.get_logger(NAME).info("yes")
        place.removeFilter(check)
    assert [own(record) for record in log.records()] == [{"msg": "yes", "seen": True}] * 2


def test_without_a_session_events_go_to_logging(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    """Before `setup` events go to the handlers of `logging`; where there are none, to stderr from WARNING on."""
    events = mplog.get_logger(NAME)
    events.warning("early", job=4)
    assert caplog.record_tuples == [(NAME, logging.WARNING, "early")]
    logger = logging.getLogger(NAME)
    logger.propagate = False
    events.warning("early", job=4)
    logger.propagate = True
    assert capfd.readouterr().err == "early job=4\n"


def test_loggers_made_before_setup_write_after_it(tmp_path: Path):
    """Loggers and lazy proxies of modules that were made before `setup` are in the log after it."""
    early, lazy = mplog.get_logger(NAME), structlog.get_logger(NAME, a=1)
    mplog.configure_structlog()
    log = Log(tmp_path / "app.json")
    early.info("early")
    lazy.info("lazy")
    records = log.records()
    log.session.close()
    assert [own(record) for record in records] == [{"msg": "early"}, {"msg": "lazy", "a": 1}]
    assert [record["func"] for record in records] == ["test_loggers_made_before_setup_write_after_it"] * 2


def test_loggers_pickle(log: Log):
    """A bound logger pickles with what it has bound, a lazy proxy too."""
    mplog.configure_structlog([str_of])
    for events in (mplog.get_logger(NAME).bind(a=1), structlog.get_logger(NAME, a=1)):
        pickle.loads(pickle.dumps(events)).info("x")
    assert [own(record) for record in log.records()] == [{"msg": "x", "a": "1"}] * 2


def str_of(logger: Any, method: str, event: Any) -> Any:
    """Turn fields into text."""
    return {name: str(value) for name, value in event.items()}


def test_a_logger_without_name_has_that_of_its_module(log: Log):
    """`get_logger()` and `structlog.get_logger()` are called like the module that uses them."""
    mplog.configure_structlog()
    mplog.get_logger().info("x")
    structlog.get_logger().info("x")
    structlog.get_logger("other").info("x")
    assert [record["logger"] for record in log.records()] == [__name__, __name__, "other"]


def test_processors_of_the_application_come_first(log: Log):
    """The application's processors see the whole event, may change, rename and drop it."""
    seen: list[Any] = []

    def look(logger: Any, method: str, event: Any) -> Any:
        seen.append((logger.name, method, dict(event)))
        if event["event"] == "no":
            raise structlog.DropEvent
        return {**event, "event": event["event"].upper(), "added": True}

    mplog.configure_structlog([look, structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name])
    mplog.bind(request="r1")
    events = structlog.get_logger(NAME).bind(job=4)
    events.info("no")
    events.warning("yes %d", 1, a=2)
    assert seen == [
        (NAME, "info", {"request": "r1", "job": 4, "event": "no"}),
        (NAME, "warning", {"request": "r1", "job": 4, "a": 2, "event": "yes 1"}),
    ]
    assert own(log.last()) == {"msg": "YES 1", "request": "r1", "job": 4, "a": 2, "added": True}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (structlog.processors.JSONRenderer(sort_keys=True), {"msg": '{"a": 1, "event": "x"}'}),
        (lambda *call: b"raw \xff", {"msg": "raw \\xff"}),
        (structlog.stdlib.render_to_log_kwargs, {"msg": "x", "a": 1}),
        (structlog.stdlib.ProcessorFormatter.wrap_for_formatter, {"msg": "x", "a": 1}),
        (lambda *call: None, {"msg": "None"}),
    ],
)
def test_the_last_processor_may_return_what_structlog_allows(log: Log, last: Any, expected: dict[str, Any]):
    """A text, bytes, a logger's arguments or a dict: each becomes a record."""
    mplog.configure_structlog([last])
    structlog.get_logger(NAME).info("x", a=1)
    assert own(log.last()) == expected


def test_a_processor_that_raises_costs_its_step(log: Log):
    """A processor that raises costs that step and one counted note, never the record nor the program."""

    def broken(logger: Any, method: str, event: Any) -> Any:
        event["half"] = True
        raise KeyError("user")

    mplog.configure_structlog([broken, str_of, "no.such.module:name"])
    for number in range(10):
        mplog.get_logger(NAME).info("x", a=number)
    records = log.records()
    assert [own(record) for record in records if record["logger"] == NAME] == [
        {"msg": "x", "a": str(number)} for number in range(10)
    ]
    notes = [record for record in records if record["logger"] == "mplog"]
    assert [(note["level"], note["event"], note["failed"]) for note in notes] == [
        ("WARNING", "processor_failed", 1),
        ("WARNING", "processor_failed", 1),
        ("WARNING", "processor_failed", 10),
        ("WARNING", "processor_failed", 10),
    ]
    assert "raised KeyError: 'user'" in notes[0]["msg"]


def test_callsite_processors_find_the_caller(log: Log):
    """structlog's own `CallsiteParameterAdder` finds the place of the call, past mplog."""
    mplog.configure_structlog(
        [structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME])]
    )
    structlog.get_logger(NAME).info("x")
    assert log.last()["func_name"] == "test_callsite_processors_find_the_caller"


def test_structlogs_capture_logs_works(log: Log):
    """`structlog.testing.capture_logs` keeps the events of loggers that exist already."""
    mplog.configure_structlog()
    events = structlog.get_logger(NAME)
    with structlog.testing.capture_logs() as captured:
        events.info("x", a=1)
    events.info("y")
    assert captured == [{"a": 1, "event": "x", "log_level": "info"}]
    assert [record["msg"] for record in log.records()] == ["y"]


@pytest.mark.parametrize("wrong", [[3], "no colon", [None], ["module"]])
def test_wrong_processors_are_refused(wrong: Any):
    """A step that is neither a callable nor a name raises at once, with the value and the remedy."""
    with pytest.raises(TypeError, match="use callables"):
        mplog.configure_structlog(wrong)


@pytest.mark.parametrize("renderer", [None, structlog.stdlib.ExtraAdder()])
def test_records_of_wrap_for_formatter_ship_their_dict(log: Log, renderer: Any):
    """An application with structlog's own stdlib set-up logs through `WorkerHandler` with all its fields."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            *([renderer] if renderer else []),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    mplog.bind(request="r1")
    events = structlog.get_logger(NAME).bind(job=4)
    try:
        fail()
    except ValueError:
        events.exception("%s happened", "it", name="n")
    record = log.last()
    assert own(record) == {"msg": "it happened", "request": "r1", "job": 4, "name": "n"}
    assert record["exc"]["message"] == "broken"
    assert record["level"] == "ERROR"


def test_a_second_dict_config_does_not_silence_events(log: Log):
    """`dictConfig` takes our handler off the root logger; the next event puts it back."""
    import logging.config

    events = mplog.get_logger(NAME)
    settings = {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}}
    logging.config.dictConfig(settings)
    events.info("still there")
    assert log.last()["msg"] == "still there"


def test_code_made_at_run_time_does_not_fill_memory(log: Log):
    """Call sites are kept within bounds, and a new function at an old address has its own place."""
    events: Any = mplog.get_logger(NAME)
    for number in range(50):
        scope: dict[str, Callable[[Any], None]] = {}
        exec(f"def call_{number}(events):\n    events.info('x')", scope)
        scope[f"call_{number}"](events)
    assert [record["func"] for record in log.records()] == [f"call_{number}" for number in range(50)]


def test_one_call_site_may_log_different_events(log: Log):
    """A call site that logs changing texts, levels and loggers has each right."""
    for logger in ("tests.a", "tests.b"):
        events = mplog.get_logger(logger)
        for level in ("info", "warning"):
            for event in ("one", "two", None, "%s", 3):
                getattr(events, level)(event, *(["filled"] if event == "%s" else []))
    assert [(record["logger"], record["level"], record["msg"]) for record in log.records()] == [
        (logger, level, text)
        for logger in ("tests.a", "tests.b")
        for level in ("INFO", "WARNING")
        for text in ("one", "two", "", "filled", "3")
    ]


def test_threads_do_not_mix(log: Log):
    """Events of several threads are whole, each under its thread, and all of them there."""

    def work() -> None:
        name = threading.current_thread().name
        for number in range(300):
            mplog.get_logger(NAME).info("from %s", name, thread_is=name, number=number)

    threads = [threading.Thread(target=work, name=f"thread {number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = log.records()
    assert [record["seq"] for record in records] == list(range(1, 1201))
    assert all(record["thread"] == record["thread_is"] == record["msg"][5:] for record in records)
    assert len({(record["thread"], record["number"]) for record in records}) == 1200
