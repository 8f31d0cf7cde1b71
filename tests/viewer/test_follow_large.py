"""Following a large log from its beginning: it is shown in pieces, not held."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from viewer_command import environment, mplog

RECORDS = 300_000
SELECTED = 50


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300,000 records, 50 of them errors, all in its last third."""
    path = tmp_path_factory.mktemp("large") / "app.json"
    with path.open("w") as file:
        for number in range(RECORDS):
            stamp = f"2026-11-22T1{number // 36000}:{number // 600 % 60:02}:{number // 10 % 60:02}.{number % 10}00000Z"
            level = "ERROR" if number >= RECORDS * 2 // 3 and number % 2000 == 0 else "INFO"
            file.write(
                f'{{"time":"{stamp}","level":"{level}","msg":"m{number}","logger":"app","process":"W-1","pid":7,'
                f'"thread":"MainThread","file":"/a.py","line":1,"func":"f","seq":{number + 1}}}\n'
            )
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is read from /proc")
def test_all_of_a_large_log_is_followed_in_little_memory(large: Path, eventually: Callable[..., object]) -> None:
    """`-f -n all` shows everything, in order, in at most 60 MB of memory, whatever the file."""
    out = large.with_suffix(".out")
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mplog", "tail", large, "-n", "all", "--template", "{msg}"],
            stdout=file,
            env=environment(),
        )
    try:
        size = sum(len(f"m{number}\n") for number in range(RECORDS))
        assert eventually(lambda: out.stat().st_size >= size, timeout=60)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert out.read_text().splitlines() == [f"m{number}" for number in range(RECORDS)]
    assert int(status.split("VmHWM:")[1].split()[0]) < 60_000


def test_what_is_selected_far_behind_is_there_at_once(large: Path, tmp_path: Path) -> None:
    """Records far behind the beginning are merged with those of other logs by time."""
    other = tmp_path / "other.json"
    other.write_text(
        '{"time":"2026-11-22T19:00:00.000000Z","level":"ERROR","msg":"last","logger":"app","process":"W","pid":8,'
        '"thread":"","file":"","line":1,"func":"f","seq":1}\n'
    )
    shown = mplog("tail", other, large, "-n", "all", "-l", "e", "-m", str(SELECTED + 1), "--template", "{msg}").out
    assert shown.splitlines() == [*(f"m{number}" for number in range(200_000, RECORDS, 2000)), "last"]
