"""What killed sessions leave behind: removed by the next listener where nothing waits in it, else kept and named."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import mplog
from mplog.__main__ import main
from mplog._listener.sweep import sweep
from mplog._shared import lock
from mplog._shared.spool import Spool

PROGRAM = """
    import logging, os, signal, sys
    import mplog

    session = mplog.setup(sys.argv[1], console=False, spool="spool")
    logging.info("first")
    session.flush()
    listener = session.stats()["listener"]["pid"]
    with open(f"/proc/{listener}/stat") as file:
        supervisor = int(file.read().rpartition(")")[2].split()[1])
    if sys.argv[2] == "unread":
        os.kill(listener, signal.SIGSTOP)
        logging.info("second")
    print(session.spool, supervisor, listener, flush=True)
    signal.pause()
"""


@pytest.fixture
def killed(tmp_path, eventually):
    """Kill a session with all of its processes; return its directory."""

    def kill(file: str, how: str) -> Path:
        (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
        with subprocess.Popen(
            [sys.executable, "program.py", file, how], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            spool, *others = process.stdout.readline().split()
            for pid in (*map(int, others), process.pid):
                os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: lock.holder(f"{spool}/listener.lock") is None)
        return Path(spool)

    return kill


def let_age(spool: Path) -> None:
    """Let a directory seem to have been left alone for an hour."""
    long_ago = time.time() - 3600
    for path in (*spool.iterdir(), spool):
        os.utime(path, (long_ago, long_ago))


def test_a_listener_removes_what_dead_sessions_have_left(killed, tmp_path, eventually, read_log, capsys, monkeypatch):
    """An idle listener removes the directories of the dead in which no record waits, and no others."""
    empty, unread = killed("empty.json", "read"), killed("unread.json", "unread")
    for spool in (empty, unread):
        let_age(spool)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setenv("MPLOG_SPOOL", str(tmp_path / "spool"))
    assert main(["recover"]) == 1
    out = capsys.readouterr().out
    assert str(unread) in out
    assert str(empty) not in out

    with mplog.setup(tmp_path / "app.json", console=False, listener="process"):
        assert eventually(lambda: not empty.exists())
        assert main(["ps"]) == 0
        assert f"records wait for `mplog recover {unread}`" in capsys.readouterr().out
    assert unread.exists()
    assert main(["recover", str(unread)]) == 0
    assert not list(tmp_path.glob("spool/*"))
    assert [record["msg"] for record in read_log(tmp_path / "unread.json")] == ["first", "second"]
    assert [record["msg"] for record in read_log(tmp_path / "empty.json")] == ["first"]


def test_a_session_that_died_just_now_is_left_alone(killed, tmp_path, eventually):
    """A directory that was used a moment ago may be needed in a moment."""
    young, old = killed("young.json", "read"), killed("old.json", "read")
    let_age(old)
    with mplog.setup(tmp_path / "app.json", console=False, spool=tmp_path / "spool", listener="process"):
        assert eventually(lambda: not old.exists())
        assert young.exists()
    assert main(["recover", str(young)]) == 0


def test_a_session_that_goes_by_itself_leaves_no_lock(killed, tmp_path, monkeypatch):
    """A dead session that another one removes in the very moment in which it is locked is not locked for ever after."""
    old = killed("old.json", "read")
    let_age(old)

    def acquire(path: str, **how: bool) -> int | None:
        if path == f"{old}.lock" and old.exists():
            shutil.rmtree(old)
            os.unlink(path)
        return real(path, **how)

    real = lock.acquire
    monkeypatch.setattr(lock, "acquire", acquire)
    sweep(Spool(str(tmp_path / "spool" / "app.json")))
    assert not list(tmp_path.glob("spool/*"))
