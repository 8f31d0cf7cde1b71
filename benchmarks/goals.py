"""The goals, as ratios of one run: a line a goal, measured beside asked for. Runs in the conductor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.summary import Rows

MINE = {"contender": "mplog"}

# Records/s of mplog by those of each rival, 4 workers, one JSON file.
_RATES = {
    "stdlib recipe": 15.0,
    "loguru enqueue": 25.0,
    "concurrent-log-handler": 14.0,
    "own FileHandler": 4.0,
}
_CALLS = {
    "stdlib logger": ("no-op", 0.75),
    "get_logger": ("no-op", 0.5),
    "disabled, mplog set up": ("disabled", 1.05),
}
_STARTUP = {"import": 15.0, "attach": 1.0, "setup": 30.0}


@dataclass(frozen=True)
class Goal:
    """A figure and its limit.

    Args:
        name: what is measured, with its unit.
        limit: what it must not exceed, or must reach if `at_least`.
        measured: the figure, None if it was not measured.
        at_least: whether more is better.
    """

    name: str
    limit: float
    measured: float | None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure was measured and is within its limit."""
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        """Return one line: verdict, name, limit, figure."""
        sign = ">=" if self.at_least else "<="
        measured = "not measured" if self.measured is None else f"{self.measured:,.3f}"
        return f"{'ok' if self.met else 'NOT OK':6}  {self.name:72} {sign} {self.limit:<12,.3f} {measured:>15}"


def goals(rows: Rows, pythons: list[str]) -> list[Goal]:
    """Return all goals with what `rows` say about them."""
    return [
        *_caller(rows, pythons),
        *_throughput(rows),
        *_latency(rows),
        *_listener(rows),
        *_startup(rows, pythons),
    ]


def _caller(rows: Rows, pythons: list[str]) -> Iterator[Goal]:
    for python in pythons:
        for variant, (base, limit) in _CALLS.items():
            ratio = rows.ratio("ns", "caller", {"variant": variant}, {"variant": base}, python=python)
            yield Goal(f"caller, Python {python}: {variant} / {base}", limit, ratio)


def _throughput(rows: Rows) -> Iterator[Goal]:
    for rival, limit in _RATES.items():
        ratio = rows.ratio("rate", "burst", MINE, {"contender": rival})
        yield Goal(f"records/s, 4 workers: mplog / {rival}", limit, ratio, at_least=True)
    ratio = rows.ratio("cpu_us", "burst", MINE, {"contender": "stdlib recipe"})
    yield Goal("CPU a record, all processes: mplog / stdlib recipe", 1 / 9, ratio)
    many = rows.ratio("rate", "workers", {"workers": 64}, {"workers": 4}, **MINE)
    yield Goal("records/s: 64 workers / 4 workers", 0.8, many, at_least=True)
    for section in ("burst", "text", "workers", "methods", "paced"):
        for name in ("lost", "duplicated"):
            yield Goal(f"{section}: records {name}, worst run", 0, rows.worst(name, section, **MINE))


def _latency(rows: Rows) -> Iterator[Goal]:
    pairs = [(rows.median(name, "latency", busy=False, **MINE)) for name in ("p99", "p50")]
    spread = pairs[0] / pairs[1] if pairs[0] is not None and pairs[1] else None
    yield Goal("call latency, one process: p99 / p50", 4.0, spread)
    busy = rows.median("p99", "latency", busy=True, **MINE)
    yield Goal("call latency beside a CPU-bound thread: p99, microseconds", 100.0, busy)


def _listener(rows: Rows) -> Iterator[Goal]:
    rate = rows.median("rate", "listener", variant="JSON file")
    yield Goal("listener, full journals to a JSON file, one core: records/s", 1e6, rate, at_least=True)
    yield Goal("200 idle processes: listener's share of a core", 0.01, rows.median("listener_share", "idle"))
    yield Goal("200 idle processes: KiB of spool a process", 200.0, rows.median("spool_kib", "idle"))


def _startup(rows: Rows, pythons: list[str]) -> Iterator[Goal]:
    for python in pythons:
        for step, limit in _STARTUP.items():
            yield Goal(f"startup, Python {python}: {step}, ms", limit, rows.median(step, "startup", python=python))
