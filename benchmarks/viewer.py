"""The speed of `mplog view`: the rows of the viewer's goals, beside grep, jq, lnav and klp where they are installed.

python -m benchmarks.viewer [--size MB] [--rounds N] [--klp PATH] [--only PARTS]

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
    stamp = ""
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
    return "fails" if run is None else f"{run.wall:.3f} s (CPU {run.cpu:.3f} s)"


def _rate(run: Run | None, size: int, *, a_core: bool = False) -> str:
    """Return a rate; `a_core` divides by CPU time, which other work on the machine disturbs less."""
    return "fails" if run is None else f"{size / (run.cpu if a_core else run.wall) / 1e9:.2f} GB/s"


def _records(run: Run | None, count: int, *, a_core: bool = False) -> str:
    return "fails" if run is None else f"{count / (run.cpu if a_core else run.wall) / 1e3:,.0f} k/s"


class Bench:
    """Measure the rows of the table, one method each.

    Args:
        directory: with `large.json`, `small.json` and `small.log`, the same records as text.
        counts: how many records the first two have.
        args: the options.
    """

    def __init__(self, directory: Path, counts: tuple[int, int], args: argparse.Namespace) -> None:
        self.directory, self.args = directory, args
        self.rounds = args.rounds
        self.large, self.small, self.text = (directory / name for name in ("large.json", "small.json", "small.log"))
        self.size, self.small_size = self.large.stat().st_size, self.small.stat().st_size
        self.count, self.small_count = counts
        self.view = [*MPLOG, "view", str(self.large)]
        self.gigabytes = f"{self.size / 1e9:.1f} GB"
        self.one, self.all = {"MPLOG_JOBS": "1"}, {"MPLOG_JOBS": str(len(os.sched_getaffinity(0)))}

    def last(self) -> Row:
        """Measure `-n 20`."""
        found = {"mplog": _seconds(measure([*self.view, "-n", "20"], 5))}
        if shutil.which("jq"):
            found["tail, jq"] = _seconds(_shell(f"tail -n 20 {self.large} | jq -c .", 5))
        return Row(f"the last 20 of {self.gigabytes} (`-n 20`)", "0.15 s", found)

    def since(self) -> Row:
        """Measure `--since`."""
        begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + int(self.count * _STEP) - 60))
        found = {"mplog": _seconds(measure([*self.view, "-S", begin], 5))}
        return Row(f"the last minute of {self.gigabytes} (`--since`, 12,000 records shown)", "0.2 s", found)

    def level(self) -> Row:
        """Measure `-l error`."""
        command = [*self.view, "-l", "error"]
        pattern = '"level":"(ERROR|CRITICAL)"'
        found = {
            "mplog a core": _rate(measure(command, self.rounds, self.one), self.size, a_core=True),
            "mplog": _rate(measure(command, self.rounds, self.all), self.size),
            "grep (lines as they are)": _rate(_shell(f"grep -E '{pattern}' {self.large}", self.rounds), self.size),
        }
        if shutil.which("jq"):
            condition = 'select(.level=="ERROR" or .level=="CRITICAL")'
            found["jq"] = _rate(_shell(f"jq -c '{condition}' {self.small}", self.rounds), self.small_size)
        if self.args.klp:
            klp = measure([self.args.klp, "-f", "jsonl", "-l", "error", str(self.small)], self.rounds)
            found["klp"] = _rate(klp, self.small_size)
        return Row(f"`-l error`, 2 % of {self.gigabytes}", "1 GB/s a core", found)

    def grep(self) -> Row:
        """Measure `-g`, case ignored."""
        command = [*self.view, "-g", "item/99"]
        found = {
            "mplog a core": _rate(measure(command, self.rounds, self.one), self.size, a_core=True),
            "mplog": _rate(measure(command, self.rounds, self.all), self.size),
            "grep -i": _rate(_shell(f"grep -i 'item/99' {self.large}", self.rounds), self.size),
        }
        return Row(f"`-g item/99`, case ignored, {self.gigabytes}", "", found)

    def context(self) -> Row:
        """Measure context lines, counted in the same process."""
        found = {"mplog": _seconds(measure([*self.view, "-l", "critical", "-C", "2"], self.rounds))}
        return Row(f"`-l critical -C 2`, 0.2 % of {self.gigabytes}", "", found)

    def summaries(self) -> Row:
        """Measure what counts every record."""
        found = {
            f"mplog {name}": _seconds(measure([*MPLOG, name, str(self.large)], self.rounds, self.all))
            for name in ("stats", "ps", "check")
        }
        return Row(f"`stats`, `ps`, `check` of {self.gigabytes}", "", found)

    def everything(self) -> Row:
        """Measure the pretty printing of every record."""
        command = [*MPLOG, "view", str(self.small), "--color", "always"]
        found = {
            "mplog a core": _records(measure(command, self.rounds, self.one), self.small_count, a_core=True),
            "mplog": _records(measure(command, self.rounds, self.all), self.small_count),
        }
        if shutil.which("jq"):
            found["jq -C"] = _records(_shell(f"jq -C . {self.small}", self.rounds), self.small_count)
        if self.args.klp:
            klp = [self.args.klp, "-f", "jsonl", "-c", str(self.small)]
            found["klp"] = _records(measure(klp, self.rounds), self.small_count)
        if shutil.which("lnav"):
            found["lnav -n"] = _records(measure(["lnav", "-n", str(self.small)], self.rounds), self.small_count)
        return Row(f"everything, coloured ({self.small_count:,} records)", "80 k/s a core", found)

    def as_text(self) -> Row:
        """Measure mplog's text layout."""
        view, size = [*MPLOG, "view", str(self.text)], self.text.stat().st_size
        error = _rate(measure([*view, "-l", "error"], self.rounds, self.one), size, a_core=True)
        shown = measure([*view, "--color", "always"], self.rounds, self.one)
        found = {"mplog a core": f"{error}, {_records(shown, self.small_count, a_core=True)}"}
        return Row(f"text, {size / 1e6:.0f} MB: `-l error`, everything", "", found)

    def memory(self) -> Row:
        """Measure the peak of memory."""
        commands = {
            "`-l error`": ["-l", "error"],
            "everything": ["-m", "500000"],
            "`-n 20`": ["-n", "20"],
            "`-r`": ["-r", "-m", "200000"],
        }
        peaks = {what: measure([*self.view, *command], 1, self.one) for what, command in commands.items()}
        shown = ", ".join(f"{what} {run.memory:.0f} MB" for what, run in peaks.items() if run is not None)
        return Row(f"peak memory, {self.gigabytes}", "60 MB", {"mplog": shown})

    def long_line(self) -> Row:
        """Measure a record of 10 MB."""
        path = self.directory / "long.json"
        path.write_bytes(b'{"time":"2026-11-22T11:11:11.000000Z","level":"INFO","msg":"' + b"y" * 10**7 + b'"}\n')
        return Row("a line of 10 MB, shown", "no stall", {"mplog": _seconds(measure([*MPLOG, "view", str(path)], 3))})

    def follow(self) -> Row:
        """Measure from write to output."""
        waits = follow_latencies(self.directory, 200)
        p50, p99 = statistics.median(waits), waits[int(len(waits) * 0.99)]
        return Row(
            "follow: from write to output", "p99 50 ms", {"mplog": f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms"}
        )

    def start(self) -> Row:
        """Measure what the command costs before it does anything."""
        found = {
            "mplog": _seconds(measure([*MPLOG, "view", "--help"], 5)),
            "python -c pass": _seconds(measure([sys.executable, "-c", "pass"], 5)),
        }
        return Row("`mplog view --help`", "", found)

    def rows(self) -> Iterator[Row]:
        """Measure and yield every row, or those that --only names."""
        for part in PARTS:
            if not self.args.only or part in self.args.only.split(","):
                yield getattr(self, part)()


PARTS = (
    "last",
    "since",
    "level",
    "grep",
    "context",
    "summaries",
    "everything",
    "as_text",
    "memory",
    "long_line",
    "follow",
    "start",
)


def _shell(command: str, rounds: int) -> Run | None:
    """Measure a shell command; its output goes through a pipe, since grep stops at once if it is /dev/null."""
    return measure(["sh", "-c", f"{command} | cat"], rounds)


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
    system = f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}"
    return f"{cpu}, {system}; {shown}; load average {os.getloadavg()[0]:.1f}"


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
    parser.add_argument("--only", metavar="PARTS", help=f"only these rows, of {', '.join(PARTS)}")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mplog-bench-"))
    try:
        large, small, text = directory / "large.json", directory / "small.json", directory / "small.log"
        counts = _written(large, args.size * 1_000_000), _written(small, 60_000_000)
        write_text(small, text)
        print(f"Machine: {machine()}" + (f", klp {_version([args.klp, '--version'])}" if args.klp else "") + "\n")
        print("| what | goal | measured |\n|---|---|---|")
        for row in Bench(directory, counts, args).rows():
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
