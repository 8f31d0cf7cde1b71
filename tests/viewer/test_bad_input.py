"""Wrong usage and unreadable sources: one line on stderr, the documented exit code, never a traceback."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer_command import GOLDEN, environment, mplog, mplog_as_nobody

SHOP = GOLDEN / "shop.json"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["/no/such/file.log"], 2, "mplog: /no/such/file.log: No such file or directory"),
        (["/no/such/*.log"], 2, "mplog: /no/such/*.log: no file matches"),
        ([SHOP, "-l", "eror"], 2, "mplog: unknown level 'eror'; did you mean 'error'?"),
        ([SHOP, "-l", "warning..zzz"], 2, "mplog: unknown level 'zzz'; levels are debug, info, warning,"),
        ([SHOP, "-S", "soon"], 2, "mplog: the time 'soon' is not understood; write 10m,"),
        ([SHOP, "-S", "today", "-U", "yesterday"], 2, "mplog: --since 'today' is later than --until"),
        (
            [SHOP, "--tz", "Europe/Viena"],
            2,
            "mplog: unknown time zone 'Europe/Viena'; did you mean 'Europe/Vienna'?",
        ),
        ([SHOP, "-n", "some"], 2, "mplog: -n 'some' is not a number of records; write a number or all"),
        ([SHOP, "-m", "-3"], 2, "mplog view: argument -m/--max-count: '-3' is not a number of records (see"),
        ([SHOP, "--values", "usr"], 2, "mplog: no record has a field 'usr'; did you mean 'user'?"),
        ([SHOP, "--input", "nonsense"], 2, "mplog: --input 'nonsense' is no format; write auto, json, text,"),
        ([SHOP, "--template", "{level"], 2, "mplog: --template: '{' at position 0 is no field;"),
        ([SHOP, "-o", "yaml"], 2, "mplog view: argument -o/--output: invalid choice: 'yaml'"),
        ([SHOP, "--frobnicate"], 2, "mplog view: unrecognized arguments: --frobnicate"),
        (
            [SHOP, "--out", "/no/such/dir/x"],
            2,
            "mplog: /no/such/dir/x: cannot be written: No such file or directory",
        ),
        ([SHOP, "-l", "error..info"], 2, "mplog: -l 'error..info' is an empty range; write the lower level first"),
        ([SHOP, "--tz", "+25:00"], 2, "mplog: the offset '+25:00' is no time zone; the largest is 23:59"),
        ([SHOP, "--tz", "Mars"], 2, "mplog: unknown time zone 'Mars'"),
        ([SHOP, "--utc", "--tz", "Europe/Vienna"], 2, "mplog: --utc and --tz contradict each other"),
        ([SHOP, "-f", "-r"], 2, "mplog: --follow and --reverse contradict each other; leave one out"),
        ([SHOP, "-g", "nowhere to be found"], 1, "mplog: nothing matched in"),
        ([SHOP, "usr=anna"], 1, "mplog: nothing matched: no record has a field 'usr'; did you mean 'user'?"),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:] if isinstance(value, list) else None,
)
def test_one_line_and_the_exit_code(args: list[str], code: int, said: str) -> None:
    """No such file, a bad time, an unknown level or field (with the nearest), an empty match: one line on stderr."""
    result = mplog("view", *args)
    assert result.err.startswith(said)
    assert result.err.count("\n") == 1
    assert (result.code, result.out) == (code, "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["-q", "level>=warnin"],
            "query: unknown level 'warnin'; did you mean 'warning'?\n  level>=warnin\n         ^",
        ),
        (
            ["-q", "user=anna and"],
            "query: a condition is missing at the end\n  user=anna and\n               ^",
        ),
        (["-q", "(user=anna"], "query: `)` expected\n  (user=anna\n            ^"),
        (["-q", "user='anna"], "query: the text is not closed\n  user='anna\n       ^"),
        (["-q", "msg~'a('"], "query: the regular expression 'a(' is wrong"),
        (["-q", ""], "query: is empty"),
        (
            ["-g", "a(b"],
            "-g: the regular expression 'a(b' is wrong: missing ), unterminated subpattern at position 1",
        ),
        (
            ["-G", "[z"],
            "-G: the regular expression '[z' is wrong: unterminated character set at position 0\n  [z\n  ^",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_caret_shows_the_place(args: list[str], said: str) -> None:
    """A bad regex or query (with a caret under the place)."""
    result = mplog("view", SHOP, *args)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"mplog: {said}")
    assert "Traceback" not in result.err
    assert result.err.rstrip("\n").endswith("^")


def test_a_directory_without_logs(tmp_path: Path) -> None:
    """A directory without logs: one line on stderr."""
    result = mplog("view", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"mplog: {tmp_path}: no log in this directory; logs end in .log, .json, .jsonl, .ndjson\n"


COMMANDS = ("view", "tail", "stats", "errors", "ps", "check")


@pytest.fixture
def common_path() -> Iterator[Path]:
    """Return a directory that another user can enter, as he cannot those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["file", "directory", "within"])
