"""Row D2: the N-th system call of a kind fails, for N = 1, 2, 3 .. until none is left, in the listener and in a worker.

`strace` makes the calls fail. What allocates memory must not take part (a failed `mmap` of it is a MemoryError in
any line of Python), so the row runs itself again with an allocator that uses no `mmap`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from chaos_points import copy_of, template
from chaos_rig import Figures, Log, Rig, eventually, state_of, wait

CALLS = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "fallocate", "mmap", "pread64",
)  # fmt: skip
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE", "EINTR")
NO_MMAP = {"PYTHONMALLOC": "malloc", "MALLOC_MMAP_MAX_": "0", "MALLOC_ARENA_MAX": "1"}
SYNCS = ("fsync", "fdatasync")


def d2_system_calls(directory: Path, n: int) -> Figures:
    """Every call failing once, with every error: nothing is raised, nothing lost, and nothing is there twice.

    Up to `n` failures of each kind of call with each error. A sync that failed is the one exception: the last batch
    is written again to a fresh file, because nobody knows what of it is on the disk.
    """
    if shutil.which("strace") is None:
        raise RuntimeError("D2 needs `strace`; install it.")
    if any(os.environ.get(name) != value for name, value in NO_MMAP.items()):
        shutil.rmtree(directory.parent)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **NO_MMAP})
    first = template(directory / "first", workers=3, records=25, max_bytes=6_000, durable=True)
    found: Counter[str] = Counter()
    for call in CALLS:
        for error in ERRORS:
            for at in range(1, n + 1):
                if not _listener(first, directory, call, error, at, found):
                    break
            for at in range(1, n + 1):
                if not _worker(directory, call, error, at, found):
                    break
    return {"lost": 0, "twice": 0, "torn": 0, "disorder": 0, **found}


def _listener(first: Rig, directory: Path, call: str, error: str, at: int, found: Counter[str]) -> bool:
    """Have a listener's call fail; return False if it made no such call."""
    rig = copy_of(first, directory / "trial")
    pid = rig.listen(_stop)
    failed, code = _inject(pid, directory, f"{call}:error={error}:when={at}")
    where = (call, error, at)
    assert code in (0, 1), where
    found["listener_failures"] += failed
    # One that cannot even begin ends, and the supervisor begins again; here that is `finish`.
    found["listeners_ended"] += code
    rig.finish()
    verdict = rig.verdict()
    if failed and call in SYNCS:
        verdict["disorder"] = verdict["twice"] = 0
    assert verdict.holds, (*where, verdict)
    return failed


def _worker(directory: Path, call: str, error: str, at: int, found: Counter[str]) -> bool:
    """Have a worker's call fail; return False if it made no such call."""
    shutil.rmtree(directory / "worker", ignore_errors=True)
    rig = Rig(directory / "worker", block_timeout=0.2)

    def work(number: int, log: Log) -> None:
        _stop()
        for k in range(1, 31):
            log(k, 70_000 if k % 10 == 0 else k * 37 % 900)

    pid = rig.work(work, bye=True)
    failed, code = _inject(pid, directory, f"{call}:error={error}:when={at}")
    where = ("worker", call, error, at)
    assert code == 0, (*where, "something was raised into the application")
    found["worker_failures"] += failed
    rig.finish()
    verdict = rig.verdict()
    assert verdict.holds, (*where, verdict)
    assert verdict["records"] + verdict["dropped"] == 30, (*where, verdict)
    found["dropped"] += verdict["dropped"]
    return failed


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _inject(pid: int, directory: Path, what: str) -> tuple[bool, int]:
    """Let a process that has stopped itself go on with a call that fails; tell whether it met it, and its exit code."""
    assert eventually(lambda: state_of(pid) == "T")
    trace = directory / "trace"
    tracer = subprocess.Popen(
        [
            "strace",
            "-qq",
            "-p",
            str(pid),
            "-o",
            str(trace),
            "-e",
            f"inject={what}",
            "-e",
            f"trace={what.split(':')[0]}",
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert eventually(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()), tracer.poll()
        os.kill(pid, signal.SIGCONT)
        code = wait(pid, 45)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error
    finally:
        tracer.terminate()
        tracer.communicate()
    return b"INJECTED" in trace.read_bytes(), code
