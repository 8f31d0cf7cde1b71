"""Tier L of the fault suite: ``python -m tests.chaos [ROW ...]`` prints each row with its N, its figures, pass or fail.

The table is Markdown, as in docs/guarantees.md. All rows together take about half an hour on two cores: rows that
measure time run alone, the others two at a time. ``--quick`` takes the N of the normal test run, ``--plants`` runs the
planted bugs, ``--control`` the same kills against the standard library's queue.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from chaos_plants import PLANTS  # noqa: E402
from chaos_rows import ROWS  # noqa: E402

H1, H1_QUICK, H1_LONG = "H1", 40, 20_000
WRONG = ("lost", "twice", "torn", "disorder")
LEFT_OUT = (*WRONG, "strange", "own", "seconds")
_printing = threading.Lock()


class Result(NamedTuple):
    """How a row ended."""

    held: bool
    figures: dict[str, Any]
    said: str
    """The end of what one said that did not hold."""
    seconds: float


def run(row: str, n: int, plant: str = "") -> Result:
    """Run one row in a process of its own."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "chaos_plants.py"), row, str(n)],
            stdout=out,
            stderr=err,
            env={**os.environ, "CHAOS_PLANT": plant},
            start_new_session=True,
        )
        code = process.wait()
        # A row that failed half way has not ended what it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        if code:
            return Result(False, {}, err.read().strip()[-3000:] or "no output", seconds)
        return Result(True, json.loads(out.read().splitlines()[-1]), "", seconds)


def state_machine(examples: int, shards: int) -> Result:
    """Run H1, its examples shared out to some processes."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "--timeout=0", "-p", "no:cacheprovider"]
    running = [
        subprocess.Popen(
            [*command, str(HERE / "test_state_machine.py")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "H1_EXAMPLES": str(-(-examples // shards))},
        )
        for _ in range(shards)
    ]
    ends = [(process.communicate()[0], process.returncode) for process in running]
    failed = [out.strip().splitlines()[-1] for out, code in ends if code]
    seconds = time.monotonic() - began
    return Result(not failed, {"examples": examples}, "; ".join(failed), seconds)


def line(row: str, n: int, result: Result, *, as_json: bool = False) -> str:
    """Return a row of the table, or the same as JSON."""
    if as_json:
        return json.dumps({"row": row, "n": n, **result._asdict()})
    title = ROWS[row].title if row in ROWS else "state machine: write, crash, rotate, fill, rename, against a list"
    if not result.held:
        return f"| {row} | {title} | {n:,} | **FAIL** | {result.seconds:.0f} | {result.said.splitlines()[-1]} |"
    found = result.figures
    wrong = ", ".join(str(found[name]) for name in WRONG) if all(name in found for name in WRONG) else "see right"
    more = ", ".join(
        f"{name.replace('_', ' ')} {_text(value)}" for name, value in found.items() if name not in LEFT_OUT
    )
    return f"| {row} | {title} | {n:,} | pass: {wrong} | {result.seconds:.0f} | {more} |"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_text(inner)}" for name, inner in value.items()) + ")"
    return f"{value:,}" if isinstance(value, int) else str(value)


def header() -> str:
    """Return what stands above the table."""
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout
    return (
        f"{machine}, {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit.strip() or 'unknown'}.\n\n"
        "| row | what | N | lost, twice, torn, out of order | seconds | more |\n|---|---|---|---|---|---|"
    )


def table(names: list[str], *, quick: bool, n: int | None, jobs: int, as_json: bool) -> int:
    """Run rows, print the table; return how many did not hold."""
    failed = 0

    def one(name: str) -> None:
        nonlocal failed
        if name == H1:
            count = n or (H1_QUICK if quick else H1_LONG)
            result = state_machine(count, 1 if quick else jobs)
        else:
            count = n or (ROWS[name].quick if quick else ROWS[name].long)
            if ROWS[name].root and os.geteuid() != 0:
                with _printing:
                    print(f"| {name} | {ROWS[name].title} | {count:,} | not run: needs root | | |", flush=True)
                return
            result = run(name, count)
        with _printing:
            failed += not result.held
            print(line(name, count, result, as_json=as_json), flush=True)

    if not as_json:
        print(header(), flush=True)
    began = time.monotonic()
    beside = [name for name in names if name in ROWS and (quick or not ROWS[name].alone)]
    with ThreadPoolExecutor(jobs) as pool:
        # The longest first, so that none is left over at the end.
        list(pool.map(one, sorted(beside, key=lambda name: -ROWS[name].minutes)))
    for name in names:
        if name not in beside:
            one(name)
    if not as_json:
        print(f"\n{len(names)} rows, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    return failed


def plants(names: list[str]) -> int:
    """Run the planted bugs; return how many were not found."""
    failed = 0
    print("| planted bug | by | found | seconds |\n|---|---|---|---|", flush=True)
    for name, (row, n, _) in PLANTS.items():
        if names and row not in names:
            continue
        result = run(row, n, name)
        failed += result.held
        print(f"| {name} | {row} | {'NO' if result.held else 'yes'} | {result.seconds:.0f} |", flush=True)
    return failed


def main() -> int:
    """Run what the command line names; return 1 if a row does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}, {H1}")
    parser.add_argument("--quick", action="store_true", help="with the N of the normal test run")
    parser.add_argument("--n", type=int, help="with this N")
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time that need not run alone (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    parser.add_argument("--plants", action="store_true", help="run the planted bugs (of the rows named)")
    parser.add_argument("--control", action="store_true", help="run the same deaths with the standard library's queue")
    args = parser.parse_args()
    unknown = [name for name in args.rows if name not in (*ROWS, H1)]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}, {H1}")
    if args.control:
        return subprocess.run([sys.executable, str(HERE / "chaos_control.py")]).returncode
    if args.plants:
        return int(plants(args.rows) > 0)
    names = args.rows or [*(name for name, row in ROWS.items() if row.quick or not args.quick), H1]
    return int(table(names, quick=args.quick, n=args.n, jobs=args.jobs, as_json=args.json) > 0)


if __name__ == "__main__":
    sys.exit(main())