def test_unreadable(command: str, what: str, common_path: Path) -> None:
    """Unreadable, the file or the directory that it lies in: one line on stderr, exit code 2."""
    folder = common_path / "folder"
    folder.mkdir()
    path = folder / "app.log"
    path.write_bytes(SHOP.read_bytes())
    (path if what == "file" else folder).chmod(0)
    try:
        result = mplog_as_nobody(command, folder if what == "directory" else path)
    finally:
        folder.chmod(0o700)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("mplog: ")
    assert "Permission denied" in result.err
    assert result.err.count("\n") == 1


def test_a_rotated_file_that_cannot_be_read(common_path: Path) -> None:
    """An unreadable file among the rotated ones: what comes before it is shown, then one line and exit code 2."""
    line = '{"time":"2026-11-22T11:11:1%d.000000Z","level":"INFO","msg":"m%d","seq":1}\n'
    for number, name in enumerate(["app.log.2", "app.log.1", "app.log"]):
        (common_path / name).write_text(line % (number, number))
        (common_path / name).chmod(0o644)
    (common_path / "app.log.1").chmod(0)
    result = mplog_as_nobody("view", common_path / "app.log", "-R", "-o", "short")
    assert (result.code, result.err) == (2, f"mplog: {common_path / 'app.log.1'}: Permission denied\n")
    assert result.out == "11:11:10 I m0\n"
    common_path.chmod(0o311)
    result = mplog_as_nobody("view", common_path / "app.log", "-R")
    common_path.chmod(0o755)
    assert result.err == f"mplog: {common_path}: Permission denied; -R has to look there for rotated files\n"


def test_an_empty_file(tmp_path: Path) -> None:
    """Empty files: never fatal, nothing matched."""
    path = tmp_path / "app.log"
    path.touch()
    result = mplog("view", path)
    assert (result.code, result.out, result.err) == (
        1,
        "",
        f"mplog: nothing to show: {path} holds no record\n",
    )


def test_a_broken_off_archive_shows_what_there_is(tmp_path: Path) -> None:
    """A compressed file that breaks off: what can be read is shown, then one line and exit code 2."""
    path = tmp_path / "app.json.gz"
    path.write_bytes(gzip.compress(SHOP.read_bytes() * 300)[:3000])
    result = mplog("view", path, "-o", "short")
    assert result.code == 2
    assert result.out.startswith("10:59:58 I MainProcess")
    assert result.err.count("\n") == 1
    assert "Compressed file ended" in result.err


