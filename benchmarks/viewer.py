"""The speed of `mplog view`: the rows of the viewer's goals, beside grep, jq, lnav and klp where they are installed.

python -m benchmarks.viewer [--size MB] [--rounds N] [--klp PATH] [--quick]

Runs every command as a user does, output to /dev/null, best of a few rounds, and prints a table with machine and
versions. Nothing else should run meanwhile. Needs `--size` of free space in the temporary directory.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MPLOG = [sys.executable, "-m", "mplog"]
START = 1_795_345_871
_STEP = 0.005


def write_log(path: Path, size: int) -> int:
    """Write a log of `size` bytes of eight workers, 2 % errors, and return the number of records."""
    chance = random.Random(1)
    bodies = [_body(chance) for _ in range(20_000)]
    written = count = 0
    with path.open("wb", buffering=1 << 20) as file:
        while written < size:
            lines = []
            for body in bodies:
                moment = count * _STEP
                second, micro = int(moment), int(moment % 1 * 1e6)
                if not count % 200:
                    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START + second))
                lines.append(f'{{"time":"{stamp}.{micro:06d}Z",{body}')
                count += 1
            block = "".join(lines).encode()
            file.write(block)
            written += len(block)
    return count


def write_text(source: Path, path: Path) -> None:
    """Write the records of a log in mplog's text layout."""
    import json

    from mplog.formatters import TextFormatter

    layout = TextFormatter()
    with source.open("rb") as lines, path.open("w", buffering=1 << 20) as file:
        for line in lines:
            file.write(layout.format_line(json.loads(line)) + "\n")


def _written(path: Path, size: int) -> int:
    """Write a log in a process of its own: what it takes in memory would count for every later child."""
    program = (
        "import sys; from pathlib import Path; from benchmarks.viewer import write_log; "
        "print(write_log(Path(sys.argv[1]), int(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, str(path), str(size)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _body(chance: random.Random) -> str:
    """Return a record behind its time."""
    worker = chance.randrange(1, 9)
    level = chance.choices(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], [30, 63, 5, 1.8, 0.2])[0]
    text = chance.choice(
        [
            "job %d finished in %.1f ms",
            "fetched https://example.org/item/%d (%.1f)",
            "cache miss for key %d, ttl %.2f",
        ]
    ) % (chance.randrange(10**6), chance.random() * 900)
    own = f',"dur_ms":{chance.random() * 900:.1f},"user":{chance.randrange(99)}' if chance.random() < 0.5 else ""
    if level == "ERROR" and chance.random() < 0.3:
        own += (
            ',"exc":{"type":"ValueError","module":"builtins","message":"no such user","frames":['
            '{"file":"/srv/app/src/app/jobs.py","line":12,"func":"work","source":"self.run()"},'
            '{"file":"/srv/app/src/app/db.py","line":99,"func":"query","source":"raise ValueError(name)"}],'
            '"text":"Traceback (most recent call last):\\n  File \\"/srv/app/src/app/jobs.py\\", line 12, in work\\n'
            '    self.run()\\n  File \\"/srv/app/src/app/db.py\\", line 99, in query\\n    raise ValueError(name)\\n'
            'ValueError: no such user"}'
        )
    return (
        f'"level":"{level}","msg":"{text}","logger":"app.{chance.choice(["jobs", "db", "http.client"])}",'
        f'"process":"ForkPoolWorker-{worker}","pid":{12000 + worker},"thread":"MainThread",'
        f'"file":"/srv/app/src/app/jobs.py","line":{chance.randrange(400)},"func":"work",'
        f'"seq":{chance.randrange(10**6)}{own}}}\n'
    )


class Run(NamedTuple):
    """What a command took: CPU and wall time in seconds, and the peak of its memory in MB."""

    cpu: float
    wall: float
    memory: float


def measure(command: list[str], rounds: int, env: dict[str, str] | None = None) -> Run | None:
    """Return the best of a few runs of a command; None if it fails."""
    runs = []
    for _ in range(rounds):
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", **(env or {})},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            return None
        runs.append(Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024))
    return Run(*(min(column) for column in zip(*runs, strict=True)))


class Row(NamedTuple):
    """A line of the table: what, the goal, and one measured column a contender."""

    what: str
    goal: str
    found: dict[str, str]


