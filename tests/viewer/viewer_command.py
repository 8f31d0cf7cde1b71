"""Run the command `mplog` as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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


class Starter:
    """Starts `mplog` in a twentieth of the time, see `viewer_starter`."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(60)
        command = [sys.executable, str(Path(__file__).with_name("viewer_starter.py")), str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment())

    def run(self, args: list[str], cwd: str, env: dict[str, str]) -> Result:
        """Run the command with an empty stdin; return what it did."""
        pipes = [os.pipe() for _ in range(3)]
        message = json.dumps({"args": args, "cwd": cwd, "env": env}).encode("utf-8", "surrogateescape")
        try:
            socket.send_fds(self._ours, [message], [pipes[0][0], pipes[1][1], pipes[2][1]])
        finally:
            for number in (*pipes[0], pipes[1][1], pipes[2][1]):
                os.close(number)
        with ThreadPoolExecutor(2) as pool:
            out, err = pool.map(_read_all, (pipes[1][0], pipes[2][0]))
        return Result(int(self._ours.recv(16)), out, err)

    def end(self) -> None:
        """End it."""
        self._ours.close()
        self._process.wait(30)


def _read_all(descriptor: int) -> str:
    with open(descriptor, "rb") as file:
        return file.read().decode()


starter: Starter | None = None
"""Begun for the whole run by a fixture in `conftest`."""
HARMLESS = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "TZ", "MPLOG_JOBS", "MPLOG_FILE"}
"""Variables that nobody reads before a call begins."""


def mplog(
    *args: str | Path, stdin: bytes | None = b"", cwd: Path | None = None, env: dict[str, str] | None = None
) -> Result:
    """Run `mplog` with arguments and return exit code, output and what it said on stderr."""
    words = [str(word) for word in args]
    if starter is not None and stdin == b"" and not {*(env or {})} - HARMLESS:
        return starter.run(words, str(cwd or Path.cwd()), environment(**(env or {})))
    done = subprocess.run(
        [sys.executable, "-m", "mplog", *words],
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
