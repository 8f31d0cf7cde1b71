"""A listener that makes no step any more: who ends it, and that one which is only stopped is waited for."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

AGAIN_AFTER = 0.5
# Started instead of the usual program: the listener hangs as soon as a file says so, and all times are half a second.
HANGS = """
    import os, time
    from mplog import listener
    from mplog._listener import supervise
    from mplog._shared import stuck

    step = listener.Listener.step

    def hang(self, **settings):
        while os.path.exists("hang"):
            time.sleep(0.01)
        return step(self, **settings)

    listener.Listener.step = hang
    supervise.SUPERVISED = float(os.environ["SUPERVISED"])
    supervise.LOOK_EVERY = 0.2
    stuck.AGAIN_AFTER = AGAIN_AFTER
"""
PROGRAM = """
    import logging, os, sys
    import mplog
    from mplog._shared import launch, stuck

    stuck.AGAIN_AFTER = AGAIN_AFTER
    launch._BOOT = launch._BOOT.replace("from mplog", "import hangs;from mplog")
    launch.ALONE, launch.LOOK_EVERY = float(os.environ["ALONE"]), 0.1
    log = logging.getLogger("app")
    session = mplog.setup("app.json", console=False, block_timeout=0.1)
    number = 0
    for line in sys.stdin:
        for number in range(number + 1, number + 101):
            log.info("record %d", number)
        if line == "pid\\n":
            assert session.flush()
            print(session.stats()["listener"]["pid"], flush=True)
        else:
            print("logged", flush=True)
    assert session.close()
"""


def timed(source):
    return textwrap.dedent(source).replace("= AGAIN_AFTER", f"= {AGAIN_AFTER}")


class Running:
    """The program, and what of its log is known."""

    def __init__(self, process, directory):
        self.process, self.directory = process, directory
        self.asked = 0

    def ask(self, line):
        self.asked += 100
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def listener(self):
        return int(self.ask("pid"))

    def hang(self, *, hangs):
        path = self.directory / "hang"
        path.touch() if hangs else path.unlink()


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start the program; at the end it closes its session, and all of its records are in the log, once."""
    started = []

    def begin(*, supervised, alone):
        (tmp_path / "hangs.py").write_text(timed(HANGS))
        (tmp_path / "program.py").write_text(timed(PROGRAM))
        process = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SUPERVISED": str(supervised), "ALONE": str(alone), "PYTHONPATH": str(tmp_path)},
        )
        started.append(Running(process, tmp_path))
        return started[-1]

    yield begin
    for running in started:
        running.process.kill()
        running.process.communicate()


def end(running, read_log):
    """Let the program end; return what it has said on stderr."""
    _, said = running.process.communicate(timeout=30)
    assert running.process.returncode == 0, said
    messages = [record["msg"] for record in read_log(running.directory / "app.json")]
    assert messages == [f"record {number}" for number in range(1, running.asked + 1)]
    return said


def status(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def parent(pid):
    return int(status(pid)[1])


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def test_the_supervisor_kills_a_stuck_listener(start, read_log, eventually):
    """A listener that makes no step for long is killed and another one goes on: nothing is lost, nothing twice."""
    running = start(supervised=0.5, alone=1000)
    listener = running.listener()
    supervisor = parent(listener)
    running.hang(hangs=True)
    assert running.ask("log") == "logged"
    assert eventually(lambda: is_gone(listener))
    running.hang(hangs=False)

    another = running.listener()
    assert another != listener
    assert parent(another) == supervisor
    assert "mplog: the listener was stuck; it is killed, and another one goes on." in end(running, read_log)


def test_without_a_supervisor_a_process_that_logs_kills_a_stuck_listener(start, read_log, eventually):
    """Who would start a listener ends the one that is stuck first, if nobody else is left to do so."""
    running = start(supervised=0.5, alone=0.5)
    listener = running.listener()
    os.kill(parent(listener), signal.SIGKILL)
    running.hang(hangs=True)
    assert eventually(lambda: running.ask("log") == "logged" and is_gone(listener), timeout=20)
    running.hang(hangs=False)

    assert running.listener() != listener
    end(running, read_log)


def test_without_a_supervisor_a_process_that_ends_kills_a_stuck_listener(start, read_log, tmp_path, eventually):
    """`close` keeps its promise though the listener is stuck and nobody logs any more."""
    running = start(supervised=0.5, alone=0.5)
    listener = running.listener()
    os.kill(parent(listener), signal.SIGKILL)
    (tmp_path / "hangs.py").write_text("")  # only the next listener does not hang
    running.hang(hangs=True)
    assert running.ask("log") == "logged"

    end(running, read_log)
    assert eventually(lambda: is_gone(listener))


@pytest.mark.parametrize("supervisor", ["lives", "is gone"])
def test_a_stopped_listener_is_waited_for(start, read_log, eventually, supervisor):
    """Stopped is not stuck: no second listener appears, and everything arrives when it goes on."""
    running = start(supervised=0.5, alone=0.5)
    listener = running.listener()
    if supervisor == "is gone":
        os.kill(parent(listener), signal.SIGKILL)
    os.kill(listener, signal.SIGSTOP)
    assert eventually(lambda: status(listener)[0] == "T")
    until = time.monotonic() + 2 * AGAIN_AFTER
    assert eventually(lambda: running.ask("log") == "logged" and time.monotonic() > until, timeout=20)
    assert status(listener)[0] == "T"

    os.kill(listener, signal.SIGCONT)
    assert running.listener() == listener
    end(running, read_log)
