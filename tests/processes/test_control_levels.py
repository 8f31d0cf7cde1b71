"""Levels changed while processes run."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
    import datetime
    import json
    import logging
    import multiprocessing
    import sys
    import time

    import mplog

    def talk(name, stop):
        log = logging.getLogger("app.db")
        log.info("begin")
        while not stop.is_set():
            log.debug("detail")
            logging.getLogger("app.web").debug("other")
            time.sleep(0.005)

    def whisper(name, stop):
        while not stop.is_set():
            logging.getLogger("app.db").debug("detail")
            time.sleep(0.005)

    def until(path, true, timeout=10):
        deadline = time.monotonic() + timeout
        while not true(open(path).read()):
            if time.monotonic() > deadline:
                raise SystemExit("in vain: " + open(path).read()[-2000:])
            time.sleep(0.01)

    def first(text, name):
        for line in text.splitlines():
            if '"DEBUG"' in line and f'"process":"{name}"' in line:
                return datetime.datetime.fromisoformat(json.loads(line)["time"])
        return None

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with mplog.setup("app.json", console=False) as session:
            stop = context.Event()
            workers = [
                context.Process(target=target, args=(name, stop), name=name, daemon=True)
                for target, name in ((talk, "talk-1"), (talk, "talk-2"), (whisper, "whisper-1"))
            ]
            for worker in workers:
                worker.start()
            until("app.json", lambda text: text.count("begin") == 2)
            BODY
            stop.set()
            for worker in workers:
                worker.join()
"""


def programmed(body: str) -> str:
    return PROGRAM.replace("BODY", body.strip().replace("\n", "\n" + 12 * " "))


def test_down_to_debug_in_some_and_back(program, read_log, tmp_path, start_method):
    """`set_level("DEBUG", logger=, process="..*", duration=)` changes the level in the running processes
    whose name matches, also where nothing but debug calls are made, and it goes back by itself."""
    program(
        programmed(
            """
for worker in workers[2:]:
    time.sleep(0.3)  # it makes nothing that could be waited for
began = datetime.datetime.now(datetime.UTC)
session.set_level("DEBUG", logger="app.db", process="*-1", duration=1.0)
for name in ("talk-1", "whisper-1"):
    until("app.json", lambda text: first(text, name))
    assert first(open("app.json").read(), name) - began < datetime.timedelta(seconds=1)
time.sleep(1.5)  # what it proves is that nothing happens any more
ended = open("app.json").read().count("DEBUG")
time.sleep(0.3)
session.flush()
assert open("app.json").read().count("DEBUG") == ended > 0
"""
        ),
        start_method,
    )
    debug = [record for record in read_log(tmp_path / "app.json") if record["level"] == "DEBUG"]
    assert {record["process"] for record in debug} == {"talk-1", "whisper-1"}
    assert {record["logger"] for record in debug} == {"app.db"}


def test_loggers_of_structlog_follow_down_to_debug_and_back(program, read_log, tmp_path, start_method):
    """Bound loggers of `get_logger`, made before `setup` or in the worker, follow the level down to DEBUG and back."""
    program(
        """
        import multiprocessing, sys, time
        import mplog
        from mplog import worker

        early = mplog.get_logger("app.db").bind(made="before setup")

        def until(true):
            deadline = time.monotonic() + 20
            while not true():
                assert time.monotonic() < deadline
                time.sleep(0.001)

        def work(ready):
            late = mplog.get_logger("app.db").bind(made="in the worker")
            other = mplog.get_logger("app.web")

            def written():
                before = worker.current.journal.seq
                for log in (early, late, early.bind(made="from another")):
                    log.debug("detail")
                other.debug("of another logger")
                return worker.current.journal.seq - before

            early.info("begin")
            assert written() == 0
            ready.set()
            until(lambda: written() == 3)
            until(lambda: written() == 0)
            late.info("end")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            ready = context.Event()
            with mplog.setup("app.json", console=False) as session:
                child = context.Process(target=work, args=(ready,))
                child.start()
                assert ready.wait(20)
                session.set_level("DEBUG", logger="app.db", duration=0.5)
                child.join()
                assert child.exitcode == 0
        """,
        start_method,
    )
    log = read_log(tmp_path / "app.json")
    assert [(record["msg"], record["level"]) for record in (log[0], log[-1])] == [("begin", "INFO"), ("end", "INFO")]
    details = [(record["msg"], record["level"], record["logger"]) for record in log[1:-1]]
    assert set(details) == {("detail", "DEBUG", "app.db")}
    assert {record["made"] for record in log[1:-1]} == {"before setup", "in the worker", "from another"}


