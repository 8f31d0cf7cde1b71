"""Questions about a log: which fields, which values, how it is read, why nothing matched.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING

from mplog.viewer import colours, layouts
from mplog.viewer.archives import is_compressed
from mplog.viewer.conditions import Glob
from mplog.viewer.escapes import escape_lines
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.fields import SCHEMA, canonical, nearest, reader
from mplog.viewer.lines import Record
from mplog.viewer.output import Output
from mplog.viewer.reading import open_source
from mplog.viewer.scan import Plan, Scanner
from mplog.viewer.selection import Selection
from mplog.viewer.values import short
from mplog.viewer.walk import backward, forward, span

if TYPE_CHECKING:
    from mplog.viewer.view import View

_SAMPLE = 2000
_SAMPLE_BYTES = 2 << 20
_MOST_SAMPLES = 20_000
_EXAMPLES = 3
_DISTINCT = 100_000
_OWN = {layouts.JSON: "mplog's JSON", layouts.TEXT: "mplog's text"}
_SPECIAL = ("clock", "date", "traceback", "source", "offset", "format", "damaged", "levelno", "fields")


def run(view: View) -> int:
    """Answer --explain, --fields or --values and return the exit code."""
    with Output(view.args.out, pager=not view.args.no_pager) as output:
        try:
            if view.args.explain:
                output.write(explain(view))
                return 0
            if view.args.fields:
                return _fields(view, output)
            return _values(view, output)
        except BrokenPipeError:
            return 0


def _records(view: View) -> chain[Record]:
    plan = view.plan()
    plan.show_damaged = False
    return chain.from_iterable(chain.from_iterable(forward(source, plan) for source in view.sources))


def _fields(view: View, output: Output) -> int:
    counts: Counter[str] = Counter()
    examples: dict[str, dict[str, None]] = {}
    total = 0
    schema = [(name, reader(name)) for name in SCHEMA]
    for record in _records(view):
        total += 1
        for name, get in schema:
            value = get(record)
            if value is not None:
                _note(counts, examples, name, value)
        for name, value in record.fields.items():
            _note(counts, examples, name, value)
    if not total:
        return view.exit_code()
    colour = colours.wanted(view.args.color, output.terminal)
    width = max(len(name) for name in counts)
    for name, count in counts.items():
        shown = ", ".join(list(examples[name])[:_EXAMPLES])
        output.write(_row(name, count, count / total, shown, width, colour))
    return 0


def _note(counts: Counter[str], examples: dict[str, dict[str, None]], name: str, value: object) -> None:
    counts[name] += 1
    known = examples.setdefault(name, {})
    if len(known) < _EXAMPLES:
        text = short(value.get("type", "")) if name == "exc" and isinstance(value, dict) else short(value)
        known[text if len(text) <= 40 else text[:39] + "…"] = None


def _row(name: str, count: int, share: float, rest: str, width: int, colour: bool) -> str:
    dim, reset, cyan = (colours.DIM, colours.RESET, "\x1b[36m") if colour else ("", "", "")
    from mplog.viewer.escapes import escape

    return f"{cyan}{escape(name):<{width}}{reset}  {count:>10,}  {share:>5.0%}  {dim}{rest}{reset}\n"


def _values(view: View, output: Output) -> int:
    name = view.args.values
    get = reader(name)
    counts: Counter[str] = Counter()
    total = others = 0
    known: set[str] = set(SCHEMA)
    for record in _records(view):
        total += 1
        if len(known) < 1000:
            known.update(record.fields)
        value = get(record)
        if value is None:
            continue
        text = short(value.get("type", "") if name == "exc" and isinstance(value, dict) else value)
        if text in counts or len(counts) < _DISTINCT:
            counts[text] += 1
        else:
            others += 1
    if not counts:
        if total:
            raise ViewerError(f"no record has a field {name!r}{nearest(name, known - {name})}")
        return view.exit_code()
    colour = colours.wanted(view.args.color, output.terminal)
    width = min(60, max(len(text) for text in counts))
    seen = sum(counts.values()) + others
    for text, count in counts.most_common():
        bar = "█" * round(count / seen * 30)
        output.write(_row(text, count, count / seen, bar, width, colour))
    if others:
        output.write(_row(f"(more than {_DISTINCT:,} values)", others, others / seen, "", width, colour))
    return 0


def explain(view: View) -> str:
    """Return what the command would do: how each source is read, what is looked for, what is decoded."""
    from mplog.viewer import forks, parallel
    from mplog.viewer.timespec import Calendar

    calendar = Calendar(view.zone)
    plan = view.plan()
    lines = []
    for source in view.sources:
        for path in source.files:
            if path == "-" or stat.S_ISFIFO(os.stat(path).st_mode):
                lines.append(f"{'standard input' if path == '-' else path}: read as it comes")
                continue
            try:
                lines += _explain_file(path, plan)
            except (OSError, EOFError) as error:
                raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    selection = view.selection
    for name, time in (("from", selection.since), ("until", selection.until)):
        if time is not None:
            lines.append(f"{name} {calendar.stamp(time)}")
    lines += [f"condition: {part}" for part in selection.condition.parts]
    lines.append(f"order: {'newest first' if view.args.reverse else 'as written'}" + _ways(view))
    with Output() as output:
        if parallel.fits(view, view.look(output)):
            lines.append(f"processes: {forks.workers()}, order kept")
    return escape_lines("\n".join(lines)) + "\n"


def _ways(view: View) -> str:
    if len(view.sources) > 1:
        return ", merged by time"
    return f", the last {view.last:,}, read from the end" if view.last is not None else ""


def _explain_file(path: str, plan: Plan) -> list[str]:
    scanner = Scanner(path, plan, whole=not is_compressed(path))
    with open_source(path) as stream:
        begin, end = span(stream, path, plan)
        stream.seek(begin)
        sample = stream.read(1 << 18)
        if not sample and begin:  # nothing is that young
            stream.seek(0)
            sample = stream.read(1 << 18)
    layout = layouts.sniff(sample)
    records = scanner.block(sample, begin)
    formats = Counter(record.format for record in records) or Counter({"unknown": 1})
    kind = _OWN[layout] if layout else " and ".join(name for name, _ in formats.most_common(2))
    lines = [f"{path}: {kind}"]
    if begin or end is not None:
        upto = "the end" if end is None else f"byte {end:,}"
        lines.append(f"  bisected: byte {begin:,} to {upto}")
    if scanner.chosen is not None:
        lines.append(f"  only lines with {scanner.chosen} are decoded")
    elif plan.selection.condition.parts:
        lines.append("  every line is decoded")
    return lines


def why_nothing(view: View) -> str:
    """Return why nothing is shown: an empty log, a name that nobody has, another time, or simply no match."""
    names = ", ".join(source.path for source in view.sources)
    if names == "-":
        return "nothing matched"
    sample = _sample(view)
    if not sample:
        return f"nothing to show: {names} holds no record"
    return f"nothing matched{_wrong_name(view.selection, sample) or _other_time(view, sample) or f' in {names}'}"


def _sample(view: View) -> list[Record]:
    """Return records from the beginning and the end of each file."""
    sample: list[Record] = []
    for source in view.sources:
        if all(os.path.isfile(path) for path in source.files):
            plan = Plan(show_damaged=False, input_format=view.args.input_format)
            for batches in (forward(source, plan), backward(source, plan)):
                sample += _first(chain.from_iterable(batches))
        if len(sample) >= _MOST_SAMPLES:
            break
    return sample


def _first(records: Iterable[Record]) -> list[Record]:
    found, size = [], 0
    for record in islice(records, _SAMPLE):
        found.append(record)
        size += len(record.raw)
        if size > _SAMPLE_BYTES:
            break
    return found


def _wrong_name(selection: Selection, sample: list[Record]) -> str:
    known = {name for record in sample for name in record.fields}
    for name in selection.wanted_fields:
        if name not in known and name.split(".")[0] not in known:
            return f": no record has a field {name!r}{nearest(name, {*known, *SCHEMA})}"
    for part in selection.condition.parts:
        if isinstance(part, Glob) and not any(map(part.predicate(), sample)):
            values = {str(getattr(record, part.field)) for record in sample} - {""}
            return f": no {part.field} is like {part.pattern!r}{nearest(part.pattern, values)}"
    return ""


def _other_time(view: View, sample: list[Record]) -> str:
    from mplog.viewer.timespec import Calendar

    times = [record.time for record in sample if record.time is not None]
    since, until = view.selection.since, view.selection.until
    if not times or not ((since is not None and max(times) < since) or (until is not None and min(times) > until)):
        return ""
    calendar = Calendar(view.zone)
    return f": the records are from {calendar.stamp(min(times))} to {calendar.stamp(max(times))}"


def unknown_keys(view: View) -> str:
    """Return a hint on a field of -k or --template that no record has, while another is spelled much like it."""
    from mplog.viewer.formats import places

    wanted = [name for name in view.keys if not any(char in name for char in "*?[")]
    wanted += places(view.args.template or "")
    unsure = [name for name in wanted if canonical(name.split(".")[0]) not in (*SCHEMA, *_SPECIAL)]
    if not unsure or any(source.path == "-" for source in view.sources):
        return ""
    known = {name for record in _sample(view) for name in record.fields}
    for name in unsure:
        if name in known or name.split(".")[0] in known:
            continue
        near = nearest(name, {*known, *SCHEMA})
        if near:
            return f"no record has a field {name!r}{near}"
    return ""
