"""`mplog recover`: what a dead session left gets into its log, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
    import logging
    import os
    import signal

    import mplog
    from mplog._shared import launch

    session = mplog.setup("app.json", console=False, spool="spool")
    for number in range(500):
        logging.info("record %d", number)
    pid = session.stats()["listener"]["pid"]
    launch.launch = lambda spool: True  # Else the next record would have a new listener started.
    parent = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    for number in range(500, 1000):
        logging.info("record %d", number)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def recover(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mplog", "recover", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def numbers(path: Path) -> list[int]:
    return [
        int(record["msg"].split()[1])
        for record in map(json.loads, path.read_text().splitlines())
        if record["logger"] == "root"
    ]


@pytest.fixture
def dead(program, tmp_path):
    """A session whose listener, supervisor and only process were killed."""
    os.mkdir(tmp_path / "spool", 0o700)
    program(PROGRAM, ok=False)
    return next(path for path in (tmp_path / "spool").iterdir() if path.is_dir())


@pytest.mark.skipif("sys.platform != 'linux'")
def test_by_the_spool(dead, tmp_path):
    """Everything is in the log, each record once, and the session's directory is gone."""
    done = recover(dead)
    assert done.returncode == 0, done.stderr
    assert "records written; the session's directory is removed" in done.stdout
    assert numbers(tmp_path / "app.json") == list(range(1000))
    assert not dead.exists()
    again = recover(tmp_path / "app.json")
    assert again.returncode == 0
    assert "no journals wait for it" in again.stdout


@pytest.mark.skipif("sys.platform != 'linux'")
def test_into_another_file(dead, tmp_path):
    """A spool without session.json needs to be told where to."""
    (dead / "session.json").unlink()
    assert recover(dead).returncode == 2
    assert "--into" in recover(dead).stderr
    done = recover("--into", tmp_path / "saved.json", "--json", dead)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["state"] == "recovered"
    assert sorted({*numbers(tmp_path / "saved.json"), *numbers(tmp_path / "app.json")}) == list(range(1000))


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_next_setup_does_the_same(dead, program, read_log, tmp_path):
    """Who logs to the same file again finds everything there, in front of his own records."""
    program(
        """
        import logging, mplog
        with mplog.setup("app.json", console=False, spool="spool"):
            logging.info("record 1000")
        """
    )
    assert numbers(tmp_path / "app.json") == list(range(1001))


def test_a_live_listener_is_left_alone(program, tmp_path):
    """There is nothing to recover while somebody listens."""
    done = program(
        """
        import logging, subprocess, sys, mplog
        with mplog.setup("app.json", console=False) as session:
            logging.info("x")
            session.flush()  # the listener is there now
            subprocess.run([sys.executable, "-m", "mplog", "recover", "app.json"], check=True)
        """
    )
    assert "its listener lives" in done.out


def test_what_there_is_not(tmp_path):
    """No such file, and a directory that is no spool, are said in a sentence."""
    assert recover(tmp_path / "none.log").returncode == 2
    assert recover(tmp_path).returncode == 2
