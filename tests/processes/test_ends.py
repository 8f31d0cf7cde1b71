"""Ways in which a program comes to its end."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import mplog
from mplog._shared import lock
from mplog._shared.sessions import owners
from mplog._shared.spool import Spool

FORKED = """
    import logging
    import os
    import sys

    import mplog

    with mplog.setup("app.json", console=False):
        pid = os.fork()
        if pid == 0:
            logging.info("child")
            sys.exit(0)  # leaves the block, and runs what a program runs at its end
        os.waitpid(pid, 0)
        logging.info("parent")
"""

ENDS = {
    "return": "",
    "exception": "raise RuntimeError('broken')",
    "sys.exit": "sys.exit(3)",
    "thread": "threading.Thread(target=lambda: (ready.wait(0.2), logging.info('last'))).start()",
    "atexit": "import atexit; atexit.register(logging.getLogger('app').info, 'last')",
    "atexit, of root": "import atexit; atexit.register(logging.info, 'last')",
    "atexit, of structlog": "import atexit; atexit.register(mplog.get_logger('app').info, 'last')",
}

INTERRUPTED = """
import logging, multiprocessing, sys, time
import mplog

def idle():
    while True:  # `signal.pause` would sleep for ever if the signal came just before it
        time.sleep(0.05)

def work(ready):
    try:
        logging.info("at work")
        ready.release()
        idle()
    finally:
        logging.info("interrupted")

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    ready = multiprocessing.Semaphore(0)
    with mplog.setup("app.json", console=False):
        children = [multiprocessing.Process(target=work, args=(ready,)) for _ in range(2)]
        try:
            for child in children:
                child.start()
            for child in children:
                ready.acquire()
            print("ready", flush=True)
            idle()
        finally:
            for child in children:
                child.join()
            logging.info("the end")
"""


def test_a_forked_child_does_not_end_its_parents_session(program, read_log, tmp_path):
    """In a forked child `close` only detaches the child."""
    program(FORKED)
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["child", "parent"]


@pytest.mark.parametrize("end", ENDS)
def test_without_close_nothing_is_missing(program, read_log, tmp_path, end):
    """Interpreter exit drains everything: after a return, an exception, `sys.exit`, from threads and atexit."""
    head = """
        import logging, sys, threading
        import mplog

        ready = threading.Event()
        mplog.setup("app.json", console=False)
        logging.info("first")
    """
    done = program(textwrap.dedent(head) + ENDS[end] + "\n", ok=False)
    assert "ignored in" not in done.err
    messages = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert messages == (["first", "last"] if "last" in ENDS[end] else ["first"])


def test_ctrl_c_goes_to_everybody_but_the_listener(tmp_path, read_log, start_method):
    """Ctrl-C goes to the whole group: the listener ends when the last process has."""
    (tmp_path / "program.py").write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, "program.py", start_method],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) != 0
    messages = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert messages == ["at work"] * 2 + ["interrupted"] * 2 + ["the end"]


FULL = """
    import logging, sys, time
    import mplog

    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))

    limit()
    session = mplog.setup("app.json", console=False, listener="thread", spool=sys.argv[1])
    for number in range(1000):
        logging.info("record %d", number)
    print("logged", flush=True)
    session.close(20.0)
"""


def test_setup_does_not_wait_for_a_session_that_ends_on_a_full_disk(tmp_path, read_log, eventually):
    """`setup` returns at once though an earlier session of the file cannot end yet, and its records are not lost."""
    (tmp_path / "program.py").write_text(textwrap.dedent(FULL))
    with subprocess.Popen(
        [sys.executable, "program.py", str(tmp_path / "spool")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout.readline() == "logged\n"
        (spool,) = (tmp_path / "spool").glob("app.json-*[0-9a-f]")
        assert eventually(lambda: not list(owners(Spool(str(spool)))))
        eventually(lambda: lock.holder(f"{spool}.lock"), timeout=1.0)  # it holds it for an instant, if at all
        began = time.monotonic()
        session = mplog.setup(tmp_path / "app.json", console=False, spool=tmp_path / "spool")
        waited = time.monotonic() - began
        process.kill()
    assert waited < 2.0
    assert session.close()
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == [f"record {n}" for n in range(1000)]


STALLED = """
import logging, sys
import mplog

with mplog.setup("app.json", console="stdout", listener=sys.argv[1]) as session:
    for number in range(3000):
        logging.info("%d %s", number, "x" * 100)
print("closed", session.close(), file=sys.stderr)
"""


@pytest.mark.parametrize("listener", ["process", "thread"])
def test_a_console_that_stands_still_at_the_end_is_said_in_the_log(tmp_path, read_log, eventually, listener):
    """`python app.py | less`: the file has everything, the session ends, the log says what the console has not got."""
    (tmp_path / "program.py").write_text(STALLED)
    command = [sys.executable, "program.py", listener]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr.readline() == b"closed True\n"
        assert eventually(lambda: b'"event":"handler_left"' in (tmp_path / "app.json").read_bytes())
        process.stdout.close()
    said = [record for record in read_log(tmp_path / "app.json", own=True) if record["logger"] == "mplog"]
    assert len(read_log(tmp_path / "app.json")) == 3000
    assert [record["event"] for record in said] == ["handler_left"]
    assert re.fullmatch(r"handler console did not take all of the last \d{4} records in time", said[0]["msg"])


REMOVED = """
import logging, os, shutil, sys
import mplog

session = mplog.setup("app.json", console=False, spool="spool", listener=sys.argv[1])
logging.info("here")
session.flush()
shutil.rmtree("spool")
if sys.argv[2] == "close":
    session.close()
os._exit(0)
"""


@pytest.mark.parametrize("how", ["close", "exit"])
@pytest.mark.parametrize("listener", ["process", "thread"])
def test_a_session_ends_though_its_spool_was_removed_with_all_around_it(program, read_log, tmp_path, listener, how):
    """A listener does not outlive its processes where no lock can be taken any more; `close` raises nothing."""
    assert program(REMOVED, listener, how).err == ""
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["here"]