def test_zstd_is_unpacked_on_the_way(tmp_path: Path) -> None:
    """`.zst` by itself and as a rotated file, in every command that reads logs."""
    zstandard = pytest.importorskip("zstandard")
    lines = SHOP.read_bytes().splitlines(keepends=True)
    path, older = tmp_path / "app.json", tmp_path / "app.json.1.zst"
    path.write_bytes(b"".join(lines[8:]))
    older.write_bytes(zstandard.ZstdCompressor().compress(b"".join(lines[:8])))
    whole = mplog("view", SHOP, "-o", "short", "-P")
    assert mplog("view", path, "-R", "-o", "short", "-P") == whole
    assert mplog("view", older, path, "-o", "raw").out == mplog("view", SHOP, "-o", "raw").out
    assert mplog("view", older, "-o", "short", "-n", "3").out == "".join(whole.out.splitlines(keepends=True)[5:8])
    assert mplog("view", older, "-o", "short", "-r").out.splitlines() == whole.out.splitlines()[7::-1]
    assert mplog("stats", path, "-R", "--json").out == mplog("stats", SHOP, "--json").out
    assert "complete" in mplog("check", path).out
    assert mplog("ps", path, "-R").out == mplog("ps", SHOP).out


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_an_archive_with_damage_in_the_middle(suffix: str, tmp_path: Path) -> None:
    """A damaged archive, or no archive at all: one line and exit code 2, whatever error its module has for that."""
    if suffix == "zst":
        pack = pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress
    else:
        pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[suffix]
    packed = pack(b"".join(b"%d\n" % (number * 7919 % 100_003) for number in range(30_000)))
    half = len(packed) // 2
    path = tmp_path / f"app.json.{suffix}"
    for data in (packed[:half] + bytes(range(256)) + packed[half + 256 :], b"no archive at all", packed[:half]):
        path.write_bytes(data)
        for command in ("view", "stats", "check", "ps"):
            result = mplog(command, path)
            assert (result.code, result.err.count("\n")) == (2, 1), (command, result.err)
            assert result.err.startswith(f"mplog: {path}: ")


def test_a_zstd_archive_of_several_frames(tmp_path: Path) -> None:
    """Frames one behind the other, as `cat` and parallel compressors make them, are one file."""
    compress = pytest.importorskip("zstandard").ZstdCompressor().compress
    path = tmp_path / "app.json.zst"
    path.write_bytes(b"".join(compress(line) for line in SHOP.read_bytes().splitlines(keepends=True)))
    assert mplog("view", path, "-o", "raw").out == mplog("view", SHOP, "-o", "raw").out


def test_zstd_without_a_module_says_what_to_do(tmp_path: Path) -> None:
    """`.zst` only if a module exists: the error says so."""
    path = tmp_path / "app.json.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00")
    for name in ("compression.zstd", "backports.zstd", "pyzstd", "zstandard"):
        module = tmp_path / "shadow" / Path(*name.split("."))
        module.mkdir(parents=True)
        (module / "__init__.py").write_text("raise ImportError('hidden by the test')\n")
        (module.parent / "__init__.py").touch()
    result = mplog("view", path, env={"PYTHONPATH": str(tmp_path / "shadow")})
    assert result.code == 2
    assert "needs Python 3.14" in result.err
    assert "pip install zstandard" in result.err
    assert result.err.count("\n") == 1


def test_binary_and_huge_lines_are_shown_and_counted(tmp_path: Path) -> None:
    """Damaged, torn, binary, huge files: shown, counted, never fatal."""
    path = tmp_path / "app.json"
    first = SHOP.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first + bytes(range(128, 256)) * 100 + b"\n" + b"x" * (17 << 20) + b"\n" + first)
    result = mplog("view", path, "-o", "short")
    assert result.code == 0
    assert result.out.count("starting with 3 workers") == 2
    assert result.out.count("damaged at byte") == 2
    assert result.err.startswith("mplog: 2 damaged lines, the first at byte 238 of")
    assert max(map(len, result.out.splitlines())) < 1000


def test_no_command_and_unknown_commands() -> None:
    """`mplog --help` lists the commands; a wrong one gets the nearest."""
    assert mplog("--help").out.startswith("usage: mplog COMMAND")
    result = mplog("vew")
    assert (result.code, result.err) == (
        2,
        "mplog: there is no command or file 'vew'; did you mean 'view'?\n",
    )


