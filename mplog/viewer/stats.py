"""`mplog stats`: counts, rates, a histogram over time, what was written most. Runs in `mplog`."""

from __future__ import annotations

import argparse
import os.path
import sys
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from mplog.viewer import levels, options, summary, tables
from mplog.viewer.counting import StatsPart
from mplog.viewer.counting import kind as kind_of
from mplog.viewer.lines import Record
from mplog.viewer.longlines import left_out
from mplog.viewer.tables import Page, duration, number, plural, rate, rfc3339
from mplog.viewer.templates import Templates
from mplog.viewer.timeline import Timeline, draw

EPILOG = """examples:
  mplog stats app.log                      everything
  mplog stats app.log -S 10m               the last ten minutes
  mplog stats app.log -q 'level>=warning'  what the warnings and errors are made of
  mplog stats app.log --json | jq .levels

Exit status: 0 shown, 1 there is no record, 2 usage or unreadable."""

_KEYS = 20_000  # distinct processes, loggers or call sites that are kept apart

prepare_arguments = options.with_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog stats`."""
    parser.epilog = EPILOG
    summary.add_arguments(parser)
    summary.add_selection(parser)
    parser.add_argument("-n", "--top", type=summary.positive, default=10, metavar="N", help="rows a table, default 10")


class Tally:
    """Count by key: records, warnings, errors; in bounded memory, the rarest are added up as `others`."""

    def __init__(self, limit: int = _KEYS) -> None:
        self._limit = limit
        self.counts: dict[Any, list[int]] = {}
        self.others = 0

    def add(self, key: object, kind: int, count: int = 1) -> None:
        """Count a record, or several; kind 0 is plain, 1 a warning, 2 an error."""
        found = self.counts.get(key)
        if found is None:
            if len(self.counts) >= self._limit:
                self._prune()
            found = self.counts[key] = [0, 0, 0]
        found[kind] += count

    def _prune(self) -> None:
        ranked = sorted(self.counts.items(), key=lambda item: -sum(item[1]))
        half = self._limit // 2
        self.others += sum(sum(counts) for _, counts in ranked[half:])
        self.counts = dict(ranked[:half])

    def has_room(self, keys: set[Any]) -> bool:
        """Say whether all of these keys can be kept apart."""
        return len(self.counts) + sum(key not in self.counts for key in keys) <= self._limit

    def ranked(self) -> list[tuple[Any, list[int]]]:
        """Return keys and counts, the most frequent first."""
        return sorted(self.counts.items(), key=lambda item: (-sum(item[1]), str(item[0])))


class Stats:
    """Collect in one pass what `mplog stats` shows."""

    def __init__(self) -> None:
        self.records = self.damaged = self.untimed = self.exceptions = self.dropped = self.deaths = self.size = 0
        self.levels: dict[str, int] = {}
        self.processes = Tally()
        self.loggers = Tally()
        self.sites = Tally()
        self.templates = Templates()
        self.timeline = Timeline()
        self._part = StatsPart()

    def collect(self, records: Iterable[Record]) -> Stats:
        """Count the records."""
        for record in records:
            if record.damaged:
                self.damaged += 1
            else:
                self._add(record)
        return self

    def _add(self, record: Record) -> None:
        self.records += 1
        self.size += len(record.raw) + left_out(record.raw) + 1
        level, kind = record.level, kind_of(record.levelno)
        self.levels[level] = self.levels.get(level, 0) + 1
        if record.process or record.pid is not None:
            self.processes.add(record.process or str(record.pid), kind)
        self.loggers.add(record.logger, kind)
        place = _place((record.file, record.line, record.func), record.logger)
        if type(place) is tuple:
            self.sites.add(place, kind)
        self.templates.add(record.msg, place, level)
        if record.time is None:
            self.untimed += 1
        else:
            self.timeline.add(record.time, record.levelno)
        if record.exc is not None:
            self.exceptions += 1
        if record.logger == "mplog":
            self._event(record.fields)

    def part(self) -> StatsPart:
        """Return an empty part of the counts."""
        # The whole log has at least as wide buckets as any part of it.
        self._part = StatsPart(self._part.timeline.width)
        return self._part

    def merge(self, packed: Any) -> bool:
        """Add a part; False if more is kept apart than there is room for: then the order of the records counts."""
        records, size, untimed, exceptions, dropped, deaths, who, what, timeline = packed
        named = {process or str(pid) for *_, process, pid, _ in who if process or pid is not None}
        sites = {tuple(place) for place, *_ in what if place[0] and place[1] is not None}
        templates = {(_place(place, logger), level, masked) for place, logger, level, _, masked, *_ in what}
        if not (
            self.processes.has_room(named)
            and self.loggers.has_room({logger for _, _, logger, *_ in who})
            and self.sites.has_room(sites)
            and self.templates.has_room(templates)
        ):
            return False
        self.records += records
        self.size += size
        self.untimed += untimed
        self.exceptions += exceptions
        self.dropped += dropped
        self.deaths += deaths
        for level, kind, logger, process, pid, count in who:
            self.levels[level] = self.levels.get(level, 0) + count
            self.loggers.add(logger, kind, count)
            if process or pid is not None:
                self.processes.add(process or str(pid), kind, count)
        for place, logger, level, kind, masked, count, first in what:
            key = _place(place, logger)
            if type(key) is tuple:
                self.sites.add(key, kind, count)
            self.templates.add_masked(masked, first, key, level, count)
        self.timeline.merge(timeline)
        return True

    def _event(self, fields: dict[str, Any]) -> None:
        if fields.get("event") == "dropped" and type(fields.get("dropped")) is int:
            self.dropped += fields["dropped"]
        elif fields.get("event") == "died":
            self.deaths += 1

    def ranked_levels(self) -> list[tuple[str, int]]:
        """Return the levels, the worst first."""
        return sorted(self.levels.items(), key=lambda item: (-levels.number(item[0]), item[0]))


def _place(place: Sequence[Any], logger: str) -> Hashable:
    """Return the call site, else the logger."""
    return tuple(place) if place[0] and place[1] is not None else logger


def run(args: argparse.Namespace) -> int:
    """Print the statistics of the logs; the exit status is 1 when there is no record."""
    stats = Stats()
    summary.gather(args, stats)
    if args.json:
        tables.print_json(report(stats, args.top))
    else:
        _show(stats, Page(sys.stdout, color=args.color, utc=args.utc), args)
    return tables.finish(0 if stats.records else 1)


def report(stats: Stats, top: int) -> dict[str, Any]:
    """Return the statistics as data for `--json`."""
    timed = bool(stats.records - stats.untimed)
    seconds = stats.timeline.seconds if timed else 0.0
    start, step, columns = stats.timeline.columns(100)
    return {
        "records": stats.records, "bytes": stats.size, "damaged": stats.damaged,
        "without_time": stats.untimed, "exceptions": stats.exceptions, "dropped": stats.dropped,
        "deaths": stats.deaths,
        "first": rfc3339(stats.timeline.first) if timed else None,
        "last": rfc3339(stats.timeline.last) if timed else None,
        "seconds": seconds,
        "per_second": stats.records / seconds if seconds else None,
        "levels": dict(stats.ranked_levels()),
        "processes": [_counts("process", key, counts) for key, counts in stats.processes.ranked()],
        "loggers": [_counts("logger", key, counts) for key, counts in stats.loggers.ranked()],
        "sites": [
            {"file": file, "line": line, "func": func, **_counts("", "", counts)}
            for (file, line, func), counts in stats.sites.ranked()[:top]
        ],
        "templates": [
            {"template": t.text(), "records": t.count, "level": t.level, "sample": t.sample}
            for t in stats.templates.top(top)
        ],
        "histogram": [
            {"time": rfc3339(start + i * step), "seconds": step, **_counts("", "", counts)}
            for i, counts in enumerate(columns)
        ],
    }  # fmt: skip


def _counts(name: str, key: str, counts: list[int]) -> dict[str, Any]:
    named = {name: key} if name else {}
    return {**named, "records": sum(counts), "warnings": counts[1], "errors": counts[2]}


def _show(stats: Stats, page: Page, args: argparse.Namespace) -> None:
    _headline(stats, page, summary.title(args))
    if not stats.records:
        return
    page.line()
    draw(stats.timeline, page)
    page.title("levels")
    seconds = stats.timeline.seconds if stats.records > stats.untimed else 0.0
    most = max(stats.levels.values())
    room, timed = page.width - 38, page.width >= 36
    digits = 12 if timed else max(7, len(f"{most:,}"))
    for level, count in stats.ranked_levels():
        bar = page.bar(count / most, min(30, room)) if room >= 5 else ""
        text = f"  {tables.clean(level) or '-':<10}{count:>{digits},}"
        text += f"  {rate(count, seconds):>10}  " if timed else ""
        page.row((text, levels.number(level)), (bar, levels.number(level)))
    for name, tally in (("process", stats.processes), ("logger", stats.loggers)):
        if tally.counts:
            _show_tally(name, tally, page, seconds, args.top)
    _show_templates(stats, page, args.top)
    if stats.sites.counts:
        _show_sites(stats, page, args.top)


def _headline(stats: Stats, page: Page, name: str) -> None:
    seconds = stats.timeline.seconds if stats.records > stats.untimed else 0.0
    span = f" in {duration(seconds)}, {rate(stats.records, seconds)}" if seconds else ""
    page.sentence((name, "bold"), (f": {plural(stats.records, 'record')}{span}", ""))
    facts = [
        (stats.exceptions, "exception", "red"), (stats.deaths, "death", "red"),
        (stats.dropped, "dropped record", "yellow"),
        (stats.damaged, "damaged line", "yellow"), (stats.untimed, "untimed record", "dim"),
    ]  # fmt: skip
    told = [(plural(count, noun), colour) for count, noun, colour in facts if count]
    if told:
        commas = [(", ", "")] * len(told)
        page.sentence(*[part for pair in zip(commas, told, strict=True) for part in pair][1:])


def _show_tally(name: str, tally: Tally, page: Page, seconds: float, top: int) -> None:
    ranked = tally.ranked()
    most = sum(ranked[0][1])
    page.title(f"{plural(len(ranked), name)}")
    rows = [
        (
            f"  {key or '-'}", number(sum(counts)), rate(sum(counts), seconds),
            number(counts[1]) if counts[1] else "·", number(counts[2]) if counts[2] else "·",
            page.bar(sum(counts) / most, 20),
        )
        for key, counts in ranked[:top]
    ]  # fmt: skip
    colours = ("cyan" if name == "process" else "", "", "dim", "yellow", "red", "green")
    head = (f"  {name}", "records", "rate", "warnings", "errors", "")
    page.table(head, rows, "~>>>>=", colours, drop=(5, 2, 3, 4))
    _rest(len(ranked) - top, sum(sum(c) for _, c in ranked[top:]) + tally.others, name, page)


def _rest(more: int, count: int, noun: str, page: Page) -> None:
    if more > 0:
        page.sentence((f"  ... and {plural(more, noun)} more with {plural(count, 'record')}", "dim"))


def _show_templates(stats: Stats, page: Page, top: int) -> None:
    page.title(f"{plural(len(stats.templates), 'message template')}")
    rows = [
        (f"{t.count:>10,}", f"{t.count / stats.records:.1%}", t.level or "-", t.text() or "(empty)")
        for t in stats.templates.top(top)
    ]
    page.table(("   records", "share", "level", "message"), rows, ">><<", ("", "dim", "", "cyan"), drop=(1, 2))
    shown = sum(t.count for t in stats.templates.top(top))
    _rest(len(stats.templates) - top, stats.records - shown, "message template", page)


def _show_sites(stats: Stats, page: Page, top: int) -> None:
    ranked = stats.sites.ranked()
    page.title(f"{plural(len(ranked), 'call site')}")
    rows = [
        (f"{sum(counts):>10,}", f"{sum(counts) / stats.records:.1%}", f"{_short(file)}:{line} {func}")
        for (file, line, func), counts in ranked[:top]
    ]
    page.table(("   records", "share", "place"), rows, ">>~", ("", "dim", "cyan"), drop=(1,))
    _rest(len(ranked) - top, sum(sum(c) for _, c in ranked[top:]) + stats.sites.others, "call site", page)


def _short(path: str) -> str:
    """Return the last three parts of a path: enough to find it, and it fits."""
    parts = path.split(os.sep)
    return path if len(parts) <= 4 else os.sep.join(("…", *parts[-3:]))
