"""Where the measurements run: virtual environments, and what the machine is. Runs in the conductor."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.measure import ROOT, run_fresh

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def find_python(name: str) -> str | None:
    """Return the interpreter `name` ("3.12", "python3.12" or a path), or None if there is none that runs."""
    path = shutil.which(f"python{name}" if name[0].isdigit() else name)
    if path is None or subprocess.run([path, "--version"], capture_output=True).returncode != 0:
        return None
    return path


def make_environment(python: str, directory: Path, *, rivals: bool) -> str:
    """Make a virtual environment with this checkout of mplog, and the rivals if asked for; return its python.

    A rival that does not install is reported on stderr and left out; mplog itself must install. An
    environment that is there already is used again.

    Args:
        python: the interpreter to make it from.
        directory: where to make it.
        rivals: install `requirements.txt` too.

    Raises:
        subprocess.CalledProcessError: mplog's own dependencies could not be installed.
    """
    made = directory / "bin" / "python"
    if not made.exists():
        subprocess.run([python, "-m", "venv", str(directory)], check=True)
        _pip(made, "--editable", str(ROOT)).check_returncode()
    if rivals and _pip(made, "-r", str(REQUIREMENTS)).returncode != 0:
        for requirement in REQUIREMENTS.read_text().splitlines():
            if requirement and not requirement.startswith("#") and _pip(made, requirement).returncode != 0:
                print(f"{requirement} does not install here and is left out.", file=sys.stderr)
    return str(made)


def _pip(python: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True)


def describe(pythons: dict[str, str]) -> dict[str, Any]:
    """Return machine, kernel, interpreters, versions of the contenders, commit and time.

    Args:
        pythons: interpreter by version; the first one has the rivals.
    """
    first = next(iter(pythons.values()))
    answer = run_fresh("contenders", {}, python=first)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
        "pythons": {label: f"Python {version(path, parts=3)}" for label, path in pythons.items()},
        "versions": {name: answer.get(name) for name in contenders.versions()},
    }


def version(python: str, *, parts: int = 2) -> str:
    """Return the first `parts` numbers of the interpreter's version, such as "3.12"."""
    answer = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout
    return ".".join(answer.split()[1].split(".")[:parts])


def _commit() -> str | None:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True) if shutil.which("git") else None
    return result.stdout.strip() if result and result.returncode == 0 else None


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
