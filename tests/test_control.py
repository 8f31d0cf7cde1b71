"""Levels changed at run time: what is asked for, and how one process obeys."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest

import mplog
from mplog._shared import control as _control
from mplog._shared.spool import Spool


@pytest.fixture
def spool(tmp_path):
    """A session's directory without a session's processes."""
    made = Spool(str(tmp_path / "spool"))
    made.create()
    made.write_file("session.json", b'{"id":"1","config":{}}')
    return made


@pytest.fixture
def logger():
    """A logger of this test's own."""
    found = logging.getLogger("test_control.logger")
    found.setLevel(logging.INFO)
    yield found
    found.setLevel(logging.NOTSET)


@pytest.fixture
def control(spool):
    """What obeys in this process."""
    control = _control.Control(spool)
    yield control
    control.undo()


def test_levels_are_set_and_put_back(spool, control, logger):
    """A change sets the logger's level; without it the logger has its own level again."""
    _control.change(spool, "debug", logger=logger.name)
    control.look()
    assert logger.level == logging.DEBUG
    os.unlink(spool.file("control.json"))
    control.look()
    assert logger.level == logging.INFO


def test_the_newest_holds(spool, control, logger):
    """The newest of several changes holds; when it has run out, the one before it does."""
    _control.change(spool, "WARNING", logger=logger.name)
    _control.change(spool, "DEBUG", logger=logger.name, duration=0.05)
    control.look()
    assert logger.level == logging.DEBUG
    while logger.level == logging.DEBUG:
        control.look()
    assert logger.level == logging.WARNING
    _control.change(spool, "ERROR", logger=logger.name)
    assert [found.level for found in _control.read_changes(spool)] == [logging.ERROR]


def test_a_level_the_application_sets_meanwhile_stays(spool, control, logger):
    """Going back does not undo what the application has set in the meantime."""
    _control.change(spool, "DEBUG", logger=logger.name)
    control.look()
    logger.setLevel(logging.CRITICAL)
    control.undo()
    assert logger.level == logging.CRITICAL


def test_only_processes_that_match(spool, control, logger):
    """The pattern is one of `fnmatch` for the process's name."""
    _control.change(spool, "DEBUG", logger=logger.name, process="ForkPoolWorker-*")
    control.look()
    assert logger.level == logging.INFO
    _control.change(spool, "DEBUG", logger=logger.name, process="Main*")
    control.look()
    assert logger.level == logging.DEBUG


def test_a_signal_in_the_middle_is_not_lost(spool, control, logger, monkeypatch):
    """A change announced while a process is just looking is obeyed, too."""
    look = control._look

    def interrupted():
        look()
        if logger.level == logging.INFO:
            _control.change(spool, "DEBUG", logger=logger.name)
            control.look()  # as a signal's handler does

    monkeypatch.setattr(control, "_look", interrupted)
    control.look()
    assert logger.level == logging.DEBUG


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[]", b'{"changes":[1,{"level":"x"},{}]}', b'{"changes":null}', b"\xff"]
)
def test_a_damaged_file_changes_nothing(spool, control, logger, content):
    """What makes no sense in the file is left out."""
    spool.write_file("control.json", content)
    control.look()
    assert logger.level == logging.INFO
    _control.change(spool, "DEBUG", logger=logger.name)
    control.look()
    assert logger.level == logging.DEBUG


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"level": "dbug"}, "`level` is 'dbug', which is no level; use"),
        ({"level": None}, "`level` is None"),
        ({"level": 10, "logger": 3}, "`logger` is 3; use the logger's name"),
        ({"level": 10, "process": ""}, "`process` is ''; use a pattern such as"),
        ({"level": 10, "process": 7}, "`process` is 7; use a pattern such as"),
        ({"level": 10, "duration": 0}, "`duration` is 0; use more than 0 seconds"),
        ({"level": 10, "duration": -1}, "`duration` is -1"),
        ({"level": 10, "duration": float("nan")}, "`duration` is nan"),
        ({"level": 10, "duration": "soon"}, "`duration` is 'soon'"),
        ({"level": 10, "duration": 1e12}, "`duration` is 1000000000000.0; use more than 0 seconds"),
    ],
)
def test_bad_input_raises_in_the_caller(spool, arguments, sentence):
    """A wrong level, pattern or duration raises `ConfigError` with value and remedy; nothing is changed."""
    with pytest.raises(mplog.ConfigError, match="^" + sentence.replace("(", r"\(")):
        _control.change(spool, **arguments)
    assert not os.path.exists(spool.file("control.json"))


def test_a_session_that_has_ended_says_so(tmp_path):
    """After the end of the session there is nobody to tell."""
    with mplog.setup(tmp_path / "a.log", console=False) as session:
        pass
    with pytest.raises(mplog.SessionError, match="has ended"):
        session.set_level("DEBUG")


def test_several_at_once_all_get_in(spool):
    """Changes asked for at the same moment are all kept."""
    threads = [
        threading.Thread(target=_control.change, args=(spool, 10), kwargs={"logger": f"app.{n}"}) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = json.loads(Path(spool.file("control.json")).read_bytes())
    assert {found["logger"] for found in content["changes"]} == {f"app.{n}" for n in range(8)}


def test_the_signal_is_given_back(tmp_path):
    """SIGURG has its default again when the process leaves its session."""
    with mplog.setup(tmp_path / "a.log", console=False):
        assert _control.expects_signal()
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL


def test_bound_loggers_follow(tmp_path, read_log):
    """Loggers of `get_logger` follow the level of the standard library's logger of their name."""
    with mplog.setup(tmp_path / "a.json", console=False) as session:
        log = mplog.get_logger("app.db").bind(bound=1)
        log.debug("before")
        session.set_level("DEBUG", logger="app")
        log.debug("then", n=1)
    assert [record["msg"] for record in read_log(tmp_path / "a.json")] == ["then"]


def test_file_and_console_keep_their_levels(tmp_path, program):
    """A changed level does not change what the console shows."""
    done = program(
        """
        import logging, mplog
        with mplog.setup("a.log", console="stdout", console_level="WARNING", format="%(message)s") as session:
            session.set_level("DEBUG")
            logging.debug("detail")
            logging.warning("shown")
        """
    )
    assert done.out == "shown\n"
    assert (tmp_path / "a.log").read_text() == "detail\nshown\n"