def test_a_cursor_file_that_is_none(tmp_path: Path) -> None:
    """A file that is no cursor file is not overwritten."""
    path = tmp_path / "cursor"
    path.write_text("precious")
    result = mplog("view", SHOP, "--cursor-file", path)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"mplog: {path}: this is no cursor file; delete it or name another\n"
    assert path.read_text() == "precious"


@pytest.mark.parametrize("follow", [[], ["-f"]])
@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "nowhere"])
def test_a_cursor_file_that_can_be_none(kind: str, follow: list[str], tmp_path: Path) -> None:
    """A FIFO, a directory, a device, a place that does not exist: one line on stderr, exit code 2, at once."""
    path = tmp_path / "cursor"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    path = {"device": Path(os.devnull), "nowhere": tmp_path / "no" / "cursor"}.get(kind, path)
    result = mplog("view", SHOP, "--cursor-file", path, *follow)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"mplog: {path}: ")
    assert "name another" in result.err
    assert result.err.count("\n") == 1


def test_a_cursor_file_where_nothing_can_be_written(common_path: Path) -> None:
    """A cursor file that could not be written is refused before anything is shown."""
    (common_path / "app.json").write_bytes(SHOP.read_bytes())
    (common_path / "app.json").chmod(0o644)
    common_path.chmod(0o555)
    path = common_path / "cursor"
    result = mplog_as_nobody("view", common_path / "app.json", "--cursor-file", path)
    common_path.chmod(0o755)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"mplog: {path}: cannot be written: Permission denied\n"


def test_the_log_is_not_overwritten(tmp_path: Path) -> None:
    """--out FILE never is the log itself."""
    path = tmp_path / "app.json"
    path.write_bytes(SHOP.read_bytes())
    result = mplog("view", path, "--out", tmp_path / "." / "app.json")
    assert (result.code, result.out) == (2, "")
    assert "is the log itself; name another file" in result.err
    assert path.read_bytes() == SHOP.read_bytes()


NUMBERS = ["1e999", "NaN", "1" * 5000, "18446744073709551616", "-1", '"\\ud800"', "[]", "null", "true", "{}"]


@pytest.mark.parametrize("output", ["pretty", "json", "logfmt", "csv", "html", "trace"])
def test_hostile_values_as_output(output: str, tmp_path: Path) -> None:
    """Whatever JSON can hold in whichever member: shown in every format, never fatal."""
    result = mplog("view", hostile_values(tmp_path), "-o", output, "--errors", "skip")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("options", [["stats"], ["errors"], ["ps"], ["check"], ["view", "-l", "i", "-C", "1"]])
def test_hostile_values_in_the_summaries(options: list[str], tmp_path: Path) -> None:
    """Whatever JSON can hold in whichever member: counted, never fatal, and --json is JSON."""
    path = hostile_values(tmp_path)
    for more in ([], ["--json"] if options[0] != "view" else []):
        result = mplog(options[0], path, *options[1:], *more)
        assert (result.code in (0, 1), result.err) == (True, "")
        assert not more or json.loads(result.out)


def hostile_values(folder: Path) -> Path:
    schema = json.loads(SHOP.read_bytes().splitlines()[0]) | {"exc": None, "levelno": 20, "event": "x", "own": 1}
    path = folder / "app.json"
    with path.open("w") as stream:
        for name in schema:
            for value in NUMBERS:
                members = [f'"{key}":{value if key == name else json.dumps(one)}' for key, one in schema.items()]
                stream.write(f"{{{','.join(members)}}}\n")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of other systems differ")
