"""What is measured: for each section the function, and the plans that take turns in every round."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from benchmarks import caller, contenders, kills, listener
from benchmarks.measure import Result, run_fresh

Plan = dict[str, Any]
Row = dict[str, Any]

WORKERS = (1, 2, 4, 8, 64)
PACE = 500.0


@dataclass(frozen=True)
class Size:
    """How much a run measures.

    Args:
        rounds: how often every plan has its turn.
        records: records a worker in the comparison of all contenders.
        total: records of all workers together elsewhere, and more where a worker would have less than a quarter of
            `records`.
        calls: timed calls of the latency section.
        seconds: how long idle and paced runs take.
    """

    rounds: int = 5
    records: int = 20_000
    total: int = 40_000
    calls: int = 50_000
    seconds: float = 5.0


QUICK = Size(rounds=2, records=5_000, total=6_400, calls=10_000, seconds=2.0)


@dataclass(frozen=True)
class Section:
    """Plans of one kind; `every_python` runs them under every interpreter, not only the first."""

    measure: Callable[..., Result]
    plans: list[Plan]
    every_python: bool = False


def sections(size: Size, names: Iterable[str]) -> dict[str, Section]:
    """Return all sections, with the contenders `names`, as large as `size` says."""
    names = list(names)
    ours = [name for name in names if issubclass(contenders.ALL[name], contenders.Mplog)]

    def fresh(module: str, **options: Any) -> Callable[..., Result]:
        return partial(_fresh, module, **options)

    four = {"workers": 4, "records": size.total // 4}
    throughput = fresh("throughput", timeout=60 + size.records * 4 / 2_000)
    paced = {"workers": 4, "records": int(PACE * size.seconds), "pace": PACE, "timed": True}
    every = [{"contender": name} for name in names]
    return {
        "burst": Section(throughput, [plan | {"workers": 4, "records": size.records} for plan in every]),
        "ceiling": Section(fresh("ceiling"), [{"records": size.records}] if ours else []),
        "text": Section(throughput, [plan | four | {"file_format": "text"} for plan in every]),
        "workers": Section(
            throughput,
            # Each logs for so long that what is measured is not how long it takes to end 64 processes.
            [
                plan | {"workers": n, "records": max(size.total // n, size.records // 4)}
                for plan, n in product(every, WORKERS)
            ],
        ),
        "methods": Section(
            throughput,
            [
                plan | four | {"method": method}
                for plan, method in product(every, contenders.START_METHODS)
                if method in contenders.ALL[plan["contender"]].start_methods
            ],
        ),
        "paced": Section(throughput, [plan | paced for plan in every]),
        "latency": Section(
            fresh("latency"),
            [plan | {"records": size.calls, "busy": busy} for plan, busy in product(every, (False, True))],
        ),
        "caller": Section(fresh("caller"), [{"variant": name} for name in caller.VARIANTS] if ours else [], True),
        "listener": Section(
            fresh("listener"),
            [{"variant": name, "records": size.records} for name in listener.VARIANTS] if ours else [],
        ),
        "idle": Section(fresh("idle"), [{"seconds": size.seconds}] if ours else []),
        "durable": Section(fresh("durable"), [{"durable": durable} for durable in (False, True)] if ours else []),
        "startup": Section(fresh("startup"), [{}] if ours else [], True),
        "kills": Section(_kill, [plan | {"death": death} for plan, death in product(every, kills.DEATHS)]),
    }


def run(section: str, what: Section, *, rounds: int, pythons: dict[str, str]) -> Iterator[Row]:
    """Run every plan of `what` once a round, in an order of its own each round, and yield the rows."""
    turns = list(product(what.plans, pythons if what.every_python else list(pythons)[:1]))
    for number in range(rounds):
        # Shuffled, with a seed, so that no contender always runs behind the same other one.
        for plan, version in random.Random(number).sample(turns, len(turns)):
            result = what.measure(plan, python=pythons[version])
            yield {"section": section, "round": number, "python": version, "plan": plan, "result": result}


def _fresh(module: str, plan: Plan, *, python: str, timeout: float = 120.0) -> Result:
    return run_fresh(module, plan, python=python, timeout=timeout)


def _kill(plan: Plan, *, python: str = sys.executable) -> Result:
    return kills.count(**plan, python=python)
