"""`mplog recover`: write into the log what a dead session left in its journals. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, NamedTuple

from mplog._shared import lock as _lock
from mplog._shared.sessions import Found, dead, find
from mplog._shared.spool import Spool
from mplog.config import Config
from mplog.exceptions import MplogError
from mplog.viewer.exceptions import ViewerError

EPILOG = """examples:
  mplog recover app.log                       what the session of app.log has left
  mplog recover /dev/shm/mplog-0/app.log-1f2e the same by the session's directory
  mplog recover                               which dead sessions of this user have left anything
  mplog recover --into saved.json SPOOL       a spool whose session.json is lost

It is safe to run at any time and again: a live listener is left alone, and no record is written twice.
Console and handlers of the session are not called.

Exit status: 0 everything is in the log, 1 something is left or was damaged, 2 usage or no such session."""


class Report(NamedTuple):
    """What was done for one session."""

    spool: str
    file: str | None
    state: str
    """`"nothing"`, `"listening"`, `"recovered"`, `"alive"` (processes live and will write more), or `"left"`."""
    records: int = 0
    damaged: int = 0
    alive: int = 0
    left: int = 0
    """Bytes of journals that are not in the log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog recover`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "paths", nargs="*", metavar="FILE|SPOOL", help="a log file or a session's directory; none: say what waits where"
    )
    parser.add_argument("--into", metavar="FILE", help="write into this file instead of the session's log")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="give up after (default 60)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(args: argparse.Namespace) -> int:
    """Recover every session that the arguments name; return the exit status."""
    if not args.paths:
        return _list_waiting(as_json=args.json)
    reports = []
    for path in args.paths:
        spool, config = _session(path, args.into)
        if spool is None:
            reports.append(Report("", os.path.abspath(path), "nothing"))
        else:
            reports.append(recover(spool, config, timeout=args.timeout))
    if args.json:
        lines = [json.dumps([report._asdict() for report in reports])]
    else:
        lines = [_sentence(report) for report in reports]
    sys.stdout.write("".join(line + "\n" for line in lines))
    return int(any(report.state == "left" or report.damaged for report in reports))


def waiting() -> list[Found]:
    """Return the dead sessions of this user in whose directories anything waits that is in no log."""
    from mplog._listener.sweep import waits

    found = []
    for one in dead():
        try:
            if waits(one.spool):
                found.append(one)
        except OSError:
            found.append(one)
    return found


def _list_waiting(*, as_json: bool) -> int:
    found = waiting()
    if as_json:
        lines = [json.dumps([{"spool": one.spool.path, "file": one.file, "state": "waiting"} for one in found])]
    else:
        lines = [f"{one}: records wait for `mplog recover {one.spool.path}`" for one in found]
        lines = lines or ["no dead session of this user has left any records"]
    sys.stdout.write("".join(line + "\n" for line in lines))
    return int(bool(found))


def recover(spool: Spool, config: Config, *, timeout: float = 60.0) -> Report:
    """Write what is in a spool's journals into the log, each record once, unless a listener lives.

    Args:
        spool: the session's directory.
        config: the session's settings; console and handlers in it are not called.
        timeout: seconds after which what cannot be written is left.
    """
    from mplog.listener import LONGEST_LOCKED, Listener

    lock = _lock.acquire(spool.listener_lock)
    if lock is None:
        return Report(spool.path, config.file, "listening")
    session = None
    gone = False
    try:
        listener = Listener(spool, config.replace(console="off", handlers=(), listener="process"))
        session = listener.settle(timeout)
        clean = listener.finish(LONGEST_LOCKED)
        report = _report(spool, config, listener, clean=clean)
        listener.close()
        if report.state == "recovered" and session is not None and spool.close_journals():
            spool.clear()
            gone = True
        return report
    finally:
        _lock.release(lock)
        if session is not None:
            _lock.release(session, remove=spool.lock_path if gone else None)


def _report(spool: Spool, config: Config, listener: Any, *, clean: bool) -> Report:
    alive = listener.intake.alive()
    damaged = listener.stats.damaged + sum(journal.damaged for journal in listener.intake.journals.values())
    state = "left" if not clean else "alive" if alive else "recovered"
    left = 0 if clean else _bytes_left(spool)
    return Report(spool.path, config.file, state, listener.stats.records, damaged, alive, left)


def _bytes_left(spool: Spool) -> int:
    total = 0
    for directory in spool.journal_directories:
        if os.path.isdir(directory):
            for entry in os.scandir(directory):
                if entry.name.endswith((".mapped", ".appended")):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _session(path: str, into: str | None) -> tuple[Spool | None, Config]:
    """Return spool and settings of the session that a path names; None for a log file without one.

    Raises:
        ViewerError: there is none, or it does not say where its log is.
    """
    found: Found | None = None
    try:
        found = find(path)
    except MplogError as error:
        if not (into and os.path.isdir(os.path.join(path, "journals"))):
            if os.path.isdir(os.path.join(path, "journals")):
                raise ViewerError(f"{path!r} has journals but no session.json; add --into FILE") from error
            if os.path.isfile(path):
                return None, Config()
            raise ViewerError(str(error)) from error
    spool = found.spool if found else Spool(os.path.abspath(path))
    config = Config.from_json(json.dumps(found.session["config"])) if found else Config()
    if into:
        target = os.path.abspath(into)
        json_lines = target.endswith((".json", ".jsonl", ".ndjson"))
        config = config.replace(file=target, format="json" if json_lines else "text")
    if config.file is None:
        raise ViewerError(f"the session in {spool.path!r} has no log file; say where to with --into FILE")
    return spool, config


def _sentence(report: Report) -> str:
    name = report.file or report.spool
    if report.state == "nothing":
        return f"{name}: no journals wait for it"
    if report.state == "listening":
        return f"{name}: its listener lives and writes what comes; there is nothing to recover"
    noun = "record" if report.records == 1 else "records"
    text = f"{name}: {report.records:,} {noun} written"
    if report.damaged:
        text += f", {report.damaged:,} damaged lines left out"
    if report.state == "alive":
        processes = "process lives" if report.alive == 1 else "processes live"
        text += f"; {report.alive} {processes}, so the session stays"
    elif report.state == "left":
        text += f"; not everything could be written: {report.left:,} bytes of journals wait in {report.spool}"
    else:
        text += "; the session's directory is removed"
    return text
