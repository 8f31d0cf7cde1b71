"""Capturing beside other code that uses the same streams and hooks, and after everybody died."""

import json

from mplog.__main__ import main


def test_handlers_of_the_application_go_on_writing_to_the_terminal(program, read_log, tmp_path, start_method):
    """What a `StreamHandler` writes is log already: it goes where it went, in children too, and is no output."""
    done = program(
        """
        import logging, multiprocessing, os, sys
        logging.basicConfig(format="BASIC %(message)s")
        import mplog

        def work():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("LATER %(message)s"))
            logging.getLogger().addHandler(handler)
            logging.warning("of the child")
            os.write(2, b"raw\\n")

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            with mplog.setup("app.json", capture=("stdout", "stderr", "fd"), console=False):
                logging.warning("of the parent")
                child = multiprocessing.Process(target=work)
                child.start()
                child.join()
            logging.warning("afterwards")
        """,
        start_method,
    )
    log = read_log(tmp_path / "app.json")
    assert sorted(record["msg"] for record in log) == ["of the child", "of the parent", "raw"]
    assert sorted(done.err.splitlines()) == [
        "BASIC afterwards",
        "BASIC of the child",
        "BASIC of the parent",
        "LATER of the child",
    ]


def test_a_handler_in_a_listener_thread_does_not_run_in_circles(program, read_log, tmp_path):
    """A handler object that writes to stderr, in a process whose stderr is captured, gets each record once."""
    done = program(
        """
        import logging, os, sys
        import mplog

        class Prints(logging.Handler):
            def emit(self, record):
                sys.stderr.write(f"PRINTS {record.getMessage()}\\n")

        with mplog.setup("app.json", capture=("stderr", "fd"), console=False,
                         handlers=[logging.StreamHandler(), Prints()]) as session:
            os.write(2, b"raw\\n")
            logging.warning("logged")
            session.flush()
        """
    )
    assert sorted(record["msg"] for record in read_log(tmp_path / "app.json")) == ["logged", "raw"]
    assert sorted(done.err.splitlines()) == ["PRINTS logged", "PRINTS raw", "logged", "raw"]


def test_everything_is_put_back(program):
    """After `close` streams, descriptors, hooks and faulthandler are what they were."""
    program(
        """
        import faulthandler, os, sys, threading, warnings
        from multiprocessing.process import BaseProcess
        import mplog

        def state():
            return (
                sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning,
                BaseProcess._bootstrap, faulthandler.is_enabled(), os.fstat(1).st_ino, os.fstat(2).st_ino,
                len(os.listdir("/proc/self/fd")),
            )

        everything = ("warnings", "exceptions", "stdout", "stderr", "fd", "faulthandler")
        mplog.setup("app.json", console=False).close()
        before = state()
        for _ in range(3):
            with mplog.setup("app.json", capture=everything, console=False):
                assert all(a != b for a, b in zip(before[:8], state()[:8])), state()
            assert state() == before, (before, state())
        """
    )


def test_logging_capture_warnings_stays(program, read_log, tmp_path):
    """With `logging.captureWarnings` on, a warning is one record all the same."""
    program(
        """
        import logging, warnings
        import mplog

        logging.captureWarnings(True)
        with mplog.setup("app.json", capture=("warnings",), console=False):
            warnings.warn("once")
        """
    )
    [record] = read_log(tmp_path / "app.json")
    assert record["logger"] == "py.warnings"
    assert "UserWarning: once" in record["msg"]


def test_a_program_started_by_subprocess_is_captured_too(program, read_log, tmp_path):
    """A program that attaches by the environment captures what the session captures."""
    program(
        """
        import subprocess, sys
        import mplog

        if len(sys.argv) > 1:
            mplog.attach()
            print("of the program", end="")
            raise ValueError("its end")
        with mplog.setup("app.json", capture=("stdout", "exceptions", "fd"), console=False) as session:
            subprocess.run([sys.executable, __file__, "again"], env=session.env())
        """
    )
    log = read_log(tmp_path / "app.json")
    assert sorted(record["msg"] for record in log) == ["of the program", "uncaught ValueError: the program ends"]
    assert len({record["pid"] for record in log}) == 1


def test_output_survives_the_death_of_all(program, read_log, tmp_path):
    """If process, supervisor and listener are killed at once, the next `setup` on the file writes what was said."""
    source = """
        import os, signal, sys
        import mplog

        if len(sys.argv) > 1:
            session = mplog.setup("app.json", capture=("stdout", "fd"), console=False)
            assert session.flush()
            listener = session._spool.listener_pid()
            with open(f"/proc/{listener}/stat") as file:
                supervisor = int(file.read().rpartition(")")[2].split()[1])
            for pid in (supervisor, listener):
                os.kill(pid, signal.SIGSTOP)
            os.write(1, b"raw\\nraw half")
            print("printed")
            print("begun", end="")
            for pid in (supervisor, listener, os.getpid()):
                os.kill(pid, signal.SIGKILL)
        mplog.setup("app.json", console=False).close()
    """
    assert program(source, "die", ok=False).returncode == -9
    program(source)
    msgs = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert sorted(msgs) == ["begun", "printed", "raw", "raw half"]


def test_output_does_not_disturb_the_ledger(program, read_log, tmp_path, capsys):
    """Records of descriptors have `seq` 0, so what a process numbers is still 1, 2, 3 .., and `check` knows it."""
    program(
        """
        import logging, os
        import mplog

        with mplog.setup("app.json", capture=("stdout", "fd"), console=False):
            for number in range(50):
                logging.warning("%d", number)
                os.write(1, b"raw\\n")
                print("printed")
        """
    )
    log = read_log(tmp_path / "app.json")
    assert [record["seq"] for record in log if "fd" not in record] == list(range(1, 101))
    assert {record["seq"] for record in log if "fd" in record} == {0}
    assert main(["check", str(tmp_path / "app.json"), "--strict", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["missing"], report["without_seq"], report["output"]) == (0, 0, 50)
