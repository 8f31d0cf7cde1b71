"""`mplog ps`: the process tree of a log: who lives, who lived, who died, and of what.

Runs in the command `mplog`. The one summary that also looks into the spools of running sessions.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

from mplog.exceptions import SessionError
from mplog.viewer import options, summary, tables
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.family import Family, Life
from mplog.viewer.output import say
from mplog.viewer.tables import Page, clean, duration, number, plural, rfc3339

EPILOG = """examples:
  mplog ps app.log              every process: start, end, exit code or signal, records
  mplog ps app.log --died       only those that died, with their last words
  mplog ps                      every running session of this user
  mplog ps /dev/shm/mplog-0/app.log-...         a running session by its spool
  mplog ps app.log --json | jq '.processes[] | select(.died)'

A process without a recorded end has ended in the ordinary way while the log's level was above DEBUG;
those of a running session are marked as running.
Exit status: 0 shown, 1 there is no process, 2 usage or unreadable."""

prepare_arguments = options.with_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog ps`."""
    parser.epilog = EPILOG
    summary.add_arguments(parser)
    summary.add_selection(parser)
    parser.add_argument("--died", action="store_true", help="only the processes that died")


def run(args: argparse.Namespace) -> int:
    """Print the processes of the logs and sessions; the exit status is 1 when there is none."""
    page = Page(sys.stdout, color=args.color, utc=args.utc)
    if _wants_all_sessions(args):
        return _run_sessions(args, page)
    sessions = _take_sessions(args)
    family = Family()
    if args.paths or not sessions:
        summary.gather(args, family)
    for session in sessions:
        _add_running(family, session)
    rows = _rows(family, args)
    if args.json:
        tables.print_json({"processes": [report(life) for life, _ in rows]})
    else:
        _show(rows, family.lives, page)
    return tables.finish(0 if rows else 1)


def _run_sessions(args: argparse.Namespace, page: Page) -> int:
    """Print each running session of this user."""
    from mplog._shared import sessions as _sessions
    from mplog.recover import waiting

    found, left = _sessions.live(), waiting()
    if not found and not left:
        raise ViewerError("there is no running session of this user; name a log file")
    reports, shown = [], False
    for session in found:
        args.paths = [session.file] if session.file is not None and os.path.exists(session.file) else []
        family = Family()
        try:
            if args.paths:
                summary.gather(args, family)
        except ViewerError as error:  # The others are shown all the same.
            say(error.sentence)
            continue
        _add_running(family, session)
        if not family.lives:
            continue  # It has ended since it was found.
        rows = _rows(family, args)
        reports += [{"session": str(session), **report(life)} for life, _ in rows]
        if not args.json:
            if shown:
                page.line()
            shown = True
            page.line(page.paint(clean(str(session)), "cyan"))
            _show(rows, family.lives, page)
    if args.json:
        tables.print_json({"processes": reports, "waiting": [one.spool.path for one in left]})
        return 0
    for one in left:
        words = f"{one}: nobody lives, and records wait for `mplog recover {one.spool.path}`"
        page.line(page.paint(clean(words), "yellow"))
    return 0


def _rows(family: Family, args: argparse.Namespace) -> list[tuple[Life, str]]:
    rows = list(_walk(family.roots(), ""))
    return [(life, "") for life, _ in rows if life.died] if args.died else rows


def _wants_all_sessions(args: argparse.Namespace) -> bool:
    """Tell whether nothing is named and nothing piped in."""
    if args.paths or os.environ.get("MPLOG_FILE"):
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or no file
        return True
    return not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode))


def _take_sessions(args: argparse.Namespace) -> list[Any]:
    """Return the running sessions among the paths; what remains in `args.paths` are logs to read."""
    from mplog._shared import sessions as _sessions

    found, logs = [], []
    for path in summary.paths(args):
        try:
            session = None if path == "-" else _sessions.find(path)
        except SessionError:
            session = None
        if session is None or not os.path.isdir(path):
            logs.append(path)
        elif session.file is not None and os.path.exists(session.file):
            logs.append(session.file)
        if session is not None:
            found.append(session)
    args.paths = logs
    return found


def _add_running(family: Family, session: Any) -> None:
    """Enter the processes of a session that live."""
    from mplog._shared import sessions as _sessions

    written = {line.get("pid"): line.get("written") for line in _sessions.counts(session.spool)}
    for owner in _sessions.owners(session.spool):
        pid, parent, started = (owner.get(key) for key in ("pid", "parent_pid", "started"))
        if type(pid) is int and type(parent) is int and type(started) is int:
            life = family.add_running(str(owner.get("process", "")), pid, parent, started / 1e9)
            if session.file is None and type(count := written.get(pid)) is int:
                life.records = count


