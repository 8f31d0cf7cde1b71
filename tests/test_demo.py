"""`mplog demo`, as a newcomer meets it."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest


def demo(directory: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mplog", "demo", *args], cwd=directory, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo once for several tests."""
    directory = tmp_path_factory.mktemp("demo")
    return directory, demo(directory)


def test_every_source_of_the_library_is_counted(shown, read_log):
    """It counts lines and words of every .py file of the interpreter's standard library, and logs each file."""
    directory, out = shown
    total = int(re.search(r"words of ([\d,]+) files", out)[1].replace(",", ""))
    assert total > 500
    log = read_log(directory / "mplog-demo.json")
    files = Counter(
        re.match(r"(\S.*\.py)(:| does)", record["msg"])[1]
        for record in log
        if ".py" in record["msg"][:300] and record["process"] != "MainProcess"
    )
    assert len(files) == total
    own = [path for path in files if path == os.__file__]
    assert own
    (record,) = [record for record in log if record["msg"].startswith(f"{os.__file__}: ")]
    text = Path(os.__file__).read_text()
    assert record["msg"].endswith(f": {text.count(chr(10))} lines, {len(text.split())} words")


def test_what_does_not_decode_is_a_warning(shown, read_log):
    """Files that do not decode give a warning with the exception."""
    directory, out = shown
    warnings = [record for record in read_log(directory / "mplog-demo.json") if record["level"] == "WARNING"]
    assert f"\n{len(warnings)} files do not decode" in out
    assert {record["exc"]["type"] for record in warnings} <= {"SyntaxError", "UnicodeDecodeError"}


def test_one_worker_is_killed_and_nothing_is_missing(shown, read_log):
    """One worker is SIGKILLed on the way; the ledger says who wrote how many records, and that none is missing."""
    directory, out = shown
    rows = re.findall(r"^(\S+) +(\d+) +([\d,]+) +([\d,]+) +([\d,]+)( +killed with SIGKILL)?$", out, re.MULTILINE)
    assert rows[0][0] == "MainProcess"
    assert 1 + 2 <= len(rows) <= 1 + 4 + 1  # who gets a processor too late has nothing left to count
    (killed,) = [row[1] for row in rows if row[5]]
    assert all(row[2] == row[3] and row[4] == "0" for row in rows)
    assert "none is missing" in out
    log = read_log(directory / "mplog-demo.json")
    written = Counter(str(record["pid"]) for record in log)
    assert written == {row[1]: int(row[3].replace(",", "")) for row in rows}
    last = [record["msg"] for record in log if str(record["pid"]) == killed][-1]
    assert last.endswith("begun by the one who is going to be killed")


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_its_pool_works_under_each_start_method(start_method, tmp_path):
    """Under spawn and forkserver the same is done and proven; `--no-kill` lets every worker live."""
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from mplog.__main__ import main\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method(sys.argv[1])\n"
        "    sys.exit(main(['demo', '-j', '2', *sys.argv[2:]]))\n"
    )
    for options, deaths in (([], 1), (["--no-kill"], 0)):
        done = subprocess.run(
            [sys.executable, str(program), start_method, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.count("killed with SIGKILL") == deaths
        rows = re.findall(r"PoolWorker-\d+ .* 0\b", done.stdout)
        assert 1 + deaths <= len(rows) <= 2 + deaths  # who gets a processor too late has nothing left to count
        assert "none is missing" in done.stdout


def run_demo(*options: object, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mplog", "demo", "-j", "2", *map(str, options)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )


def test_a_log_that_is_there_already_is_appended_to(tmp_path):
    """What the log held before is no part of the proof, whatever it is called and the environment says."""
    (tmp_path / "app.log").write_text("half a line of another program")
    for variables in ({"MPLOG_MAX_BYTES": "9999"}, {"MPLOG_TRACEBACK": "1", "MPLOG_FORMAT": "text"}):
        done = run_demo("app.log", directory=tmp_path, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        assert "none is missing, none is there twice" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"]


def test_a_log_that_cannot_be_is_refused_in_one_sentence(tmp_path):
    """A wrong name is a mistake of the caller: nothing to report, and nothing was begun."""
    done = run_demo(tmp_path, directory=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mplog: `file` is '{tmp_path}', which is a directory; use a file in it, '{tmp_path}/app.log'.\n"
    )


def test_interrupting_it_ends_the_pool(tmp_path):
    """Ctrl-C in the middle of much work ends the demo and its workers without a traceback."""
    program = (
        "from mplog import __main__, demo; once = demo._sources; demo._sources = lambda library: once(library) * 50\n"
        "raise SystemExit(__main__.main(['demo', '-j', '2']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert any("kill -9" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_its_workers_never_get_ctrl_c(program):
    """One that is interrupted while it holds a lock of the pool stops the others: each begins with SIGINT held."""
    done = program("""
        import signal
        from mplog import demo

        def look(path):
            return demo.Counted(demo._me(), int(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])), 0)

        demo.count = look
        look.__module__, look.__qualname__ = "mplog.demo", "count"
        counted, killed = demo.count_all(["x"] * 90, 2, kill=True)
        assert len({found.worker for found in counted} | {killed}) > 1
        print(sum(found.lines for found in counted), look("").lines)
    """)
    assert done.out.splitlines()[-1] == "90 0"


def test_it_says_where_the_log_is_and_what_to_type_next(shown):
    """The commands it names at the end are there and like the log."""
    directory, out = shown
    assert str(directory / "mplog-demo.json") in out
    commands = re.findall(r"^  mplog (.*?) +# ", out, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "mplog", *command.split()], cwd=directory, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout, command


def test_a_terminal_shows_progress(tmp_path):
    """Progress is visible on a terminal; a log that exists is left alone."""
    (tmp_path / "mplog-demo.json").write_text("")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mplog", "demo", "-j", "2"], cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        seen = b""
        try:
            while data := os.read(master, 65536):
                seen += data
        except OSError:  # the other end is closed
            pass
        os.close(master)
        assert process.wait(60) == 0
    bars = re.findall(rb"\r  \[(#*\.*)\] ([\d,]+) of", seen)
    assert len(bars) > 2
    assert bars[-1][0].count(b"#") == len(bars[-1][0])
    assert (tmp_path / "mplog-demo.json").read_text() == ""
    assert b"/mplog-demo-2.json (" in seen
