"""Everything a worker says before it dies."""

import pytest

PROGRAM = """
    import ctypes
    import logging
    import multiprocessing
    import subprocess
    import sys
    import warnings

    import structlog

    import mplog

    def work():
        print("printed")
        print("printed to stderr", file=sys.stderr)
        warnings.warn("warned")
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)
        subprocess.run(["sh", "-c", "echo from a child; echo 'and its stderr' >&2"], check=True)
        logging.getLogger("app").info("logged")
        mplog.get_logger("app").info("structured", job=7)
        print("unfinished", end="")
        ctypes.string_at(0)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        capture = ("warnings", "exceptions", "stdout", "stderr", "fd", "faulthandler")
        with mplog.setup("app.json", capture=capture, console=False):
            child = multiprocessing.Process(target=work, name="Worker-1")
            child.start()
            child.join()
            assert child.exitcode == -11, child.exitcode
"""


def test_a_worker_that_segfaults_has_said_everything(program, read_log, tmp_path, start_method):
    """A worker prints, warns, writes from C, logs and segfaults: all is in the file, the stack in its certificate."""
    done = program(PROGRAM, start_method)
    log = read_log(tmp_path / "app.json", own=True)
    said = {(record["logger"], record["msg"]) for record in log if record["process"] == "Worker-1"}
    assert said >= {
        ("stdout", "printed"),
        ("stderr", "printed to stderr"),
        ("py.warnings", "UserWarning: warned"),
        ("stdout", "from C"),
        ("stdout", "from a child"),
        ("stderr", "and its stderr"),
        ("app", "logged"),
        ("app", "structured"),
        ("stdout", "unfinished"),
    }
    assert len({record["pid"] for record in log if record["process"] == "Worker-1"}) == 1
    [certificate] = [record for record in log if record.get("event") == "died"]
    assert certificate["died_process"] == "Worker-1"
    assert certificate["signal"] == "SIGSEGV"
    assert "Fatal Python error: Segmentation fault" in certificate["faulthandler"]
    assert " in work" in certificate["faulthandler"]
    assert "Segmentation" not in done.err


@pytest.mark.parametrize("switch", ["stdout", "stderr", "warnings", "fd", "exceptions"])
def test_each_switch_is_its_own(program, read_log, tmp_path, switch):
    """Each name in `capture` takes what it names, and leaves the rest where it was."""
    done = program(
        """
        import os, sys, threading, warnings
        import mplog

        with mplog.setup("app.json", capture=(sys.argv[1],), console=False):
            print("printed", flush=True)
            print("errors", file=sys.stderr, flush=True)
            os.write(1, b"descriptor\\n")
            warnings.warn("warned")
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        print("afterwards")
        """,
        switch,
    )
    msgs = [record["msg"] for record in read_log(tmp_path / "app.json")]
    outside = done.out + done.err
    captured = {
        "stdout": ["printed"],
        "stderr": ["errors"],
        "warnings": ["UserWarning: warned"],
        "fd": ["printed", "errors", "descriptor"],
        "exceptions": ["uncaught ZeroDivisionError in thread Thread-1 (<lambda>)"],
    }
    for name, texts in captured.items():
        for text in texts:
            if name == switch or text in captured[switch]:
                assert msgs.count(text) == 1, (text, msgs)
                assert switch == "warnings" or f"{text}\n" not in outside
            elif not (switch in ("stderr", "fd") and name in ("warnings", "exceptions")):
                assert text not in msgs
    assert done.out.endswith("afterwards\n")
