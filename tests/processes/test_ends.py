"""Ways in which a program comes to its end."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

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
import logging, multiprocessing, signal, sys
import mplog

def work(ready):
    try:
        logging.info("at work")
        ready.release()
        signal.pause()
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
            signal.pause()
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
