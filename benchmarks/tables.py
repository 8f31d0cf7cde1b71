"""The README's Markdown tables, made from the raw rows of a run. Runs in the conductor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import caller, contenders, kills, listener
from benchmarks.summary import Rows

NOTHING = "–"


def document(machine: dict[str, Any], rows: Rows) -> str:
    """Return all tables, below a paragraph on machine, versions and rounds; without what was not measured."""
    parts = [_heading(machine)]
    for section, title, make in _TABLES:
        if rows.select(section):
            parts.append(f"### {title}\n\n{make(rows)}")
    if failures := rows.failures():
        parts.append("Runs without a figure:\n\n" + "\n".join(f"- {failure}" for failure in failures))
    return "\n\n".join(parts) + "\n"


def _heading(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version or '(not installed)'}" for name, version in machine["versions"].items())
    pythons = ", ".join(machine["pythons"].values())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {pythons}; {versions}; "
        f"commit {machine['commit']}, {machine['date']}, load at the start {machine['load']:.1f}. Medians of "
        f"{machine['rounds']} rounds in turn, every run in a fresh process; ratios hold, absolute figures do "
        "not. A record counts if it is in the file after `close()`."
    )


def _burst(rows: Rows) -> str:
    header = ("", "records/s", "mplog is", "CPU a record", "lost", "duplicated", "call p50", "p99")
    lines = [_contender_row(rows, "burst", name, paced=True) for name in _measured(rows, "burst")]
    ceiling = rows.median("rate", "ceiling")
    if ceiling is not None:
        nothing = [NOTHING] * (len(header) - 2)
        lines.append(["no log: a handler that does nothing", _thousands(ceiling), *nothing])
    return _table(header, lines)


def _text(rows: Rows) -> str:
    header = ("", "records/s", "mplog is", "CPU a record", "lost", "duplicated")
    return _table(header, (_contender_row(rows, "text", name) for name in _measured(rows, "text")))


def _contender_row(rows: Rows, section: str, name: str, *, paced: bool = False) -> list[str]:
    ratio = rows.ratio("rate", section, {"contender": "mplog"}, {"contender": name})
    cells = [
        name,
        _thousands(rows.median("rate", section, contender=name)),
        _figure(ratio, "{:.1f} x"),
        _figure(rows.median("cpu_us", section, contender=name), "{:.1f} µs"),
        *(_figure(rows.worst(kind, section, contender=name), "{:,.0f}") for kind in ("lost", "duplicated")),
    ]
    if paced:
        cells += [_figure(rows.median(p, "latency", contender=name, busy=False), "{:.1f} µs") for p in ("p50", "p99")]
    return cells


def _grid(section: str, column: str) -> Callable[[Rows], str]:
    """Return a table of records/s, contenders by values of `column`; a cell says what was lost or doubled."""

    def make(rows: Rows) -> str:
        values = rows.plans(section, column)

        def cell(name: str, value: Any) -> str:
            where = {"contender": name, column: value}
            text = _thousands(rows.median("rate", section, **where))
            for kind in ("lost", "duplicated"):
                if worst := rows.worst(kind, section, **where):
                    text += f" ({worst:,.0f} {kind})"
            return text

        names = _measured(rows, section)
        return _table(["records/s", *map(str, values)], ([name, *(cell(name, v) for v in values)] for name in names))

    return make


def _paced(rows: Rows) -> str:
    header = ("", "CPU a record", "lost", "duplicated", "call p50", "p99", "p99.9", "max")
    return _table(
        header,
        (
            [
                name,
                _figure(rows.median("cpu_us", "paced", contender=name), "{:.1f} µs"),
                *(_figure(rows.worst(kind, "paced", contender=name), "{:,.0f}") for kind in ("lost", "duplicated")),
                *_call(rows, "paced", contender=name),
            ]
            for name in _measured(rows, "paced")
        ),
    )


def _latency(rows: Rows) -> str:
    quantiles = ("p50", "p99", "p99.9", "max")
    header = ("µs a call", *quantiles, *(f"{quantile}, busy" for quantile in quantiles))
    lines = (
        [
            name,
            *(cell for busy in (False, True) for cell in _call(rows, "latency", contender=name, busy=busy)),
        ]
        for name in _measured(rows, "latency")
    )
    return _table(header, lines) + "\n\nBusy: beside a CPU-bound thread in the same process."


def _call(rows: Rows, section: str, **plan: Any) -> list[str]:
    return [_figure(rows.median(p, section, **plan), "{:,.1f}") for p in ("p50", "p99", "p999", "max")]


def _caller(rows: Rows) -> str:
    pythons = rows.plans("caller", "python")

    def cell(variant: str, python: str) -> str:
        base = "disabled" if variant.startswith("disabled") else "no-op"
        ratio = rows.ratio("ns", "caller", {"variant": variant}, {"variant": base}, python=python)
        nanoseconds = rows.median("ns", "caller", variant=variant, python=python)
        return f"{_figure(ratio, '{:.2f}')} ({_figure(nanoseconds, '{:,.0f}')} ns)"

    lines = ([name, *(cell(name, python) for python in pythons)] for name in caller.VARIANTS)
    return _table(["ratio (a call)", *(f"Python {python}" for python in pythons)], lines)


def _listener(rows: Rows) -> str:
    header = ("full journals to", "records/s", "records a CPU second of the listener", "lost")
    return _table(
        header,
        (
            [
                name,
                _thousands(rows.median("rate", "listener", variant=name)),
                _thousands(rows.median("rate_cpu", "listener", variant=name)),
                _figure(rows.worst("lost", "listener", variant=name), "{:,.0f}"),
            ]
            for name in listener.VARIANTS
        ),
    )


def _idle(rows: Rows) -> str:
    header = ("200 idle attached processes", "")
    share = ("{:.2%} of a core", ("listener_share", "parent_share"))
    lines = [[name.replace("_share", ""), _figure(rows.median(name, "idle"), share[0])] for name in share[1]]
    return _table(header, [*lines, ["spool a process", _figure(rows.median("spool_kib", "idle"), "{:.0f} KiB")]])


def _durable(rows: Rows) -> str:
    lines = []
    for durable in (False, True):
        flushes = [rows.median(name, "durable", durable=durable) for name in ("flush_p50_ms", "flush_p99_ms")]
        call = _figure(rows.median("call_p99_us", "durable", durable=durable), "{:.1f}")
        rate = _thousands(rows.median("rate", "durable", durable=durable))
        lines.append([f"`durable={durable}`", *(_figure(value, "{:.1f}") for value in flushes), call, rate])
    return _table(["", "record and `flush()`, p50 ms", "p99 ms", "call in a burst, p99 µs", "records/s"], lines)


def _startup(rows: Rows) -> str:
    pythons = rows.plans("startup", "python")
    steps = {
        "import in a spawned worker": "import",
        "attach": "attach",
        "first record": "first_record",
        "first `get_logger` record": "get_logger",
        "setup": "setup",
    }
    lines = (
        [label, *(_figure(rows.median(step, "startup", python=python), "{:.1f}") for python in pythons)]
        for label, step in steps.items()
    )
    return _table(["ms", *(f"Python {python}" for python in pythons)], lines)


def _kills(rows: Rows) -> str:
    due = f"{rows.worst('acknowledged', 'kills') or 0:,.0f}"

    def cell(name: str, death: str) -> str:
        plan = {"contender": name, "death": death}
        found, doubled = rows.median("found", "kills", **plan), rows.worst("duplicated", "kills", **plan)
        hung = sum(row["result"]["status"] == "hangs" for row in rows.select("kills", **plan))
        text = _figure(found, "{:,.0f}")
        text += f", hangs {hung} of {len(rows.select('kills', **plan))}" if hung else ""
        return text + (f", {doubled:,.0f} duplicated" if doubled else "")

    names = _measured(rows, "kills")
    return _table(
        [f"of {due} acknowledged", *kills.DEATHS],
        ([name, *(cell(name, death) for death in kills.DEATHS)] for name in names),
    )


def _measured(rows: Rows, section: str) -> list[str]:
    """Return the contenders of `section`, in the order of `contenders.ALL`."""
    there = rows.plans(section, "contender")
    return [name for name in contenders.ALL if name in there]


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines))


def _figure(value: float | None, template: str) -> str:
    return NOTHING if value is None else template.format(value)


def _thousands(value: float | None) -> str:
    return _figure(None if value is None else value / 1000, "{:,.1f} k")


_TABLES: tuple[tuple[str, str, Callable[[Rows], str]], ...] = (
    ("burst", "4 workers into one JSON file", _burst),
    ("kills", "Records in the file after the 4 workers died", _kills),
    ("caller", "What a call costs the caller", _caller),
    ("latency", "Latency of a call, one worker", _latency),
    ("text", "4 workers into one text file", _text),
    ("workers", "1 to 64 workers", _grid("workers", "workers")),
    ("methods", "Start methods, 4 workers", _grid("methods", "method")),
    ("paced", "A paced load: 4 workers, 500 records/s each", _paced),
    ("listener", "The listener alone, one core", _listener),
    ("idle", "An idle session", _idle),
    ("durable", "Syncing to the disk, one process", _durable),
    ("startup", "Start-up", _startup),
)