def test_up_and_back(program, read_log, tmp_path):
    """A level that was raised goes back by itself, too, where only disabled calls are made meanwhile."""
    program(
        """
        import logging, os, time
        import mplog

        with mplog.setup("app.json", console=False, level="INFO") as session:
            logging.info("before")
            session.set_level("ERROR", duration=0.5)
            logging.info("meanwhile")
            deadline = time.monotonic() + 10
            while not logging.getLogger().isEnabledFor(logging.INFO):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            logging.info("after")
        """
    )
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["before", "after"]


def test_children_that_come_later_have_it(program, read_log, tmp_path, start_method):
    """A change holds for processes that start afterwards, by their own names and not by their parent's."""
    program(
        """
        import logging, multiprocessing, sys
        import mplog

        def work():
            logging.debug("detail")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with mplog.setup("app.json", console=False) as session:
                session.set_level("DEBUG", process="chatty")
                session.set_level(10, logger="only.here", process="MainProcess")
                for name in ("chatty", "quiet"):
                    worker = context.Process(target=work, name=name)
                    worker.start()
                    worker.join()
                logging.debug("of the parent")
                logging.getLogger("only.here").debug("here")
        """,
        start_method,
    )
    found = [(record["process"], record["msg"]) for record in read_log(tmp_path / "app.json")]
    assert found == [("chatty", "detail"), ("MainProcess", "here")]


def test_an_application_that_uses_the_signal_is_left_alone(program, read_log, tmp_path):
    """Where the application has a handler for SIGURG it keeps it, and the next record brings the level."""
    program(
        """
        import logging, signal, subprocess, sys, time
        import mplog

        calls = []
        signal.signal(signal.SIGURG, lambda *_: calls.append(1))
        with mplog.setup("app.json", console=False) as session:
            logging.info("begin")
            session.flush()
            command = [sys.executable, "-m", "mplog", "level", "debug", "app.json", "--for", "1s"]
            subprocess.run(command, check=True)
            deadline = time.monotonic() + 10
            while not logging.getLogger().isEnabledFor(logging.DEBUG):
                logging.info("next")
                assert time.monotonic() < deadline
                time.sleep(0.05)
            while logging.getLogger().isEnabledFor(logging.DEBUG):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert not calls
        signal.raise_signal(signal.SIGURG)
        assert calls
        """
    )


@pytest.fixture
def running(tmp_path):
    """A program that debugs in vain until its standard input ends."""
    source = (
        "import logging, select, sys, mplog\n"
        "with mplog.setup('app.json', console=False):\n"
        "    logging.info('begin')\n"
        "    while not select.select([0], [], [], 0.005)[0]:\n"
        "        logging.getLogger('app').debug('detail')\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=tmp_path, stdin=subprocess.PIPE) as process:
        yield tmp_path / "app.json"
        process.communicate(b"\n", timeout=20)


def mplog_command(*words, ok=0):
    command = [sys.executable, "-m", "mplog", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == ok, done
    return done.stdout + done.stderr


def test_from_another_terminal(running, eventually):
    """`mplog level` finds a running session by its log file and changes its level; `mplog ps` shows it."""
    assert eventually(lambda: running.exists() and "begin" in running.read_text())
    out = mplog_command("level", "debug", running, "--logger", "app", "--for", "1s")
    assert out == f"{running}: logger app is at DEBUG for 1s, in all processes\n"
    assert eventually(lambda: "DEBUG" in running.read_text())
    assert "1 process, 1 running" in mplog_command("ps", running)
    out = mplog_command("level", "debug", running, "--process", "none-*")
    assert "no process that has logged has a name like 'none-*'; there are MainProcess" in out


def test_a_session_with_a_spool_of_its_own_is_found(program, tmp_path):
    """`mplog level` finds a session whose spool was given, by the log file and by the spool itself."""
    program(
        """
        import logging, subprocess, sys
        import mplog

        with mplog.setup("app.json", console=False, spool="journals") as session:
            logging.info("begin")
            session.flush()
            for target, level in (("app.json", 10), (session.spool, 40)):
                subprocess.run([sys.executable, "-m", "mplog", "level", str(level), target], check=True)
                while logging.getLogger().level != level:
                    pass
        """
    )


def test_bad_input_of_the_command(tmp_path):
    """A wrong level, file, directory or duration is one line on stderr and exit code 2."""
    assert "`level` is 'dbug', which is no level" in mplog_command("level", "dbug", ok=2)
    assert "is no file, and no session's log" in mplog_command("level", "debug", tmp_path / "no.log", ok=2)
    assert "is a directory without a session" in mplog_command("level", "debug", tmp_path, ok=2)
    (tmp_path / "old.log").write_text("")
    assert "has no running session" in mplog_command("level", "debug", tmp_path / "old.log", ok=2)
