"""Lines of many megabytes: both their ends are shown, and no process ever holds one whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from viewer_command import environment, mplog

from mplog.viewer import longlines
from mplog.viewer.longlines import END, Lines, left_out, shortened
from mplog.viewer.parsing import Parser
from mplog.viewer.walk import blocks_back

LIMIT = 60_000_000
NOTE = "bytes left out"


def record(number: int, level: str = "INFO", msg: str = "hello", **fields: object) -> bytes:
    data = {
        "time": f"2026-11-22T11:{number // 60 % 60:02d}:{number % 60:02d}.000000Z", "level": level, "msg": msg,
        "logger": "app", "process": f"P-{number % 3}", "pid": 100 + number % 3, "thread": "MainThread",
        "file": "/srv/app.py", "line": 3, "func": "work", "seq": number // 3 + 1, **fields,
    }  # fmt: skip
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def write_log(path: Path, size: int, letter: str = "x") -> Path:
    """Write 300 records, the 150th of which is the one of many bytes; it is an error, like each 50th."""
    with path.open("wb") as stream:
        for number in range(300):
            level = "ERROR" if number % 50 == 0 else "INFO"
            stream.write(record(number, level, letter * (size // len(letter.encode())) if number == 150 else "hello"))
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = write_log(tmp_path_factory.mktemp("long") / "app.json", 100_000_000)
    yield path
    path.unlink()


class Ran(NamedTuple):
    code: int
    peak: int


# The peak of a process counts from before its exec: whoever starts it must be small, as pytest is not.
MEASURE = """
import os, sys
pid = os.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, "-m", "mplog", *sys.argv[1:]])
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024), file=sys.stderr)
"""


def run(*args: str | Path, stdin: Path | None = None) -> Ran:
    """Run `mplog` alone and return its exit code and the most memory it had."""
    with open(stdin or os.devnull, "rb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, args)], stdin=stream, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment(MPLOG_JOBS="1"), timeout=60, check=True,
        )  # fmt: skip
    return Ran(*map(int, done.stderr.split()[-2:]))


COMMANDS = {
    "view": ["view"], "level": ["view", "-l", "error"], "grep": ["view", "-g", "hello"], "last": ["view", "-n", "20"],
    "last past it": ["view", "-n", "200"], "reverse": ["view", "-r"], "since": ["view", "-S", "2026-11-22T11:02:00Z"],
    "context": ["view", "-l", "error", "-C", "2"], "jsonl": ["view", "-o", "jsonl"], "raw": ["view", "-o", "raw"],
    "html": ["view", "-o", "html"], "fields": ["view", "--fields"], "values": ["view", "--values", "msg"],
    "stats": ["stats"], "check": ["check"], "errors": ["errors"], "ps": ["ps"],
}  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_memory_stays_small_with_a_line_of_100_mb(words: list[str], log: Path) -> None:
    """Memory <= 60 MB whatever the file: also where one line has 100 MB."""
    code, peak = run(words[0], log, *words[1:])
    assert code == (1 if words == ["errors"] else 0)
    assert peak < LIMIT


def test_memory_stays_small_with_a_long_line_from_a_pipe(log: Path) -> None:
    """Memory <= 60 MB whatever the file: also standard input."""
    assert run("view", "-", stdin=log).peak < LIMIT
    assert run("stats", "-", stdin=log).peak < LIMIT


def test_memory_stays_small_with_many_long_lines(tmp_path: Path) -> None:
    """Memory <= 60 MB whatever the file: also where every line is nearly too long."""
    path = tmp_path / "app.json"
    with path.open("wb") as stream:
        for number in range(60):
            stream.write(record(number, msg="z" * 1_900_000))
    for words in (["view"], ["view", "-l", "error"], ["view", "-r"], ["stats"], ["check"]):
        assert run(words[0], path, *words[1:]).peak < LIMIT, words


def test_a_long_record_is_still_one(log: Path) -> None:
    """Of a longer line both ends are read: level, process and seq of such a record count as ever."""
    result = mplog("view", log, "-l", "error", "-o", "jsonl")
    shown = [json.loads(line) for line in result.out.splitlines()]
    assert [one["seq"] for one in shown] == [number // 3 + 1 for number in range(0, 300, 50)]
    assert f"… [{100_000_000 - 2 * END + 100:,}"[:8] in shown[3]["msg"]
    assert NOTE in shown[3]["msg"]
    assert result.err == f"mplog: 1 line of more than 16 MiB shown without its middle at byte {where(log):,} of {log}\n"
    assert json.loads(mplog("stats", log, "--json").out)["levels"] == {"ERROR": 6, "INFO": 294}
    assert json.loads(mplog("stats", log, "--json").out)["bytes"] == log.stat().st_size
    assert json.loads(mplog("check", log, "--json").out)["complete"]


def where(log: Path) -> int:
    with log.open("rb") as stream:
        return sum(len(stream.readline()) for _ in range(150))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_way_through_the_file_shows_the_same(jobs: str, log: Path) -> None:
    """Forward, backward, from a pipe, by one process or two: a long line looks the same."""
    env = {"MPLOG_JOBS": jobs}
    forward = mplog("view", log, "-o", "short", env=env)
    assert forward.out.count("\n") == 300
    assert mplog("view", log, "-o", "short", "-n", "300", env=env) == forward
    lines = forward.out.splitlines()
    assert mplog("view", log, "-o", "short", "-r", env=env).out.splitlines() == lines[::-1]
    assert mplog("view", log, "-o", "short", "-S", "2026-11-22T11:02:00Z", env=env).out.splitlines() == lines[120:]
    with log.open("rb") as stream:
        piped = os.pread(stream.fileno(), log.stat().st_size, 0)
    assert mplog("view", "-", "-o", "short", stdin=piped, env=env).out == forward.out


def test_what_is_no_string_is_damaged(tmp_path: Path) -> None:
    """A long line whose middle is more than one text cannot be mended: it is shown as damaged, with its size."""
    path = tmp_path / "app.json"
    path.write_bytes(record(1) + record(2, items=[1] * 3_000_000) + record(3))
    result = mplog("view", path)
    assert result.out.count("hello") == 3
    assert f"damaged at byte {len(record(1)):,}: " in result.out
    assert f"({len(record(2, items=[1] * 3_000_000)) - 1:,} bytes)" in result.out
    assert "1 damaged line" in result.err


texts = st.text(st.sampled_from('ab"\\\n\x01é😀\ud800'), max_size=40).map(lambda text: text * 9)


@given(texts, texts, texts, st.booleans())
def test_a_text_without_its_middle_is_json_again(before: str, inside: str, after: str, ascii_only: bool) -> None:
    """Neither a character nor an escape is cut in two: what was one JSON object stays one, its other members whole."""
    end, slack = longlines.END, 200
    try:
        longlines.END = 60
        text = json.dumps({"a": before[:20], "msg": inside + after, "z": after[:20]}, ensure_ascii=ascii_only)
        line = text.encode("utf-8", "surrogatepass")
        head = json.dumps({"a": before[:20], "msg": ""}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        tail = json.dumps(after[:20], ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        if len(line) < 400 or len(head) > 45 or len(tail) > 45:
            return
        short = shortened(line[: 60 + slack], line[-60 - slack :], len(line))
    finally:
        longlines.END = end
    found = json.loads(short.decode("utf-8", "surrogatepass"))
    assert (found["a"], found["z"]) == (before[:20], after[:20])
    assert NOTE in found["msg"]
    assert len(short) < len(line)


@given(st.binary(max_size=300).map(lambda data: data.replace(b"x", b"\n")), st.lists(st.integers(1, 40)))
def test_lines_are_cut_as_split_does(data: bytes, sizes: list[int]) -> None:
    """However a stream comes in pieces, its lines and their offsets are those of the whole; only long ones are cut."""
    lines, at, found = Lines(7, longest=50), 0, []
    for size in [*sizes, 10_000]:
        if at < len(data):
            found += lines.feed(data[at : at + size])
            at += size
    found += lines.rest()
    expected = [
        (7 + sum(len(one) + 1 for one in data.split(b"\n")[:i]), one) for i, one in enumerate(data.split(b"\n"))
    ]
    if not expected[-1][1]:
        expected.pop()
    got = []
    for begin, block in found:
        for one in block.removesuffix(b"\n").split(b"\n"):
            got.append((begin, one))
            begin += len(one) + 1
    assert [begin for begin, _ in got] == [begin for begin, _ in expected]
    assert all(short == whole or len(whole) > 49 for (_, short), (_, whole) in zip(got, expected, strict=True))
    assert lines.offset == 7 + len(data)


def test_the_note_is_known_again() -> None:
    """How much is left out can be read from what is left."""
    short = shortened(b"a" * (END + 64), b"b" * (END + 64), 10_000_000)
    assert len(short) + left_out(short) == 10_000_000
    assert left_out(b"a" * 10_000_000) == 0
    assert left_out(short[END - 10 :]) == 0


@pytest.mark.parametrize("size", [3_000_000, 2_000_000, 100])
def test_backward_in_blocks(size: int, tmp_path: Path) -> None:
    """From the end to the beginning every record is met once, whatever the size of its neighbours."""
    lines = [record(1), b"x" * size + b"\n", record(2), b"  indented\n" * 3, record(3, msg="y" * size), b"z" * size]
    path = tmp_path / "app.json"
    path.write_bytes(b"".join(lines))
    offsets = set()
    with path.open("rb") as stream:
        end = os.fstat(stream.fileno()).st_size
        for at, block in blocks_back(stream.fileno(), 0, end, Parser(str(path)).begins):
            for line in block.splitlines():
                offsets.add((at, line[:9]))
                at += len(line) + 1
    wanted = [sum(map(len, lines[:number])) for number in (0, 1, 2, 4, 5)]
    assert set(wanted) <= {at for at, _ in offsets}


def test_a_cursor_behind_a_long_line(tmp_path: Path) -> None:
    """--cursor-file goes on behind a line that was shown without its middle."""
    path, cursor = write_log(tmp_path / "app.json", 5_000_000), tmp_path / "cursor"
    words = ["view", path, "--cursor-file", cursor, "--template", "{seq}"]
    shown = []
    for _ in range(4):
        shown += mplog(*words, "-o", "pretty", "-m", "75").out.split()
    assert shown == [str(number // 3 + 1) for number in range(300)]
    (tmp_path / "cursor").unlink()
    words = ["view", path, "--cursor-file", cursor, "-o", "short", "-m", "151"]
    assert NOTE in mplog(*words).out
    assert mplog(*words).out.count("\n") == 149


def test_following_a_long_line(tmp_path: Path, eventually: Callable[..., bool]) -> None:
    """A line of many megabytes, written bit by bit while it is followed, neither stalls nor fills the memory."""
    path, out = tmp_path / "app.json", tmp_path / "out"
    path.write_bytes(record(1))
    words = [sys.executable, "-c", MEASURE, "view", "-f", "-o", "short", "--color", "never", "-m", "3", path]
    with out.open("wb") as shown:
        process = subprocess.Popen(words, stdout=shown, stderr=subprocess.PIPE, env=environment())
    try:
        assert eventually(lambda: out.read_text().count("hello") == 1)
        line = record(2, msg="y" * 100_000_000)
        with path.open("ab") as stream:
            for at in range(0, len(line), 7_000_000):
                stream.write(line[at : at + 7_000_000])
                stream.flush()
            stream.write(record(3))
        assert eventually(lambda: process.poll() is not None)
    finally:
        process.kill()
        _, err = process.communicate()
    assert out.read_text().count("hello") == 2
    assert NOTE in out.read_text()
    assert b"1 line of more than 2 MiB shown without its middle" in err
    assert int(err.split()[-1]) < LIMIT
