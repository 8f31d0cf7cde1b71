"""Unrelated programs on one file."""

import os
import subprocess
import sys
from collections import Counter

PROGRAM = """
import logging, sys
import mplog

name = sys.argv[1]
with mplog.setup("app.json", console=False) as session:
    logging.info("%s begins", name)
    session.flush()
    print(session.stats()["listener"]["pid"], flush=True)
    sys.stdin.readline()
    logging.info("%s ends", name)
"""


def start(directory, name):
    # The listener keeps the stderr of the program that started it, so this is no pipe.
    with (directory / f"{name}.err").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def test_two_programs_share_one_listener(tmp_path, read_log, eventually):
    """Two unrelated programs that call `setup` on one file share one listener, and it ends with the last of them."""
    with start(tmp_path, "first") as first, start(tmp_path, "second") as second:
        listeners = {int(program.stdout.readline()) for program in (first, second)}
        assert len(listeners) == 1
        first.communicate("\n", timeout=20)
        listener = listeners.pop()
        os.kill(listener, 0)
        second.communicate("\n", timeout=20)
        assert (first.returncode, second.returncode) == (0, 0)
    assert [(tmp_path / f"{name}.err").read_text() for name in ("first", "second")] == ["", ""]
    assert eventually(lambda: not os.path.exists(f"/proc/{listener}"), 2.0)
    messages = Counter(record["msg"] for record in read_log(tmp_path / "app.json"))
    assert messages == Counter([f"{name} {what}" for name in ("first", "second") for what in ("begins", "ends")])


def test_the_level_is_each_programs_own_and_its_childrens(tmp_path, program, read_log, start_method):
    """Level and capture are each process's own; its children take them from it."""
    with start(tmp_path, "first") as first:
        first.stdout.readline()
        done = program(
            """
            import logging, multiprocessing, sys
            import mplog

            def work():
                logging.debug("details")

            if __name__ == "__main__":
                multiprocessing.set_start_method(sys.argv[1])
                with mplog.setup("app.json", console=False, level="DEBUG"):
                    child = multiprocessing.Process(target=work)
                    child.start()
                    child.join()
            """,
            start_method,
        )
        first.communicate("\n", timeout=20)
    assert done.err == ""
    details = [record for record in read_log(tmp_path / "app.json") if record["msg"] == "details"]
    assert [(record["level"], record["process"]) for record in details] == [("DEBUG", "Process-1")]


def test_the_firsts_options_hold(tmp_path, program, read_log):
    """A different wish of the second program is one warning; its level is its own."""
    with start(tmp_path, "first") as first:
        first.stdout.readline()
        done = program(
            """
            import logging, mplog
            with mplog.setup("app.json", console=False, level="DEBUG", format="text", backup_count=3):
                logging.debug("details")
            """
        )
        first.communicate("\n", timeout=20)
    assert done.err.count("mplog:") == 1
    assert "`format`" in done.err
    assert "`backup_count`" in done.err
    assert ("DEBUG", "details") in [(record["level"], record["msg"]) for record in read_log(tmp_path / "app.json")]
