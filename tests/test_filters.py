"""Samples, rate limits and the ring of DEBUG records."""

import gc
import logging
import logging.config

import pytest
import structlog

from mplog.exceptions import ConfigError
from mplog.filters import DebugRing, RateLimit, Sample


@pytest.fixture
def log():
    """A logger that has no filters yet."""
    yield logging.getLogger("test.filters")
    gc.collect()  # filters that are there at the end of the program say what they left out


@pytest.fixture
def passed(log, keep):
    """What gets past the logger's filters: text, and how many were left out before."""
    records = keep(log.name)
    return lambda: [(record.getMessage(), getattr(record, "left_out", 0)) for record in records]


def test_sample_lets_a_share_pass_and_counts_the_rest(log, passed):
    """A tenth passes, evenly; each tells how many did not before it."""
    log.addFilter(Sample(0.1))
    for number in range(30):
        log.info("number %d", number)
    assert passed() == [("number 0", 0), ("number 10", 9), ("number 20", 9)]


def test_sample_counts_each_message(log, passed):
    """Messages are sampled one by one, and WARNING and above pass always."""
    log.addFilter(Sample(0.5))
    for _ in range(2):
        log.info("a")
        log.info("b")
        log.warning("c")
    assert [text for text, _ in passed()] == ["a", "b", "c", "c"]


def test_rate_limit_lets_a_burst_and_then_so_many_a_second_pass(log, passed):
    """A burst passes, then as many as the rate allows; the count of the rest comes with the next."""
    now = [0.0]
    log.addFilter(RateLimit(2, burst=3, clock=lambda: now[0]))
    for number in range(6):
        log.info("number %d", number)
    assert passed() == [("number 0", 0), ("number 1", 0), ("number 2", 0)]
    now[0] = 0.5
    log.info("number %d", 6)
    log.info("number %d", 7)
    log.error("number %d", 8)
    assert passed()[3:] == [("number 6", 3), ("number 8", 0)]


def test_what_is_left_out_at_the_end_is_said(log, keep):
    """What no later record could tell is said in one of its own."""
    found = Sample(0.5)
    log.addFilter(found)
    keep(log.name)
    end = keep("mplog.filters")
    for _ in range(4):
        log.info("a")
    found.report()
    found.report()
    assert [record.getMessage() for record in end if record.name == "mplog.filters"] == [
        "Sample left out 1 record at the end"
    ]


def test_filters_are_configured_by_dict():
    """`dictConfig` makes filters by their factory."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"few": {"()": "mplog.filters.RateLimit", "per_second": 5}},
            "loggers": {"test.dict": {"filters": ["few"]}},
        }
    )
    logger = logging.getLogger("test.dict")
    [found] = logger.filters
    logger.removeFilter(found)
    assert isinstance(found, RateLimit)
    assert found.burst == 5


def test_filters_are_processors_of_structlog():
    """The same objects stand in a chain of structlog's processors."""
    output = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, processors=[Sample(0.5), output])
    for number in range(4):
        logger.info("event", number=number)
    logger.error("bad")
    assert [(entry["event"], entry.get("number"), entry.get("left_out")) for entry in output.entries] == [
        ("event", 0, None),
        ("event", 2, 1),
        ("bad", None, None),
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sample(0), "`rate` is 0; pass the share of records that stays, above 0 and up to 1."),
        (lambda: Sample(1.5), "`rate` is 1.5; pass the share of records that stays, above 0 and up to 1."),
        (lambda: RateLimit(0), "`per_second` is 0; pass a number of records a second, above 0."),
        (lambda: RateLimit(1, burst=0), "`burst` is 0; pass how many records may come at once, at least 1."),
        (lambda: DebugRing(0), "`size` is 0; pass how many records are to be kept, at least 1."),
        (lambda: DebugRing(1, trigger="LOUD"), "the level is 'LOUD'; pass a level's name or number."),
    ],
)
def test_wrong_arguments_raise_at_once(make, message):
    """A wrong argument is named with its value and the remedy."""
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value) == message


def test_the_ring_is_written_when_an_error_comes(program, read_log, tmp_path, start_method):
    """The last DEBUG records stay out of the file until an ERROR comes, and then have their own times."""
    program(
        """
        import logging
        import multiprocessing
        import sys
        import mplog
        from mplog.filters import DebugRing

        ring = DebugRing(3)

        def work():
            ring.attach()
            log = logging.getLogger("app")
            for number in range(5):
                log.debug("detail %d", number)
            log.info("fine")
            if multiprocessing.current_process().name == "bad":
                log.error("broken")
                log.debug("not written")

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            with mplog.setup("app.json", level="DEBUG", console=False):
                for name in ("good", "bad"):
                    child = multiprocessing.Process(target=work, name=name)
                    child.start()
                    child.join()
        """,
        start_method,
    )
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log if record["process"] == "good" and record["logger"] == "app"] == ["fine"]
    bad = [record for record in log if record["process"] == "bad" and record["logger"] == "app"]
    assert [record["msg"] for record in bad] == ["fine", "detail 2", "detail 3", "detail 4", "broken"]
    assert [record.get("ring") for record in bad] == [None, True, True, True, None]
    assert bad[1]["left_out"] == 2
    assert bad[3]["time"] < bad[0]["time"]
    assert [record["seq"] for record in bad] == [1, 2, 3, 4, 5]


def test_the_ring_takes_events_of_structlog(program, read_log, tmp_path):
    """Among structlog's processors the ring does the same."""
    program(
        """
        import structlog
        import mplog
        from mplog.filters import DebugRing

        with mplog.setup("app.json", level="DEBUG", console=False):
            def stop(logger, method, event):
                raise structlog.DropEvent

            log = structlog.wrap_logger(None, processors=[DebugRing(2), stop])
            for number in range(3):
                log.debug("detail", number=number)
            log.error("broken")
        """
    )
    log = read_log(tmp_path / "app.json")
    assert [(record["msg"], record["number"], record["level"]) for record in log] == [
        ("detail", 1, "DEBUG"),
        ("detail", 2, "DEBUG"),
    ]


def test_counts_are_said_at_the_end_of_a_worker(program, read_log, tmp_path, start_method):
    """At the end of each process its filters say what they left out; a fork does not say it twice."""
    program(
        """
        import logging
        import multiprocessing
        import sys
        import mplog
        from mplog.filters import Sample

        few = Sample(0.01)
        logging.getLogger("noisy").addFilter(few)

        def work():
            for _ in range(10):
                logging.getLogger("noisy").info("noise")

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            with mplog.setup("app.json", console=False):
                work()
                child = multiprocessing.Process(target=work, name="W")
                child.start()
                child.join()
        """,
        start_method,
    )
    log = read_log(tmp_path / "app.json")
    assert [(record["process"], record["left_out"]) for record in log if record["logger"] == "mplog.filters"] == [
        ("W", 9),
        ("MainProcess", 9),
    ]
