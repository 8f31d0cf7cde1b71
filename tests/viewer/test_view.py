"""`mplog view` as a whole: ways through a file, terminal and pager, pipes, standard input."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from viewer_command import GOLDEN, environment, mplog

SHOP = GOLDEN / "shop.json"
COMMAND = [sys.executable, "-m", "mplog", "view"]
LEVELS = ["DEBUG", "INFO", "INFO", "INFO", "WARNING", "ERROR"]


def records(count: int, seed: int = 1) -> list[bytes]:
    """Return lines of a log, one every 10 ms, of five processes."""
    chance = random.Random(seed)
    lines = []
    for number in range(1, count + 1):
        level = chance.choice(LEVELS)
        text = "x" * chance.randrange(300)
        stamp = f"2026-11-22T{number // 360000:02d}:{number // 6000 % 60:02d}:{number // 100 % 60:02d}"
        lines.append(
            f'{{"time":"{stamp}.{number % 100:02d}0000Z","level":"{level}","msg":"m{number} {text}",'
            f'"logger":"app","process":"Worker-{chance.randrange(5)}","pid":7,"thread":"T","file":"/a.py",'
            f'"line":1,"func":"f","seq":{number}}}\n'.encode()
        )
    return lines


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some 20 MB: more than one block however it is read, and large enough for all cores."""
    path = tmp_path_factory.mktemp("view") / "app.json"
    path.write_bytes(b"".join(records(66_000)))
    return path


@pytest.fixture(scope="module")
def text_log(log: Path) -> Path:
    """The same in mplog's text layout, with tracebacks."""
    path = log.with_name("app.log")
    with path.open("w") as file:
        for line in log.read_bytes().splitlines():
            record = json.loads(line)
            head = f"{record['time'][:10]} {record['time'][11:23]} {record['level']:<8} {record['process']}[7] app: "
            file.write(f"{head}{record['msg']} seq_={record['seq']}\n")
            if record["seq"] % 50 == 0:
                file.write('    Traceback (most recent call last):\n      File "/a.py", line 3, in f\n        g()\n')
                file.write(f"    ValueError: no such {record['seq']}\n")
    return path


def shown(*args: str | Path, env: dict[str, str] | None = None) -> list[int]:
    """Return the numbers of the records that a call shows."""
    result = mplog("view", *args, "--template", "{seq}", env=env)
    return [int(number) for number in result.out.split()]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--color", "always"],
        ["-l", "error"],
        ["-l", "error", "-S", "2026-11-22T00:02:00Z"],
        ["-o", "jsonl", "-p", "Worker-3"],
        ["-o", "csv"],
    ],
    ids=" ".join,
)
def test_all_cores_show_the_same_bytes(log: Path, args: list[str]) -> None:
    """Large files: newline-aligned blocks on all cores, order kept."""
    one = mplog("view", log, *args, env={"MPLOG_JOBS": "1"})
    three = mplog("view", log, *args, env={"MPLOG_JOBS": "3"})
    assert three.out == one.out
    assert len(one.out) > 100_000
    assert (one.code, one.err) == (three.code, three.err) == (0, "")


@pytest.mark.parametrize(
    "args",
    [[], ["-l", "error"], ["-g", "no such"], ["-l", "error", "-r"], ["-l", "error", "-n", "500"], ["-o", "jsonl"]],
    ids=" ".join,
)
def test_text_on_all_cores_and_by_bytes(text_log: Path, args: list[str]) -> None:
    """mplog's text layout too: the same bytes as when every line is parsed in one process."""
    one = mplog("view", text_log, *args, "--errors", "count", env={"MPLOG_JOBS": "1"})
    three = mplog("view", text_log, *args, env={"MPLOG_JOBS": "3"})
    single = mplog("view", text_log, *args, env={"MPLOG_JOBS": "1"})
    assert three.out == single.out == one.out
    assert len(one.out) > 50_000
    assert (one.code, one.err) == (three.code, three.err) == (0, "")


def test_all_cores_count_damage_and_days(tmp_path: Path) -> None:
    """The days' lines and the damaged ones are right where blocks meet."""
    path = tmp_path / "app.json"
    lines = records(60_000)
    for number in range(0, 60_000, 997):
        lines[number] = b"garbage\n" if number % 2 else lines[number][:60] + b"\n"
    path.write_bytes(b"".join(lines) + b"".join(lines[:100]).replace(b"2026-11-22T", b"2026-11-23T"))
    one = mplog("view", path, env={"MPLOG_JOBS": "1"})
    four = mplog("view", path, env={"MPLOG_JOBS": "4"})
    assert four == one
    assert one.out.count("── 2026-11-2") == 2
    assert "damaged lines, the first at byte 0 of" in one.err


