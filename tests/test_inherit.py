"""The object that children inherit: what travels, and that it cannot do harm."""

import multiprocessing
import os
import pickle
import pickletools
import subprocess
import sys
from multiprocessing import process

import pytest

import mplog
from mplog import worker
from mplog._worker import inherit


@pytest.fixture
def session(tmp_path):
    with mplog.setup(tmp_path / "app.json", console=False) as opened:
        yield opened


def inherited():
    return process.current_process()._config.get(inherit.KEY)


def test_it_is_armed_and_disarmed(session):
    """It lies where every process object copies it from, in those that exist already, and is gone after `close`."""
    child = multiprocessing.Process(target=print)
    assert inherited() is not None
    assert child._config[inherit.KEY] is inherited()
    session.close()
    assert inherited() is None
    assert inherit.KEY not in child._config


def test_it_names_no_class_of_mplog(session):
    """A class pickled by reference would kill a child in which mplog cannot be imported."""
    names = [argument for _, argument, _ in pickletools.genops(pickle.dumps(inherited()))]
    assert not [name for name in names if isinstance(name, str) and name.startswith("mplog") and name != "mplog"]


def test_it_survives_where_mplog_cannot_be_imported(session):
    """There it is unpickled all the same, and pickles to the same again for the next generation."""
    data = pickle.dumps(inherited())
    code = (
        "import sys, pickle; sys.modules['mplog'] = None\n"
        "data = sys.stdin.buffer.read()\n"
        "again = pickle.dumps(pickle.loads(pickle.dumps(pickle.loads(data))))\n"
        "sys.stdout.buffer.write(again)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stderr == b""
    assert pickle.loads(done.stdout).handle["session"] == inherited().handle["session"]


def test_unpickled_in_the_same_process_it_does_nothing(session):
    """Only a process other than the one that pickled it attaches."""
    before = worker.current
    again = pickle.loads(pickle.dumps(inherited()))
    assert worker.current is before
    assert again.handle["pid"] == os.getpid()


def test_a_session_that_is_gone_does_no_harm(tmp_path):
    """A child whose session cannot be reached any more runs on."""
    with mplog.setup(tmp_path / "app.json", console=False):
        data = pickle.dumps(inherited())
    code = "import sys, pickle, logging; pickle.loads(sys.stdin.buffer.read()); logging.info('x'); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout == b"alive\n"
