"""What attaching does to a process, and in which order of trust."""

import logging
import os

import pytest

import mplog
from mplog import worker


@pytest.fixture
def handles(tmp_path):
    """The handles of two sessions whose records nobody reads."""
    found = []
    for name in ("a", "b"):
        with mplog.setup(tmp_path / f"{name}.json", console=False, spool=tmp_path / name) as session:
            found.append(session._handle)
    yield found
    worker.uninstall()
    for handle in found:
        handle.spool().clear()


@pytest.fixture(autouse=True)
def no_listener(monkeypatch):
    """Start none: this is about the worker alone."""
    monkeypatch.setattr("mplog._shared.launch.ensure", lambda *args, **options: True)


def attached():
    return worker.current.handle.id if worker.current else None


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_the_order_of_trust(handles, first, second):
    """Explicit handle > inherited object > at-fork state > environment; of equals the later one."""
    a, b = handles
    worker.install(a, a.config(), first)
    worker.install(b, b.config(), second)
    assert attached() == (b.id if second >= first else a.id)


def test_a_stronger_way_to_the_same_session_is_kept(handles):
    """Who came by the environment and then says it aloud is not moved by what is inherited."""
    a, b = handles
    worker.install(a, a.config(), worker.ENVIRONMENT)
    worker.install(a, a.config(), worker.EXPLICIT)
    worker.install(b, b.config(), worker.INHERITED)
    assert attached() == a.id


def test_the_journal_opens_at_the_first_record(handles):
    """An idle process costs the spool nothing."""
    a, _ = handles
    worker.install(a, a.config(), worker.EXPLICIT)
    journals = a.spool().journals
    assert not os.path.isdir(journals) or os.listdir(journals) == []
    logging.getLogger("tests.worker").info("first")
    assert len(os.listdir(journals)) == 2


def test_a_vanished_spool_is_made_again(handles):
    """A worker whose spool was removed before its first record writes all the same."""
    a, _ = handles
    worker.install(a, a.config(), worker.EXPLICIT)
    a.spool().clear()
    logging.getLogger("tests.worker").info("first")
    assert worker.current.failures == 0
    assert worker.current.journal.seq == 1


def test_what_cannot_be_written_is_counted_and_said_once(handles, monkeypatch, capsys):
    """A logging call never raises; mplog says once on stderr what went wrong."""
    a, _ = handles
    worker.install(a, a.config(), worker.EXPLICIT)

    def broken():
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(worker.current, "open", broken)
    for _ in range(5):
        logging.getLogger("tests.worker").info("lost")
    assert worker.current.failures == 5
    assert capsys.readouterr().err.count("Read-only file system") == 1


def test_levels_are_the_sessions(handles):
    """A child takes the levels of its session, and gives them back."""
    a, _ = handles
    before = logging.root.level
    config = a.config().replace(level={"": 10, "tests.quiet": 40})
    worker.install(a, config, worker.EXPLICIT)
    assert logging.root.level == 10
    assert logging.getLogger("tests.quiet").level == 40
    worker.uninstall()
    assert logging.root.level == before
    assert logging.getLogger("tests.quiet").level == 0
