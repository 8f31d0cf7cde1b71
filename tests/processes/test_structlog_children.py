"""structlog in children: configured by name, loggers of the parent, forks of every kind."""

import pytest

CHILDREN = """
    import multiprocessing
    import sys

    import structlog

    import mplog
    import steps

    early = structlog.get_logger("early")
    ours = mplog.get_logger("ours").bind(made="in the parent")

    def add_user(logger, method, event):
        return {**event, "user": "eve"}

    def work(logger, number):
        early.info("proxy of the module", number=number)
        structlog.get_logger("own").bind(job=1).info("logger of the child", number=number)
        ours.info("ours", number=number)
        logger.info("carried", number=number)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        auto = sys.argv[2] == "by itself"
        mplog.configure_structlog(sys.argv[3] if sys.argv[3:] else [add_user, "steps:one", steps.two])
        with mplog.setup("app.json", console=False, auto_attach=auto) as session:
            initializer = None if auto else session.attach
            with context.Pool(1, initializer) as pool:
                pool.apply(work, (structlog.get_logger("carried").bind(sent="along"), 1))
            if auto:
                process = context.Process(target=work, args=(ours, 2))
                process.start()
                process.join()
"""

STEPS = """
def one(logger, method, event):
    return {**event, "one": True}

def two(logger, method, event):
    return {**event, "two": event.get("one", False)}

ALL = [lambda logger, method, event: {**event, "user": "eve"}, one, two]

def make():
    return ALL
"""


@pytest.mark.parametrize("how", ["by itself", "initializer"])
@pytest.mark.parametrize("chain", [[], ["steps:ALL"], ["steps:make"]])
def test_children_run_the_processors_of_their_parent(program, read_log, tmp_path, start_method, how, chain):
    """Children are configured by dotted names under every start method, by themselves and by the initializer;
    module-level proxies, new loggers and pickled ones all write into the log."""
    (tmp_path / "steps.py").write_text(STEPS)
    done = program(CHILDREN, start_method, how, *chain)
    assert done.out == ""
    assert done.err == ""
    log = read_log(tmp_path / "app.json")
    assert sorted((record["msg"], record["logger"], record["number"]) for record in log) == sorted(
        (*names, number)
        for number in ([1, 2] if how == "by itself" else [1])
        for names in (
            ("proxy of the module", "early"),
            ("logger of the child", "own"),
            ("ours", "ours"),
            ("carried", "carried" if number == 1 else "ours"),
        )
    )
    assert all((record["user"], record["one"], record["two"]) == ("eve", True, True) for record in log)
    assert {record["func"] for record in log} == {"work"}
    assert {record.get("sent") for record in log if record["logger"] == "carried"} == {"along"}


UNNAMED = """
    import multiprocessing
    import sys

    import structlog

    import mplog

    def work():
        structlog.get_logger("app").info("x")

    if __name__ == "__main__":
        mplog.configure_structlog([lambda logger, method, event: {**event, "a": 1}])
        with mplog.setup("app.json", console=False):
            process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            process.start()
            process.join()
"""


def test_a_processor_without_a_name_is_missed_aloud(program, read_log, tmp_path, start_method):
    """A lambda cannot be found by a child that begins anew: it says so, and logs without that step."""
    done = program(UNNAMED, start_method)
    (record,) = read_log(tmp_path / "app.json")
    if start_method == "fork":
        assert (done.err, record["a"]) == ("", 1)
    else:
        assert "1 of 1 processors have no name" in done.err
        assert "a" not in record


CONFIGURED_THERE = """
    import multiprocessing
    import sys

    import structlog

    import mplog

    if __name__ != "__main__":
        structlog.configure(processors=[structlog.processors.JSONRenderer()])

    def work():
        structlog.get_logger("app").info("x")

    if __name__ == "__main__":
        mplog.configure_structlog()
        with mplog.setup("app.json", console=False):
            process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            process.start()
            process.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_configures_structlog_itself_is_left_alone(program, read_log, tmp_path, method):
    """Where structlog is configured already, the parent's configuration is not put over it."""
    done = program(CONFIGURED_THERE, method)
    assert done.out == '{"event": "x"}\n'
    assert read_log(tmp_path / "app.json") == []


FORKS = """
    import ctypes
    import os
    import sys
    import threading

    import mplog

    fork = ctypes.CDLL(None).fork if sys.argv[1] == "C" else os.fork
    log = mplog.get_logger("app")

    with mplog.setup("app.json", console=False):
        log.info("parent", pid_is=os.getpid())
        pid = fork()
        if pid == 0:
            threading.current_thread().name = "child"
            log.info("child", pid_is=os.getpid())
            if fork() == 0:
                log.info("grandchild", pid_is=os.getpid())
                os._exit(0)
            os.wait()
            os._exit(0)
        os.waitpid(pid, 0)
        log.info("parent", pid_is=os.getpid())
"""


@pytest.mark.parametrize("kind", ["os", "C"])
def test_pid_and_seq_are_right_after_any_fork(program, read_log, tmp_path, kind):
    """Events after os.fork, twice, and after a fork from C have their own pid, thread and sequence."""
    program(FORKS, kind)
    log = read_log(tmp_path / "app.json")
    assert all(record["pid"] == record["pid_is"] for record in log)
    assert sorted((record["msg"], record["seq"], record["thread"]) for record in log) == [
        ("child", 1, "child"),
        ("grandchild", 1, "child"),
        ("parent", 1, "MainThread"),
        ("parent", 2, "MainThread"),
    ]


STOCK = """
    import logging
    import multiprocessing
    import sys

    import structlog

    import mplog

    def configure():
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )

    def work(number):
        configure()
        structlog.get_logger("app").warning("stock", number=number, nested={"a": [1]})

    if __name__ == "__main__":
        configure()
        with mplog.setup("app.json", console=False):
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                pool.map(work, range(2))
            work(2)
"""


def test_records_of_wrap_for_formatter_travel_with_their_dict(program, read_log, tmp_path, start_method):
    """An application that has structlog's own stdlib set-up logs from workers with all fields, as data."""
    done = program(STOCK, start_method)
    assert done.err == ""
    log = read_log(tmp_path / "app.json")
    assert sorted((record["msg"], record["level"], record["number"], record["nested"]["a"]) for record in log) == [
        ("stock", "WARNING", number, [1]) for number in range(3)
    ]
    assert all(record["func"] == "work" and "_name" not in record for record in log)
