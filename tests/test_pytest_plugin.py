"""The pytest plugin, tried by running pytest in a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap

import pytest

CHILDREN = """
    import logging, multiprocessing, os, signal
    import pytest

    log = logging.getLogger("app.jobs")

    def work(number):
        log.info("job %d", number)
        if number == 2:
            logging.getLogger("app.db").warning("slow")

    def fail():
        log.error("it failed")

    def die():
        log.info("last words")
        os.kill(os.getpid(), signal.SIGKILL)

    @pytest.fixture(params=["fork", "spawn", "forkserver"])
    def run(request):
        def run(target, *args, name="worker"):
            process = multiprocessing.get_context(request.param).Process(target=target, args=args, name=name)
            process.start()
            process.join()
        return run
"""


def run_pytest(tmp_path, tests, *options):
    (tmp_path / "test_it.py").write_text(textwrap.dedent(CHILDREN) + textwrap.dedent(tests))
    installed = {entry.value for entry in importlib.metadata.entry_points(group="pytest11")}
    plugin = [] if "mplog.pytest_plugin" in installed else ["-p", "mplog.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *plugin, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
    )
    outcome = re.findall(r"(\d+) (passed|failed|error)", done.stdout)
    return {word: int(number) for number, word in outcome}, done.stdout + done.stderr


def test_records_of_all_processes(tmp_path):
    """`mplog_records` has the records of all processes, filtered by process, level and logger, beside caplog,
    under fork, spawn and forkserver."""
    outcome, output = run_pytest(
        tmp_path,
        """
        def test_it(run, mplog_records, caplog):
            log.debug("begin")
            for number in (1, 2):
                run(work, number, name=f"worker-{number}")
            log.info("end")
            assert mplog_records.messages == ["begin", "job 1", "job 2", "slow", "end"]
            assert mplog_records(process="worker-*", logger="app.jobs").messages == ["job 1", "job 2"]
            assert mplog_records.process("worker-2").level("warning")[0].logger == "app.db"
            assert len(mplog_records.logger("app")) == 5
            assert [record["pid"] for record in mplog_records(msg="end")] == [os.getpid()]
            assert caplog.messages == ["begin", "end"]
            mplog_records.assert_no_errors()
            mplog_records.assert_nobody_died()
        """,
    )
    assert outcome == {"passed": 3}, output


def test_errors_and_deaths_fail_the_test(tmp_path):
    """`assert_no_errors` and `assert_nobody_died` fail, and say which record and how somebody died."""
    outcome, output = run_pytest(
        tmp_path,
        """
        def test_errors(run, mplog_records):
            run(fail)
            mplog_records.assert_nobody_died()
            mplog_records.assert_no_errors()

        def test_deaths(run, mplog_records):
            run(die)
            mplog_records(process="somebody-else").assert_nobody_died()
            assert [note["event"] for note in mplog_records.notes] == ["died"]
            assert "last words" in mplog_records.messages
            mplog_records.assert_nobody_died()
        """,
    )
    assert outcome == {"failed": 6}, output
    assert output.count("1 record of level ERROR or worse:\nE         ERROR worker[") == 3, output
    assert output.count("1 death:\nE         ERROR mplog[") == 3, output
    assert "died: SIGKILL (signal 9) after 1 record; last: last words" in output


def test_under_xdist(tmp_path):
    """Each process of pytest-xdist has its own session, and records of its own children only."""
    pytest.importorskip("xdist")
    outcome, output = run_pytest(
        tmp_path,
        """
        @pytest.mark.parametrize("number", range(4))
        def test_it(number, mplog_records):
            process = multiprocessing.get_context("spawn").Process(target=work, args=(10 + number,))
            process.start()
            process.join()
            assert mplog_records.messages == [f"job {10 + number}"]
            mplog_records.assert_nobody_died()
        """,
        "-n",
        "2",
    )
    assert outcome == {"passed": 4}, output


def test_nothing_without_the_fixture(tmp_path):
    """No session, no handler and no import of the rest of mplog, unless a test asks for the fixture."""
    outcome, output = run_pytest(
        tmp_path,
        """
        import sys

        def test_without():
            assert not any(type(handler).__module__.startswith("mplog") for handler in logging.root.handlers)
            assert "mplog.session" not in sys.modules
            assert "mplog.worker" not in sys.modules

        def test_root_is_as_before(request):
            before = list(logging.root.handlers), logging.root.level
            records = request.getfixturevalue("mplog_records")
            log.info("x")
            assert logging.root.handlers[: len(before[0])] == before[0]
            assert len(records) == 1

        def test_afterwards():
            assert not any(type(handler).__module__.startswith("mplog") for handler in logging.root.handlers)
            assert logging.root.level == logging.WARNING
        """,
    )
    assert outcome == {"passed": 3}, output


def test_a_session_of_the_test_is_used(tmp_path):
    """Where the process has a session on a JSON file already, its records from now on are those."""
    outcome, output = run_pytest(
        tmp_path,
        """
        import mplog

        @pytest.fixture
        def session(tmp_path):
            with mplog.setup(tmp_path / "app.jsonl", console=False, listener="process") as session:
                log.info("before")
                yield session

        def test_it(session, mplog_records):
            log.info("now")
            assert mplog_records.messages == ["now"]
        """,
    )
    assert outcome == {"passed": 1}, output


def test_level_from_the_configuration(tmp_path):
    """`mplog_level` in pytest's configuration is the level of what the fixture sees."""
    outcome, output = run_pytest(
        tmp_path,
        """
        def test_it(mplog_records):
            log.info("x")
            log.warning("y")
            assert mplog_records.messages == ["y"]
            log.error("z")
            with pytest.raises(AssertionError, match="1 record of level ERROR"):
                mplog_records.assert_no_errors()
        """,
        "-o",
        "mplog_level=WARNING",
    )
    assert outcome == {"passed": 1}, output
