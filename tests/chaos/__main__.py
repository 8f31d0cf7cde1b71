"""Tier L of the fault suite, and the control: ``python -m tests.chaos [ROW ...]`` prints each row with its N.

Takes about an hour on two cores. ``--quick`` runs the N of the normal test run, ``--plants`` the planted bugs,
``--control`` the same kills against the standard library's queue.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from chaos_plants import PLANTS  # noqa: E402
from chaos_rows import ROWS  # noqa: E402


def run(row: str, n: int, plant: str = "") -> tuple[bool, str, float]:
    """Run one row in a process of its own; return whether it held, its last line, and the seconds it took."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / "chaos_plants.py"), row, str(n)],
        capture_output=True,
        text=True,
        env={**os.environ, "CHAOS_PLANT": plant},
    )
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["no output"]
    return done.returncode == 0, lines[-1], time.monotonic() - began


def state_machine(examples: int) -> tuple[bool, str, float]:
    """Run H1."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout=0", str(HERE / "test_state_machine.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "H1_EXAMPLES": str(examples)},
    )
    return done.returncode == 0, done.stdout.strip().splitlines()[-1], time.monotonic() - began


def main() -> int:
    """Run what the command line names; return 1 if a row does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}, H1")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plants", action="store_true")
    parser.add_argument("--control", action="store_true")
    args = parser.parse_args()
    failed = 0
    if args.control:
        return subprocess.run([sys.executable, str(HERE / "chaos_control.py")]).returncode
    if args.plants:
        for name, (row, n, _) in PLANTS.items():
            held, _, seconds = run(row, n, name)
            failed += held
            print(f"{'NOT FOUND' if held else 'found':<10} {name:<22} by {row} in {seconds:.0f} s", flush=True)
        return int(failed > 0)
    for row in args.rows or [*ROWS, "H1"]:
        if row == "H1":
            n = 40 if args.quick else 20_000
            held, line, seconds = state_machine(n)
        else:
            n = ROWS[row][1 if args.quick else 2]
            held, line, seconds = run(row, n)
        failed += not held
        print(f"{'pass' if held else 'FAIL'} {row:<4} N={n:<9,} {seconds:6.0f} s  {line}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
