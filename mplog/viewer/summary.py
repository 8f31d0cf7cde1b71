"""What the summaries share: their arguments, and the records these select. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import chain

from mplog.viewer import folding, selection, timespec
from mplog.viewer.conditions import All, Condition
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import MAX_LINE
from mplog.viewer.merging import merged
from mplog.viewer.output import Progress
from mplog.viewer.reading import Source, expand
from mplog.viewer.scan import Plan
from mplog.viewer.tables import clean
from mplog.viewer.walk import forward


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every summary takes."""
    parser.add_argument(
        "paths", nargs="*", metavar="FILE",
        help="log file, directory, glob, or - for standard input; without one the file that MPLOG_FILE names, "
        "or standard input",
    )  # fmt: skip
    parser.add_argument("-R", "--rotated", action="store_true", help="also the rotated files, .1 .2.gz ...")
    parser.add_argument(
        "--input", default="auto", metavar="FORMAT", help="auto, json, text, or a logging format string"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument(
        "--color",
        "--colour",
        choices=("auto", "always", "never"),
        default="auto",
        help="default: on a terminal",
    )
    parser.add_argument("--utc", action="store_true", help="show times in UTC instead of local time")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select records, as in `mplog view`; FIELD=VALUE among the files does so, too."""
    add = parser.add_argument_group("Select").add_argument
    add("-l", "--level", action="append", metavar="LEVEL", help="this level or worse; LOW..HIGH; =A,B exactly")
    add("-S", "--since", metavar="TIME", help="from then on: 10m, '10 min ago', 14:30, today")
    add("-U", "--until", metavar="TIME", help="up to then")
    add("-p", "--process", action="append", metavar="GLOB", help="process name; a leading ! means not")
    add("--pid", action="append", type=int, metavar="N", help="process id")
    add("--thread", action="append", metavar="GLOB", help="thread name; a leading ! means not")
    add("-L", "--logger", action="append", metavar="GLOB", help="logger; without a wildcard its children too")
    add("-g", "--grep", action="append", metavar="RE", help="message or exception matches")
    add("-G", "--grep-not", action="append", metavar="RE", help="message and exception do not match")
    add("-q", "--query", action="append", metavar="QUERY", help="such as 'level>=warning and dur_ms>500'")


def paths(args: argparse.Namespace) -> list[str]:
    """Return the logs that the arguments name; FIELD=VALUE among them moves to `args.conditions`.

    Raises:
        ViewerError: none is named and standard input is a terminal.
    """
    if "level" in args:
        conditions = [word for word in args.paths if selection.is_condition(word)]
        args.conditions = getattr(args, "conditions", []) + conditions
        args.paths = [word for word in args.paths if word not in conditions]
    if args.paths:
        return list(args.paths)
    if os.environ.get("MPLOG_FILE"):
        return [os.environ["MPLOG_FILE"]]
    if sys.stdin is None or sys.stdin.isatty():
        raise ViewerError("no file given; name one, pipe something in, or set MPLOG_FILE")
    return ["-"]


def records(args: argparse.Namespace, *also: Condition, longest: int = MAX_LINE) -> Iterator[Record]:
    """Yield the records that the arguments select, merged by time; without a condition damaged lines, too.

    Shows on a terminal how far it is. Of lines longer than `longest` there are only the ends.

    Raises:
        ViewerError: as `expand`; or an option is not understood.
    """
    sources, chosen = expand(paths(args), rotated=args.rotated), _chosen(args, *also)
    yield from _records(args, sources, chosen, longest)


def gather(args: argparse.Namespace, target: folding.Target) -> None:
    """Count the records that the arguments select, as `records` yields them.

    Raises:
        ViewerError: as `records`.
    """
    sources, chosen = expand(paths(args), rotated=args.rotated), _chosen(args)
    untimed = chosen.since is None and chosen.until is None
    if chosen.everything and untimed and folding.fits(sources, args.input):
        progress = _progress(sources)
        folding.fold(target, sources[0], args.input, progress)
        progress.clear()
    else:
        target.collect(_records(args, sources, chosen))


def _chosen(args: argparse.Namespace, *also: Condition) -> selection.Selection:
    chosen = selection.build(args, args.conditions, timespec.zone_of(None, utc=args.utc))
    chosen.condition = All((*chosen.condition.parts, *also))
    return chosen


def _progress(sources: list[Source]) -> Progress:
    total = sum(os.path.getsize(path) for source in sources for path in source.files if path != "-")
    return Progress(total, shown=len(sources) == 1)


def _records(
    args: argparse.Namespace, sources: list[Source], chosen: selection.Selection, longest: int = MAX_LINE
) -> Iterator[Record]:
    progress = _progress(sources)
    plan = Plan(chosen, input_format=args.input, longest=longest)
    streams = [chain.from_iterable(forward(source, plan, progress)) for source in sources]
    yield from streams[0] if len(streams) == 1 else merged(streams)
    progress.clear()


def title(args: argparse.Namespace) -> str:
    """Return the names of the logs as a heading."""
    named = paths(args)
    return clean(", ".join(named[:3]) + (" ..." if len(named) > 3 else ""))


def positive(text: str) -> int:
    """Return the number that an argument gives; argparse reports anything below 1."""
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)