def test_since_and_until_bisect(log: Path) -> None:
    """Time is a sorted key: bisection finds what looking at every record finds."""
    expected = [number for number in range(1, 66_001) if 120 <= number / 100 <= 125.5]
    assert shown(log, "-S", "2026-11-22T00:02:00Z", "-U", "2026-11-22T00:02:05.5Z") == expected
    assert shown(log, "-S", "2026-11-22T00:11:00Z") == [66_000]
    assert shown(log, "-S", "2026-11-23") == []
    assert shown(log, "-U", "2026-11-22T00:00:00.025Z") == [1, 2]


def test_the_last_ones_are_read_from_the_end(log: Path) -> None:
    """-n N: filter first, then the last N; -r newest first; -m stops."""
    errors = shown(log, "-l", "error")
    assert shown(log, "-n", "5000") == list(range(61_001, 66_001))
    assert shown(log, "-l", "error", "-n", "3000") == errors[-3000:]
    assert shown(log, "-l", "error", "-r") == errors[::-1]
    assert shown(log, "-l", "error", "-r", "-n", "7") == errors[:-8:-1]
    assert shown(log, "-m", "7") == list(range(1, 8))
    assert shown(log, "-n", "0") == []


def test_compressed_files_give_the_same(log: Path, tmp_path: Path) -> None:
    """Sources: .gz; forward, from the end, newest first."""
    import gzip

    path = tmp_path / "app.json.gz"
    path.write_bytes(gzip.compress(log.read_bytes()[: 4 << 20], 1))
    for args in (["-l", "error"], ["-n", "100"], ["-r", "-n", "50"], ["-S", "2026-11-22T00:01:00Z"]):
        result = mplog("view", path, *args, "-o", "short", "--errors", "skip")
        plain = tmp_path / "app.json"
        plain.write_bytes(log.read_bytes()[: 4 << 20])
        assert result.out == mplog("view", plain, *args, "-o", "short", "--errors", "skip").out


