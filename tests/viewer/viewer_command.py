"""Run the command `mplog` as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

GOLDEN = Path(__file__).parent / "golden"
PLAIN = (
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR_FORCE",
    "MPLOG_FILE",
    "MPLOG_PAGER",
    "PAGER",
    "LESS",
    "MPLOG_JOBS",
)


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in PLAIN}
    return {**env, "TZ": "UTC", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", **more}


def mplog(
    *args: str | Path, stdin: bytes | None = b"", cwd: Path | None = None, env: dict[str, str] | None = None
) -> Result:
    """Run `mplog` with arguments and return exit code, output and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "mplog", *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(**(env or {})),
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def mplog_as_nobody(*args: str | Path, env: dict[str, str] | None = None) -> Result:
    """Run `mplog` without the right to read everything: as root, in a child that gives up being root."""
    if os.geteuid() != 0:
        return mplog(*args, env=env)
    # What is imported is imported as root: its directories may be closed to others, as those of a test are.
    program = (
        "import importlib, os, sys; from mplog.viewer.commands import available; from mplog.__main__ import main\n"
        "for command in available(): importlib.import_module(command.module)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        input=b"",
        capture_output=True,
        env=environment(**(env or {})),
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())
