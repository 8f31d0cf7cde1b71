"""`mplog errors`: which exceptions there were, how often, where, in whom. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mplog.viewer import levels, options, summary, tables
from mplog.viewer.conditions import Exists
from mplog.viewer.excgroups import Frame, Group, collect, frames, kind, links
from mplog.viewer.lines import text_of
from mplog.viewer.tables import Page, clean, columns, cut, plural, rfc3339
from mplog.viewer.timeline import spark

EPILOG = """examples:
  mplog errors app.log                 the groups, the most frequent first
  mplog errors app.log --tb long       with the whole traceback of the first of each
  mplog errors app.log --sort last -n 5   the five that happened last
  mplog errors app.log -S 1h --json    the last hour, for programs

Exit status: 0 exceptions shown, 1 there are none, 2 usage or unreadable."""

_INDENTED = 60  # columns of a page from which on there is room to indent
_FULL = 3  # groups that `--tb auto` shows with their frames

prepare_arguments = options.with_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog errors`."""
    parser.epilog = EPILOG
    summary.add_arguments(parser)
    summary.add_selection(parser)
    parser.add_argument(
        "--tb", choices=("auto", "long", "short", "line", "no"), default="auto",
        help="traceback: long as Python prints it, short one line a frame, line only the place, no none; "
        f"auto is short for the first {_FULL} groups and line for the others",
    )  # fmt: skip
    parser.add_argument("--sort", choices=("count", "first", "last"), default="count", help="the order of the groups")
    parser.add_argument("-n", "--top", type=summary.positive, default=20, metavar="N", help="groups, default 20")


def run(args: argparse.Namespace) -> int:
    """Print the groups of exceptions; the exit status is 1 when there are none."""
    groups, total, beyond = collect(summary.records(args, Exists("exc")))
    order = {
        "count": lambda group: -group.count,
        "first": lambda group: group.first or 0.0,
        "last": lambda group: -(group.last or 0.0),
    }
    groups.sort(key=order[args.sort])
    if args.json:
        tables.print_json([report(group) for group in groups[: args.top]])
    else:
        _show(groups, total, beyond, Page(sys.stdout, color=args.color, utc=args.utc), args)
    return tables.finish(0 if total else 1)


def report(group: Group) -> dict[str, Any]:
    """Return a group as data for `--json`."""
    raised = frames(group.exc)
    return {
        "type": kind(group.exc),
        "message": group.message(),
        "count": group.count,
        "place": raised[-1].place if raised else None,
        "func": raised[-1].func if raised else None,
        "first": rfc3339(group.first),
        "last": rfc3339(group.last),
        "processes": group.processes,
        "loggers": group.loggers,
        "levels": group.levels,
        "exc": group.exc,
    }


def _show(groups: list[Group], total: int, beyond: int, page: Page, args: argparse.Namespace) -> None:
    kinds = f" of {plural(len(groups), 'kind')}" if groups else ""
    page.sentence((summary.title(args), "bold"), (f": {plural(total, 'exception')}{kinds}", ""))
    first = min((group.first for group in groups if group.first is not None), default=0.0)
    last = max((group.last for group in groups if group.last is not None), default=0.0)
    for position, group in enumerate(groups[: args.top]):
        style = args.tb
        if style == "auto":
            style = "short" if position < _FULL else "line"
        page.line()
        _show_group(group, (first, last), style, page)
    if len(groups) > args.top:
        rest = sum(group.count for group in groups[args.top :])
        more = plural(len(groups) - args.top, "kind")
        page.line()
        page.sentence((f"... and {more} more with {plural(rest, 'exception')} (-n shows more)", "dim"))
    if beyond:
        page.sentence((f"{plural(beyond, 'exception')} of further kinds are not grouped", "yellow"))


def _show_group(group: Group, span: tuple[float, float], style: str, page: Page) -> None:
    levelno = max((levels.number(level) for level in group.levels), default=40)
    message = _one_line(group.message())
    count = f"{group.count:>7,} × " if page.width > _INDENTED else f"{group.count:,} × "
    page.row((count, "bold"), (clean(kind(group.exc)), max(levelno, 40)), (f": {message}" if message else "", ""))
    if style == "line":
        raised = frames(group.exc)
        if raised:
            _place(raised[-1], page)
    if style in ("short", "long"):
        _traceback(group.exc, style, page)
    if style != "no":
        for relation, inner in _unfolded(group.exc) if style != "long" else ():
            reason = f"{relation} {kind(inner)}: {_one_line(text_of(inner.get('message')))}"
            page.row((_indent(page), ""), (clean(reason), "magenta"))
            if style == "short":
                _short(frames(inner), page)
            elif frames(inner):
                _place(frames(inner)[-1], page, "  ")
    _who(group, span, page)


def _indent(page: Page) -> str:
    return " " * (10 if page.width > _INDENTED else 2)


def _unfolded(exc: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the chain, equal links next to each other once."""
    found: list[tuple[str, dict[str, Any]]] = []
    for relation, inner in links(exc):
        if not found or (relation, inner.get("type"), inner.get("frames")) != (
            found[-1][0], found[-1][1].get("type"), found[-1][1].get("frames"),
        ):  # fmt: skip
            found.append((relation, inner))
    return found


def _traceback(exc: dict[str, Any], style: str, page: Page) -> None:
    text = exc.get("text")
    if style == "long" and isinstance(text, str):
        for line in text.rstrip("\n").split("\n"):
            page.line(f"{_indent(page)}{clean(line)}")
        return
    _short(frames(exc), page)


def _short(found: list[Frame], page: Page) -> None:
    shown: list[Frame | None] = list(found)
    if len(found) > 12:
        shown = [*found[:3], None, *found[-8:]]
    for frame in shown:
        if frame is None:
            page.line(page.paint(f"{_indent(page)}... {plural(len(found) - 11, 'frame')} ...", "dim"))
        else:
            _place(frame, page)


def _place(frame: Frame, page: Page, more: str = "") -> None:
    """Write a frame as one line; of a long path the end is kept."""
    indent, place = _indent(page) + more, clean(frame.place)
    room = page.width - len(indent)
    if columns(place) > room:
        place = "…" + cut(place[::-1], room)[:-1][::-1]
    line = f" in {clean(frame.func)}" + (f": {clean(frame.source)}" if frame.source else "")
    page.row((indent, ""), (place, "dim" if frame.library else "cyan"), (line, "dim" if frame.library else ""))


def _who(group: Group, span: tuple[float, float], page: Page) -> None:
    names = sorted(group.processes, key=lambda name: -group.processes[name])
    shown = ", ".join(f"{clean(name) or '-'} {group.processes[name]:,}" for name in names[:3])
    more = f" and {plural(len(names) - 3, 'process')} more" if len(names) > 3 else ""
    indent = _indent(page)
    if names != [""]:
        page.sentence((f"{indent}in {shown}{more}", "dim"))
    if group.first is None or group.last is None:
        return
    until = f" to {page.stamp(group.last)}" if group.last > group.first else ""
    line = f"{indent}{page.stamp(group.first)}{until}"
    if group.count > 1 and span[1] > span[0] and page.width - len(line) > 14:
        room = min(40, page.width - len(line) - 4)
        line += "  " + spark(group.timeline.spread(*span, room), blocks=page.blocks)
    page.sentence((line, "dim"))


def _one_line(text: str) -> str:
    return clean(text.split("\n", 1)[0])