def test_memory_is_bounded(log: Path) -> None:
    """Memory <= 60 MB whatever the file."""
    program = (
        "import re, sys; from mplog.__main__ import main; code = main(sys.argv[1:]); "
        "print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) // 1024, file=sys.stderr); "
        "sys.exit(code)"
    )
    for args in ([], ["-C", "2", "-l", "error"], ["-n", "20"], ["-r"]):
        done = subprocess.run(
            [sys.executable, "-c", program, "view", log, *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(MPLOG_JOBS="1"), check=True, timeout=60,
        )  # fmt: skip
        assert int(done.stderr) <= 60, args


def in_terminal(*args: str | Path, env: dict[str, str] | None = None) -> bytes:
    """Run `mplog view` on a terminal of its own and return what appears there."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update({**environment(), "TERM": "xterm", **(env or {})})
        os.execv(sys.executable, [*COMMAND, *map(str, args)])
    out = b""
    try:
        while chunk := os.read(master, 1 << 16):
            out += chunk
    except OSError:
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return out.replace(b"\r\n", b"\n")


def test_colours_on_a_terminal_and_not_in_a_pipe() -> None:
    """Colour: option > NO_COLOR (non-empty) > FORCE_COLOR > TERM=dumb > isatty."""
    coloured = mplog("view", SHOP, "--color", "always").out.encode()
    plain = mplog("view", SHOP).out.encode()
    assert b"\x1b[" not in plain
    assert in_terminal(SHOP, "-P") == coloured
    assert in_terminal(SHOP, "-P", env={"NO_COLOR": "1"}) == plain
    assert in_terminal(SHOP, "-P", env={"NO_COLOR": "1", "FORCE_COLOR": "1"}) == plain
    assert in_terminal(SHOP, "-P", env={"NO_COLOR": ""}) == coloured
    assert in_terminal(SHOP, "-P", env={"TERM": "dumb"}) == plain
    assert in_terminal(SHOP, "-P", "--color", "always", env={"NO_COLOR": "1"}) == coloured
    assert mplog("view", SHOP, env={"FORCE_COLOR": "1"}).out.encode() == coloured


def test_a_pager_on_a_terminal(tmp_path: Path) -> None:
    """A pager shows it, unless -P, a pipe, or a file; MPLOG_PAGER before PAGER."""
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho paged by $1\ncat\n")
    pager.chmod(0o755)
    env = {"MPLOG_PAGER": f"{pager} ours", "PAGER": f"{pager} theirs"}
    assert in_terminal(SHOP, env=env).startswith(b"paged by ours\n\x1b[2m")
    assert in_terminal(SHOP, env={"PAGER": f"{pager} theirs"}).startswith(b"paged by theirs\n")
    assert b"paged" not in in_terminal(SHOP, "-P", env=env)
    assert b"paged" not in in_terminal(SHOP, env={"MPLOG_PAGER": "", "PAGER": f"{pager} theirs"})
    assert b"paged" not in in_terminal(SHOP, "-o", "jsonl", env=env)
    assert "paged" not in mplog("view", SHOP, env=env).out
    quits = tmp_path / "quits"
    quits.write_text("#!/bin/sh\nexit 0\n")
    quits.chmod(0o755)
    assert in_terminal(SHOP, env={"MPLOG_PAGER": str(quits)}) == b""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_closed_pipe_is_quiet(log: Path, jobs: str) -> None:
    """Closed pipe is quiet."""
    process = subprocess.Popen(
        [*COMMAND, log], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(MPLOG_JOBS=jobs)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_standard_input_is_shown_as_it_arrives() -> None:
    """stdin: shown as it comes; Ctrl-C on a pipe shows what is still in it."""
    process = subprocess.Popen(
        [*COMMAND, "--template", "{seq}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    lines = records(3)
    process.stdin.write(lines[0])
    process.stdin.flush()
    assert process.stdout.readline() == b"1\n"
    process.send_signal(signal.SIGINT)
    process.stdin.write(lines[1])
    process.stdin.flush()
    assert process.stdout.readline() == b"2\n"
    process.stdin.write(lines[2])
    process.stdin.close()
    assert process.stdout.read() == b"3\n"
    assert process.stderr.read() == b""
    assert process.wait(20) == 0
    process.stdout.close()
    process.stderr.close()


def test_tail_of_a_pipe_is_what_arrives() -> None:
    """`mplog tail` without a file shows standard input."""
    assert mplog("tail", "-o", "short", stdin=SHOP.read_bytes()).out == mplog("view", SHOP, "-o", "short").out


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    """Sources: a FIFO, opened once."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = subprocess.Popen(["sh", "-c", f"cat {SHOP} > {path}"])
    assert mplog("view", path, "-o", "jsonl").out == mplog("view", SHOP, "-o", "jsonl").out
    assert writer.wait(20) == 0


def test_a_second_interrupt_ends_it() -> None:
    """The second Ctrl-C ends it, without a traceback."""
    process = subprocess.Popen(
        [*COMMAND, "--template", "{seq}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    for number, text in enumerate(records(2), 1):
        process.stdin.write(text)
        process.stdin.flush()
        assert process.stdout.readline() == f"{number}\n".encode()
        process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read() == b""
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_a_line_of_10_mb_does_not_stall(tmp_path: Path) -> None:
    """A line of 10 MB does not stall."""
    path = tmp_path / "app.json"
    lines = records(3)
    lines[1] = lines[1].replace(b'"msg":"', b'"msg":"' + b"y" * 10_000_000)
    path.write_bytes(b"".join(lines))
    begin = time.monotonic()
    result = mplog("view", path)
    whole = mplog("view", path, "-o", "raw")
    assert time.monotonic() - begin < 15
    assert result.out.count("\n") == 4
    assert result.out.count("y" * 60_000) == 2
    assert whole.out.encode() == path.read_bytes()


def test_raw_is_what_the_file_holds_and_jsonl_what_it_means() -> None:
    """-o raw|json|jsonl: the values of the file, control characters as JSON escapes."""
    expected = [json.loads(line) for line in SHOP.read_bytes().splitlines()]
    for output in ("raw", "jsonl"):
        result = mplog("view", SHOP, "-o", output)
        assert [json.loads(line) for line in result.out.splitlines()] == expected
        assert result.out.isprintable() or set(result.out) - set("\n") <= {c for c in result.out if c.isprintable()}
    document = json.loads(mplog("view", SHOP, "-o", "json").out)
    assert [record["seq"] for record in document] == [record["seq"] for record in expected]
    assert json.loads(mplog("view", SHOP, "-o", "json", "-g", "nowhere").out) == []


def test_csv_is_read_by_csv() -> None:
    """-o csv: the module csv reads it."""
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(mplog("view", SHOP, "-o", "csv").out)))
    assert len(rows) == 16
    assert json.loads(rows[7]["fields"])["items"] == ["pen", "ink"]
    assert rows[8]["exc"].endswith("app.db.StockError: no stock for order 1002")


def test_the_file_that_mplog_file_names() -> None:
    """Without a file: the one that MPLOG_FILE names."""
    assert mplog("view", "-n", "1", "-o", "short", env={"MPLOG_FILE": str(SHOP)}).out.startswith("11:00:00 C Main")


def test_a_zone_west_of_greenwich() -> None:
    """--tz takes an offset with a minus sign, too, joined or not."""
    for zone in (["--tz", "-03:30"], ["--tz=-03:30"]):
        assert mplog("view", SHOP, *zone, "-n", "1", "--template", "{clock}").out == "07:30:00.250\n"


def test_written_to_a_file(tmp_path: Path) -> None:
    """--out FILE, private."""
    path = tmp_path / "out.txt"
    result = mplog("view", SHOP, "-o", "short", "--out", path)
    assert (result.code, result.out) == (0, "")
    assert path.read_text() == mplog("view", SHOP, "-o", "short").out
    assert path.stat().st_mode & 0o777 == 0o600
