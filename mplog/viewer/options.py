"""The options of `mplog view` and `mplog tail`. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mplog.viewer.look import FORMATS

_Add = Callable[..., argparse.Action]

_EXAMPLES = """\
examples:
  mplog view app.log -l warning                       warnings and worse
  mplog view app.log -l e -C 3                        errors, 3 records around each, of the same process
  mplog view app.log -S 10m -p 'ForkPoolWorker-*'     the last ten minutes of the workers
  mplog view app.log -g timeout user=42               messages with "timeout" of user 42
  mplog view app.log -q 'level>=warning and dur_ms>500 or exists(exc)'
  mplog view logs/ -R -o jsonl | jq .msg              all logs of a directory, rotated ones too, by time
  mplog view app.log -n 50 --lanes --delta process    the last 50, a lane and time steps for each process
  mplog tail app.log web.log                          follow two logs

exit codes: 0 shown, 1 nothing matched, 2 wrong usage or unreadable, 3 damaged lines with --errors fail,
4 --fail-on was met. A closed pipe is quiet.
"""


# fmt: off
def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and the groups Select, Follow, Sources, Look and Ask to a parser."""
    parser.usage = "%(prog)s [FILE|DIR|GLOB|-]... [FIELD=VALUE]... [options]"
    parser.epilog = _EXAMPLES
    parser.add_argument("paths", nargs="*", metavar="FILE|FIELD=VALUE",
        help="files, directories, globs, - for standard input; FIELD=VALUE (also != ~ !~ < <= > >=) selects "
             "records; without a file: standard input, or the file that MPLOG_FILE names")
    _select(parser.add_argument_group("Select").add_argument)
    _follow(parser.add_argument_group("Follow").add_argument)
    _sources(parser.add_argument_group("Sources").add_argument)
    _look(parser.add_argument_group("Look").add_argument)
    _ask(parser.add_argument_group("Ask").add_argument)


def _select(add: _Add) -> None:
    add("-l", "--level", action="append", metavar="LEVEL",
        help="this level or worse (d, i, w, e, c); LOW..HIGH; =A,B exactly these; app.db=debug for a logger")
    add("-S", "--since", metavar="TIME",
        help="from then on: 10m, '10 min ago', 14:30, today, 2026-11-22T14:30:00Z")
    add("-U", "--until", metavar="TIME", help="up to then")
    add("-p", "--process", action="append", metavar="GLOB",
        help="process name; a leading ! means not; repeatable")
    add("--pid", action="append", type=int, metavar="N", help="process id; repeatable")
    add("--thread", action="append", metavar="GLOB", help="thread name; a leading ! means not")
    add("-L", "--logger", action="append", metavar="GLOB", help="logger; without a wildcard its children too")
    add("-g", "--grep", action="append", metavar="RE",
        help="message or exception matches (case counts if RE has a capital); FIELD~RE looks in a field")
    add("-G", "--grep-not", action="append", metavar="RE", help="message and exception do not match")
    add("-q", "--query", action="append", metavar="QUERY",
        help="and, or, not, ( ), = != < <= > >= ~ !~, in (a, b), exists(field)")
    add("-n", "--lines", metavar="N|all", help="only the last N records that match")
    add("-m", "--max-count", type=_count, metavar="N", help="stop after N records")
    add("-A", "--after", type=_count, metavar="N", help="also N records after each match")
    add("-B", "--before", type=_count, metavar="N", help="also N records before each match")
    add("-C", "--context", type=_count, metavar="N", help="both")
    add("--context-by", choices=("process", "thread", "time"), default="process",
        help="count those N in the same process (default), thread, or by time alone")
    add("-r", "--reverse", action="store_true", help="newest first")


def _follow(add: _Add) -> None:
    add("-f", "-F", "--follow", action="store_true",
        help="show the last 10, then what is appended; survives rotation")
    add("--cursor-file", metavar="FILE", help="go on where the last call with this file ended")


def _sources(add: _Add) -> None:
    add("-R", "--rotated", action="store_true", help="also app.log.1, app.log.2.gz, ...")
    add("--input", default="auto", metavar="FORMAT", dest="input_format",
        help="auto, json, text, or a logging format string: '%%(asctime)s %%(levelname)s %%(message)s'")
    add("--errors", choices=("show", "count", "skip", "fail"), default="show",
        help="damaged lines: show them dimmed (default), only count them, skip them, or exit with 3")


def _look(add: _Add) -> None:
    add("-o", "--output", choices=FORMATS, default="pretty", help="the format, by default %(default)s")
    add("--out", metavar="FILE", help="write to a file")
    add("--template", metavar="TEXT", help="a line of one's own: '{clock} {level:<8} {msg} {user.id}'")
    add("-k", "--keys", action="append", metavar="NAMES",
        help="show only these fields (globs, separated by commas)")
    add("-K", "--hide", action="append", metavar="NAMES", help="do not show these fields")
    add("--skip-unchanged", action="store_true",
        help="hide fields with the same value as in the record before, of the same process")
    add("--tb", choices=("auto", "long", "short", "line", "no"), default="auto",
        help="tracebacks: library frames folded (auto), as recorded, a place a frame, one line, none")
    add("--delta", choices=("prev", "process", "start"),
        help="time since the record before, since the one before in its process, or since the first")
    add("--lanes", choices=("process", "thread"), help="draw a lane for each process (or thread)")
    add("--utc", action="store_true", help="times in UTC")
    add("--tz", metavar="ZONE", help="times in this zone, such as Europe/Vienna or +02:00")
    add("--color", "--colour", dest="color", choices=("auto", "always", "never"), default="auto",
        help="auto: NO_COLOR, FORCE_COLOR, then whether it is a terminal")
    add("--color-by", "--colour-by", dest="color_by", choices=("process", "level", "logger"),
        default="process", help="what decides the colour of a line's name, by default the process")
    add("-P", "--no-pager", action="store_true", help="do not start a pager (MPLOG_PAGER, PAGER, less)")


def _ask(add: _Add) -> None:
    add("-N", "--fields", action="store_true", help="list the fields that occur, how often, and examples")
    add("--values", metavar="FIELD", help="list the values of a field and how often each occurs")
    add("--explain", action="store_true", help="say how the command would read and select, and stop")
    add("--fail-on", metavar="LEVEL", help="exit with 4 if a record shown is of this level or worse")
# fmt: on


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of records")
    return int(text)


_MINUS = {"--tz": "--tz", "-S": "--since", "--since": "--since", "-U": "--until", "--until": "--until"}


def with_defaults(argv: list[str]) -> list[str]:
    """Return the arguments as argparse takes them: a bare `--lanes` or `--delta` has a value, `-S -5m` is joined.

    Behind a bare option a file may follow. `--tz -03:30` is joined, too.
    """
    kinds = {"--lanes": ("process", "thread"), "--delta": ("prev", "process", "start")}
    out: list[str] = []
    for at, word in enumerate(argv):
        following = argv[at + 1] if at + 1 < len(argv) else ""
        if at and argv[at - 1] in _MINUS and word[:1] == "-" and word[1:2].isdigit():
            out[-1] = f"{_MINUS[argv[at - 1]]}={word}"
            continue
        if word in kinds and following not in kinds[word]:
            word = f"{word}={kinds[word][0]}"
        out.append(word)
    return out
