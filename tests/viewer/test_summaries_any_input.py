"""Whatever a file holds, no summary shows a traceback, and nothing drives the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from any_input import FORBIDDEN, SCHEMA, json_values
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_log import SampleLog, exception

from mplog.__main__ import main
from mplog.viewer.html import write_html
from mplog.viewer.reading import read_records
from mplog.viewer.trace import write_trace

_json = json_values(st.text(max_size=8))
# JSON that is nearly ours: every member may have any type.
_names = st.sampled_from(
    [
        *SCHEMA, "event", "dropped", "died_pid", "died_process", "parent_pid", "exitcode", "signal", "records",
        "last_seq", "started", "seq_first", "seq_last", "cause", "context", "group", "frames", "type",
    ]
)  # fmt: skip
_good = st.sampled_from(
    SampleLog()
    .add("hello", exc=exception(cause=exception("KeyError")))
    .dropped(3, pid=100, process="MainProcess", first=2, last=9)
    .died(100, "MainProcess", records=7)
    .lines
)


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    record = json.loads(draw(_good))
    for _ in range(draw(st.integers(0, 4))):
        record[draw(_names)] = draw(_json)
    raw = json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 5)) == 0 else raw


_files = st.lists(_line() | st.binary(max_size=40), max_size=8).map(b"\n".join)


@settings(max_examples=60, deadline=None)
@given(_files)
@example(b"")
@example(b'{"time":"2026-11-22T11:11:11.133456Z","level":-1,"msg":"x","logger":"a","process":"p","pid":1,"seq":1}')
@example(
    b'{"time":"9999-12-31T23:59:59.999999Z","level":"INFO","msg":"x","logger":"mplog","event":"died","died_pid":1}'
)
@example(
    b'{"time":"2026-11-22T11:11:11Z","level":"E","msg":"","exc":{"cause":{"cause":{}},"frames":[{}]},"seq":-1,"pid":0}'
)
def test_any_bytes(data: bytes) -> None:
    """Every summary reads any bytes and ends with a documented exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "app.log")
        path.write_bytes(data)
        for command in ("stats", "errors", "ps", "check"):
            for options in ([], ["--json"]):
                out, err = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main([command, str(path), "--color", "never", *options])
                assert code in (0, 1), err.getvalue()
                assert not FORBIDDEN & set(out.getvalue())
                if options:
                    json.loads(out.getvalue())
        for write in (write_html, write_trace):
            out = io.StringIO()
            write(read_records([str(path)]), out)
            assert not FORBIDDEN & set(out.getvalue())


@pytest.mark.parametrize("command", ["stats", "errors", "ps", "check"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each sub-command's help has examples and says what the exit status means."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"mplog {command} app.log" in out
    assert "Exit status" in out


@pytest.mark.parametrize("command", ["stats", "errors", "ps", "check"])
def test_bad_arguments(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such file, a directory without logs: one line on stderr and exit code 2."""
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "none.log", tmp_path / "empty"):
        assert main([command, str(path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert err.startswith("mplog: ")


@pytest.mark.parametrize(
    "command", ["stats FILE", "errors FILE", "ps FILE", "check FILE --json", "lnav-format", "completion zsh"]
)
def test_output_that_cannot_be_written(command: str, tmp_path: Path) -> None:
    """A full disk is one line and exit code 2, a closed pipe is quiet; never a traceback."""
    path = SampleLog().add("failed", exc=exception()).write(tmp_path / "app.log")
    program = [sys.executable, "-m", "mplog", *command.replace("FILE", str(path)).split(" ")]
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "No space left" in done.stderr
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