@pytest.mark.parametrize("limit", ["-Sn 64", "-n 64"])
def test_more_logs_than_may_be_open(limit: str, tmp_path: Path) -> None:
    """A directory with more logs than files may be open: the limit is raised, or it is one line and exit code 2."""
    line = SHOP.read_bytes().splitlines()[0] + b"\n"
    for number in range(150):
        (tmp_path / f"{number:03d}.json").write_bytes(line)
    for options in (["-o", "short"], ["-o", "short", "-f", "-m", "10"]):
        words = [sys.executable, "-m", "mplog", "view", str(tmp_path), *options]
        command = ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30, check=False)
        if "S" in limit:
            assert (done.returncode, done.stderr) == (0, "")
            assert len(done.stdout.splitlines()) in (10, 150)
        else:
            assert done.returncode == 2
            assert "Too many open files" in done.stderr
            assert "report" not in done.stderr
            assert done.stderr.count("\n") == 1


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    """Control characters are escaped on the way out, in sentences on stderr too."""
    result = mplog("view", tmp_path / "\x1b]0;evil\x07.log")
    assert result.code == 2
    assert "\\x1b]0;evil\\x07.log: No such file" in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize("options", [["view", "--explain"], ["view", "-o", "short"], ["check"], ["stats"], ["ps"]])
def test_hostile_names_of_damaged_files(options: list[str], tmp_path: Path) -> None:
    """The name of a file drives no terminal, wherever it is said."""
    path = tmp_path / "\x1b[31m.json"
    path.write_bytes((GOLDEN / "damaged.json").read_bytes())
    result = mplog(options[0], path, *options[1:])
    assert "\x1b" not in result.out + result.err
    result = mplog(options[0], SHOP, "--\x1b[31m")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "\x1b" not in result.err


def test_explaining_a_torn_archive(tmp_path: Path) -> None:
    """--explain of a file that cannot be read: one line and exit code 2."""
    path = tmp_path / "app.json.gz"
    path.write_bytes(gzip.compress(SHOP.read_bytes())[:300])
    result = mplog("view", path, "--explain")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"mplog: {path}: Compressed file ended")


@pytest.mark.parametrize(
    ("options", "shown"),
    [(["-n", "2"], "14 15"), (["-r", "-m", "2"], "15 14"), (["-l", "critical"], "15"), (["-m", "1"], "0")],
    ids=str,
)
def test_a_pipe_with_a_name(options: list[str], shown: str, tmp_path: Path) -> None:
    """A FIFO is read as standard input is, also from the end: nothing of it is lost."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    lines = SHOP.read_bytes().splitlines()
    writer = threading.Thread(target=path.write_bytes, args=(SHOP.read_bytes(),))
    writer.start()
    result = mplog("view", path, "-o", "raw", *options)
    writer.join()
    assert result.code == 0
    numbers = [json.loads(line)["msg"] for line in result.out.splitlines()]
    assert numbers == [json.loads(lines[int(number)])["msg"] for number in shown.split()]


def test_a_very_long_line_in_a_large_file(tmp_path: Path) -> None:
    """Huge lines are cut and counted, by several processes as by one."""
    path = tmp_path / "app.json"
    path.write_bytes(SHOP.read_bytes() + b"x" * (50 << 20) + b"\n" + SHOP.read_bytes() * 20)
    for options in ([], ["-l", "error"], ["-l", "error", "-C", "1"]):
        several, one = (mplog("view", path, "-o", "short", *options, env={"MPLOG_JOBS": n}) for n in ("2", "1"))
        assert several == one
        assert several.code == 0


@pytest.mark.parametrize("command", ["view", "stats", "errors", "ps", "check"])
def test_closed_descriptors(command: str) -> None:
    """A closed standard output is one line and exit code 2; with a closed stderr nothing gets into the output."""
    words = [sys.executable, "-m", "mplog", command, str(GOLDEN / "damaged.json")]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, text=True, env=environment()
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mplog: standard output is closed; redirect it")
    assert done.stderr.count("\n") == 1
    mute = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *words], capture_output=True, env=environment())
    assert mute.stdout == subprocess.run(words, capture_output=True, env=environment()).stdout
