"""Run every benchmark in turn, keep the raw figures, print the tables and check the goals.

python -m benchmarks.run                 everything, about half an hour on two cores
python -m benchmarks.run --quick         a few minutes
python -m benchmarks.run --check         also one line per goal; exit code 1 if any is missed
python -m benchmarks.run --from FILE     tables and goals of an earlier run
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.environment import describe, find_python, make_environment, version
from benchmarks.goals import goals
from benchmarks.sections import QUICK, Size, run, sections
from benchmarks.summary import Rows
from benchmarks.tables import document

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure or read a run, print its tables, and return the exit code."""
    arguments = _parser().parse_args()
    report = json.loads(arguments.source.read_text()) if arguments.source else _measure(arguments)
    rows, machine = Rows(report["rows"]), report["machine"]
    print(document(machine, rows))
    if not arguments.check:
        return 0
    results = goals(rows, [*machine["pythons"], *machine["missing"]])
    for goal in results:
        print(goal.line())
    return 0 if all(goal.met for goal in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, fewer records")
    parser.add_argument("--check", action="store_true", help="a line per goal, exit code 1 if any is missed")
    parser.add_argument("--rounds", type=int, help="how often every contender has its turn")
    parser.add_argument("--only", type=_names, default=[], help="sections to run, with commas between")
    parser.add_argument(
        "--contenders", type=_names, default=list(contenders.ALL), help="contenders, with commas between"
    )
    parser.add_argument(
        "--pythons",
        type=_names,
        default=["3.11", "3.12", "3.13"],
        help="versions or interpreters; the first runs all",
    )
    parser.add_argument("--environments", type=Path, help="keep the virtual environments here (default: temporary)")
    parser.add_argument("--as-is", action="store_true", help="use the interpreters as they are, install nothing")
    parser.add_argument("--from", dest="source", type=Path, help="read this raw JSON instead of measuring")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and store the raw rows, after every section, so that an interrupted run keeps what it has."""
    with tempfile.TemporaryDirectory(prefix="mplog-benchmarks-") as temporary:
        pythons, missing = _pythons(arguments, arguments.environments or Path(temporary))
        size = QUICK if arguments.quick else Size()
        size = dataclasses.replace(size, rounds=arguments.rounds or size.rounds)
        machine = describe(pythons) | {
            "missing": missing,
            "rounds": size.rounds,
            "size": dataclasses.asdict(size),
        }
        installed = [name for name in arguments.contenders if _installed(name, machine["versions"])]
        report: dict[str, Any] = {"machine": machine, "rows": []}
        RESULTS.mkdir(exist_ok=True)
        target = RESULTS / f"{machine['date'].replace(':', '').partition('+')[0]}.json"
        for name, section in sections(size, installed).items():
            if arguments.only and name not in arguments.only:
                continue
            for row in run(name, section, rounds=size.rounds, pythons=pythons):
                report["rows"].append(row)
                print(_progress(row), file=sys.stderr, flush=True)
            target.write_text(json.dumps(report, indent=1))
    print(f"Raw figures: {target}", file=sys.stderr)
    return report


def _pythons(arguments: argparse.Namespace, directory: Path) -> tuple[dict[str, str], list[str]]:
    """Return an interpreter for each version asked for, and the versions that are not here."""
    found: dict[str, str] = {}
    missing = []
    for name in arguments.pythons:
        python = find_python(name)
        if python is None:
            print(f"No interpreter {name!r} here; its goals count as missed.", file=sys.stderr)
            missing.append(name)
            continue
        label = version(python)
        rivals = not found
        found[label] = python if arguments.as_is else make_environment(python, directory / label, rivals=rivals)
    if not found:
        raise SystemExit("None of the interpreters in `--pythons` can be run; name one that can, or a path to it.")
    return found, missing


def _installed(name: str, versions: dict[str, str | None]) -> bool:
    distribution = contenders.ALL[name].distribution
    return distribution is None or versions.get(distribution) is not None


def _progress(row: dict[str, Any]) -> str:
    result = row["result"]
    shown = (
        "rate",
        "cpu_us",
        "lost",
        "p50",
        "p99",
        "ns",
        "found",
        "listener_share",
        "import",
        "attach",
        "setup",
    )
    figures = " ".join(f"{name}={result[name]:,.4g}" for name in shown if result.get(name) is not None)
    plan = " ".join(str(value) for value in row["plan"].values())
    where = f"{row['section']:9} round {row['round'] + 1} Python {row['python']} {plan}"
    return f"{where}: {result['status']} {figures}"


if __name__ == "__main__":
    sys.exit(main())