def _seconds(run: Run | None) -> str:
    return "fails" if run is None else f"{run.wall:.3f} s"


def _rate(run: Run | None, size: int, *, a_core: bool = False) -> str:
    """Return a rate; `a_core` divides by CPU time, which other work on the machine disturbs less."""
    return "fails" if run is None else f"{size / (run.cpu if a_core else run.wall) / 1e9:.2f} GB/s"


def _records(run: Run | None, count: int, *, a_core: bool = False) -> str:
    return "fails" if run is None else f"{count / (run.cpu if a_core else run.wall) / 1e3:,.0f} k/s"


def rows(large: Path, small: Path, text: Path, counts: tuple[int, int], args: argparse.Namespace) -> Iterator[Row]:
    """Measure and yield the rows of the table."""
    size, rounds = large.stat().st_size, args.rounds
    last_minute = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + int(counts[0] * _STEP) - 60))
    since = [*MPLOG, "view", str(large), "-S", last_minute]
    one, both = {"MPLOG_JOBS": "1"}, {"MPLOG_JOBS": str(len(os.sched_getaffinity(0)))}
    view = [*MPLOG, "view", str(large)]
    gigabyte = f"{size / 1e9:.1f} GB"

    yield Row(
        f"the last 20 of {gigabyte} (`-n 20`)", "0.15 s",
        {"mplog": _seconds(measure([*view, "-n", "20"], 5)), "tail | jq": _seconds(_shell(f"tail -n 20 {large} | jq -c .", 5))},
    )  # fmt: skip
    yield Row(
        f"the last minute of {gigabyte} (`--since`, 12,000 records)", "0.2 s",
        {"mplog": _seconds(measure(since, 5))},
    )  # fmt: skip
    error = [*view, "-l", "error"]
    found = {
        "mplog a core": _rate(measure(error, rounds, one), size, a_core=True),
        "mplog": _rate(measure(error, rounds, both), size),
        "grep": _rate(_shell(f'grep -E \'"level":"(ERROR|CRITICAL)"\' {large}', rounds), size),
    }
    if shutil.which("jq") and not args.quick:
        jq = _shell(f'jq -c \'select(.level=="ERROR" or .level=="CRITICAL")\' {small}', 1)
        found["jq"] = _rate(jq, small.stat().st_size)
    if args.klp:
        klp = measure([args.klp, "-f", "jsonl", "-l", "error", str(small)], 1)
        found["klp"] = _rate(klp, small.stat().st_size)
    yield Row(f"`-l error`, 2 % of {gigabyte}", "1 GB/s a core", found)
    yield Row(
        f"`-g 'item/99'`, {gigabyte}", "",
        {
            "mplog a core": _rate(measure([*view, "-g", "item/99"], rounds, one), size, a_core=True),
            "mplog": _rate(measure([*view, "-g", "item/99"], rounds, both), size),
            "grep": _rate(_shell(f"grep 'item/99' {large}", rounds), size),
        },
    )  # fmt: skip
    everything = [*MPLOG, "view", str(small), "--color", "always"]
    found = {
        "mplog a core": _records(measure(everything, rounds, one), counts[1], a_core=True),
        "mplog": _records(measure(everything, rounds, both), counts[1]),
    }
    if shutil.which("jq"):
        found["jq -C"] = _records(_shell(f"jq -C . {small}", 1), counts[1])
    if args.klp:
        found["klp"] = _records(measure([args.klp, "-f", "jsonl", "-c", str(small)], 1), counts[1])
    if shutil.which("lnav"):
        lnav = measure(["lnav", "-n", str(small)], 1)
        found["lnav -n"] = _records(lnav, counts[1])
    yield Row(f"everything, coloured ({counts[1]:,} records)", "80 k/s a core", found)
    in_text = [*MPLOG, "view", str(text)]
    yield Row(
        f"the same as text: `-l error`, {text.stat().st_size / 1e6:.0f} MB; everything", "",
        {
            "mplog a core": _rate(measure([*in_text, "-l", "error"], rounds, one), text.stat().st_size, a_core=True)
            + ", " + _records(measure([*in_text, "--color", "always"], rounds, one), counts[1], a_core=True),
        },
    )  # fmt: skip
    runs = {
        "`-l error`": error,
        "everything": [*view, "-m", "500000"],
        "`-n 20`": [*view, "-n", "20"],
        "`-r`": [*view, "-r", "-m", "200000"],
    }
    peaks = {what: measure(command, 1, one) for what, command in runs.items()}
    yield Row(
        f"peak memory, {gigabyte}", "60 MB",
        {"mplog": ", ".join(f"{what} {run.memory:.0f} MB" for what, run in peaks.items() if run is not None)},
    )  # fmt: skip
    yield Row("a line of 10 MB, shown", "no stall", {"mplog": _seconds(_long_line(large.parent))})
    waits = follow_latencies(large.parent, 200)
    yield Row(
        "follow: from write to output", "p99 50 ms",
        {"mplog": f"p50 {statistics.median(waits) * 1e3:.0f} ms, p99 {waits[int(len(waits) * 0.99)] * 1e3:.0f} ms"},
    )  # fmt: skip
    yield Row(
        "`mplog view --help`",
        "",
        {
            "mplog": _seconds(measure([*MPLOG, "view", "--help"], 5)),
            "python -c pass": _seconds(measure([sys.executable, "-c", "pass"], 5)),
        },
    )


