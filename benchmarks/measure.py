"""Fresh processes with a watchdog, CPU clocks, percentiles. Runs in conductor and measured processes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Result = dict[str, Any]

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_ORPHAN_GRACE = 3.0


def run_fresh(module: str, plan: dict[str, Any], *, python: str = sys.executable, timeout: float = 120.0) -> Result:
    """Run `python -m benchmarks.<module> PLAN` in a fresh process and return what it reports.

    Runs in the conductor. A run that does not end within `timeout` seconds is a result too: the process and
    everything it started is killed, and `status` says "hangs".

    Args:
        module: name of a module of this package whose `main` prints one JSON object as its last line.
        plan: what to measure; goes to the process as JSON.
        python: the interpreter.
        timeout: seconds until the watchdog kills.

    Returns:
        The reported object with `status` ("ok", "hangs" or "failed") and `left_behind`, the number of
        processes that were still alive three seconds after the measured process ended.
    """
    become_subreaper()
    before = set(_children())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MPLOG_")}
    environment |= {"PYTHONPATH": str(ROOT)}
    command = [python, "-m", f"benchmarks.{module}", json.dumps(plan)]
    with (
        tempfile.TemporaryDirectory() as cwd,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        # Files, not pipes: an orphan that keeps a pipe open would hold up the reading end for ever.
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
            hung = False
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            left_behind = _end_orphans(before, grace=_ORPHAN_GRACE if not hung else 0.0)
        out.seek(0)
        err.seek(0)
        lines, complaint = (
            out.read().decode(errors="replace").splitlines(),
            err.read().decode(errors="replace"),
        )
    if hung:
        return {"status": "hangs", "left_behind": left_behind, "error": complaint[-2000:]}
    if process.returncode != 0 or not lines:
        error = f"exit code {process.returncode}: {complaint[-2000:]}"
        return {"status": "failed", "left_behind": left_behind, "error": error}
    return {"status": "ok", "left_behind": left_behind, **json.loads(lines[-1])}


def report(measure: Callable[..., Result]) -> None:
    """Call `measure` with the plan on the command line and print its result, as `run_fresh` expects it.

    Runs in the measured process. Without a plan, `measure` is called with its defaults.
    """
    plan = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    print(json.dumps(measure(**plan)), flush=True)


def wait_for(predicate: Callable[[], bool], *, timeout: float, interval: float = 0.005) -> bool:
    """Poll `predicate` until it is true; return False when `timeout` seconds passed first."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def cpu_of(pid: int) -> float | None:
    """Return the CPU seconds, user and system, that the living process `pid` has used, or None if it is gone.

    Reads the process's own POSIX CPU clock (nanoseconds; /proc/<pid>/stat counts in steps of 10 ms).
    """
    process_clock = (~pid << 3) | 2  # the encoding of clock_getcpuclockid(3) on Linux: ~pid, CPUCLOCK_SCHED
    try:
        return time.clock_gettime(process_clock)
    except OSError:
        return None


def parent_of(pid: int) -> int:
    """Return the parent of the living process `pid`."""
    # The command name, in parentheses, may hold spaces; state and parent follow it (proc_pid_stat(5)).
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cpu_of_children() -> float:
    """Return the CPU seconds of all children that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class ForeignCpu:
    """CPU of processes that are started for us but end by themselves, such as a listener.

    Runs in the measured process, which must be a subreaper from before they were started: a listener that is
    nobody's child is then waited for here, and what it takes to end is counted too.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._start = {pid: cpu_of(pid) or 0.0 for pid in pids}
        self._last = dict(self._start)
        self._children = 0.0

    def before_close(self) -> None:
        """Read the clocks while the processes are still alive."""
        self._last |= {pid: seconds for pid in self._start if (seconds := cpu_of(pid)) is not None}
        self._children = cpu_of_children()

    def after_close(self, *, timeout: float = 5.0) -> float:
        """Wait for the processes to end and return the CPU seconds they used since the start."""
        wait_for(lambda: all(_ended(pid) for pid in self._start), timeout=timeout)
        whole_lives = cpu_of_children() - self._children
        return max(whole_lives, sum(self._last.values())) - sum(self._start.values())


def percentiles(values: Sequence[float]) -> Result:
    """Return p50, p99, p99.9 and max of `values` by nearest rank."""
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return {"p50": rank(0.5), "p99": rank(0.99), "p999": rank(0.999), "max": ordered[-1]}


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are there, or None."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def found_records(path: Path, pattern: bytes) -> Counter[tuple[int, int]]:
    """Count every (worker, number) in the log file at `path`; `pattern` has the groups number and worker."""
    if not path.exists():
        return Counter()
    # mplog's own records quote the last words of the dead.
    data = b"\n".join(line for line in path.read_bytes().split(b"\n") if b'"logger":"mplog"' not in line)
    return Counter((int(worker), int(number)) for number, worker in re.findall(pattern, data))


def become_subreaper() -> None:
    """Make orphans among the descendants of this process its children, to be waited for and counted."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def _ended(pid: int) -> bool:
    """Reap `pid` if it is ours and a corpse; tell whether it is gone."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}").exists()


def _end_orphans(before: set[int], *, grace: float) -> int:
    """Wait for what the measured process left behind, kill the rest, and return how many had to be killed."""

    def orphans() -> list[int]:
        return [pid for pid in _children() if pid not in before and not _ended(pid)]

    wait_for(lambda: not orphans(), timeout=grace)
    killed = 0
    while remaining := orphans():
        for pid in remaining:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        killed += len(remaining)
    return killed