def report(life: Life) -> dict[str, Any]:
    """Return a life as data for `--json`."""
    return {
        "process": life.process, "pid": life.pid,
        "parent_pid": life.parent_pid, "parent_known_by": life.parent_known_by or None,
        "started": rfc3339(life.started), "first": rfc3339(life.first), "last": rfc3339(life.last),
        "ended": rfc3339(life.ended), "end": life.end, "died": life.died, "running": life.running,
        "exitcode": life.exitcode, "signal": life.signal, "known_by": life.known_by or None,
        "records": life.records, "warnings": life.warnings, "errors": life.errors, "dropped": life.dropped,
        "last_msg": life.last_msg, "faulthandler": life.faulthandler or None,
    }  # fmt: skip


def _walk(lives: list[Life], indent: str, *, top: bool = True) -> Iterator[tuple[Life, str]]:
    for position, life in enumerate(lives):
        last = position == len(lives) - 1
        yield life, "" if top else indent + ("└─ " if last else "├─ ")
        yield from _walk(life.children, "" if top else indent + ("   " if last else "│  "), top=False)


def _show(rows: list[tuple[Life, str]], lives: list[Life], page: Page) -> None:
    died = sum(life.died for life in lives)
    dead = f", {number(died)} died" if died else ""
    running = sum(life.running for life in lives)
    alive = f", {number(running)} running" if running else ""
    page.sentence((plural(len(lives), "process"), "bold"), (alive, "green"), (dead, "red"))
    if not rows:
        return
    page.line()
    day = _same_day(lives, page)
    head = ("process", "pid", "records", "warn", "error", "start", "end", "lived", "how")
    cells = [_cells(life, indent, page, day) for life, indent in rows]
    align = "~>>>>==><"
    kept, widths = page.fitted([head, *cells], align, (7, 5, 6, 3, 1, 2, 4))
    page.line(page.paint(tables.joined(head, kept, widths, align), "dim"))
    for (life, indent), row in zip(rows, cells, strict=True):
        line = tables.joined(row, kept, widths, align)
        page.line(page.paint(line, "red") if life.died else line)
        if life.died:
            _last_words(life, indent, page)
    if day:
        page.line()
        zone = "UTC" if page.utc else "local time"
        page.sentence((f"{day}, {zone}; a time in brackets is that of the last record", "dim"))


def _cells(life: Life, indent: str, page: Page, day: str) -> tuple[str, ...]:
    end = time.time() if life.running else life.ended if life.ended is not None else life.last
    lived = duration(end - life.begin) if end is not None and life.begin is not None else "-"
    start, stop = page.stamp(life.begin), page.stamp(end)
    if day:
        start, stop = start.removeprefix(day).strip(), stop.removeprefix(day).strip()
    shown = "" if life.running else stop if life.ended is not None else f"({stop})"
    tree = indent if page.blocks else indent.replace("├─", "|-").replace("└─", "`-").replace("│", "|")
    return (
        tree + (clean(life.process) or "-"), "-" if life.pid is None else str(life.pid), number(life.records),
        number(life.warnings) if life.warnings else "", number(life.errors) if life.errors else "",
        start, shown, lived, clean(life.end or ("the listener" if _is_listener(life) else "no end recorded")),
    )  # fmt: skip


def _is_listener(life: Life) -> bool:
    """Tell whether a life is mplog's own, whose end nobody reports: it has written nothing but mplog's records."""
    return life.process == "mplog" and not life.last_msg


def _last_words(life: Life, indent: str, page: Page) -> None:
    pad = indent.replace("├─", "│ ").replace("└─", "  ") + "  "
    pad = pad if page.blocks else pad.replace("│", "|")
    known = f" (known by {clean(life.known_by)})" if life.known_by else ""
    words = f"last words: {clean(life.last_msg)}" if life.last_msg else "no last words"
    page.line(page.paint(tables.cut(pad + words + known, page.width), "dim"))
    if life.faulthandler:
        for line in life.faulthandler.strip().split("\n")[:12]:
            page.line(page.paint(tables.cut(f"{pad}  {clean(line)}", page.width), "dim"))


def _same_day(lives: list[Life], page: Page) -> str:
    """Return the one day on which everything happened, "" when there are several."""
    every = [t for life in lives for t in (life.begin, life.ended, life.last) if t is not None]
    days = {page.stamp(t)[:10] for t in (min(every), max(every))} if every else set()
    return days.pop() if len(days) == 1 else ""