def _shell(command: str, rounds: int) -> Run | None:
    """Measure a shell command; its output goes through a pipe, since grep stops at once if it is /dev/null."""
    return measure(["sh", "-c", f"{command} | cat"], rounds)


def _long_line(directory: Path) -> Run | None:
    path = directory / "long.json"
    path.write_bytes(b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"' + b"y" * 10_000_000 + b'"}\n')
    return measure([*MPLOG, "view", str(path)], 3)


def follow_latencies(directory: Path, count: int) -> list[float]:
    """Return the sorted seconds from a line's write to its appearance in the output of `mplog tail`."""
    path = directory / "follow.json"
    path.write_bytes(b"")
    process = subprocess.Popen([*MPLOG, "tail", str(path), "--template", "{seq}"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    waits = []
    chance = random.Random(2)
    try:
        with path.open("ab", buffering=0) as file:
            for number in range(count + 5):
                time.sleep(chance.random() * 0.05)
                begin = time.perf_counter()
                file.write(b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"x","seq":%d}\n' % number)
                if process.stdout.readline() != b"%d\n" % number:
                    raise RuntimeError("mplog tail showed something else")
                waits.append(time.perf_counter() - begin)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return sorted(waits[5:])


def _version(command: list[str], pattern: str = r"\d+\.\d+[\w.]*") -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return "not installed"
    match = re.search(pattern, answer.stdout + answer.stderr)
    return match[0] if match else "?"


def machine() -> str:
    """Return one line on the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    try:
        match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        cpu = match[1] if match else cpu
    except OSError:
        pass
    versions = {
        "Python": platform.python_version(),
        "grep": _version(["grep", "--version"]),
        "jq": _version(["jq", "--version"], r"\d[\w.]*"),
        "lnav": _version(["lnav", "-V"]),
    }
    shown = ", ".join(f"{name} {value}" for name, value in versions.items())
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}; {shown}"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=1000, metavar="MB", help="of the large file (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command, the best counts (default 3)")
    parser.add_argument(
        "--klp",
        default=shutil.which("klp"),
        metavar="PATH",
        help="the program klp (pip install klp-logviewer)",
    )
    parser.add_argument("--quick", action="store_true", help="leave out jq on many records")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mplog-bench-"))
    try:
        large, small, text = directory / "large.json", directory / "small.json", directory / "small.log"
        counts = _written(large, args.size * 1_000_000), _written(small, 60_000_000)
        write_text(small, text)
        print(f"Machine: {machine()}" + (f", klp {_version([args.klp, '--version'])}" if args.klp else "") + "\n")
        print("| what | goal | measured |\n|---|---|---|")
        for row in rows(large, small, text, counts, args):
            shown = "; ".join(
                f"{name} **{value}**" if name.startswith("mplog") else f"{name} {value}"
                for name, value in row.found.items()
            )
            print(f"| {row.what} | {row.goal} | {shown} |", flush=True)
    finally:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
