"""`mplog level`: change the level of a running session from outside. Runs in the command `mplog`."""

from __future__ import annotations

import argparse

from mplog._parent.parse import parse_level
from mplog.exceptions import MplogError
from mplog.viewer.escapes import escape
from mplog.viewer.exceptions import ViewerError

EPILOG = """examples:
  mplog level debug                                  the only running session, all its processes
  mplog level debug app.log --for 60s                the session of this log file, for a minute
  mplog level debug --logger app.db --process 'ForkPoolWorker-*'
  mplog level warning /dev/shm/mplog-0/app.log-...   the session with its journals there

The levels of file and console stay as they are. Exit status: 0 changed, 2 usage, or no such session."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog level`."""
    parser.epilog = EPILOG
    parser.add_argument("level", metavar="LEVEL", help="debug, info, warning, error, critical, or a number")
    parser.add_argument(
        "target", nargs="?", metavar="FILE|SPOOL",
        help="log file or spool of the session; without it the only running session of this user",
    )  # fmt: skip
    parser.add_argument("-L", "--logger", default="", metavar="NAME", help="default: the root logger")
    parser.add_argument("-p", "--process", metavar="GLOB", help="default: all processes")
    parser.add_argument("--for", dest="duration", metavar="TIME", help="60s, 5m ...: then it goes back by itself")


def run(args: argparse.Namespace) -> int:
    """Change the level and say in which processes."""
    from mplog._shared import control, sessions

    try:
        parse_level(args.level)
        found = sessions.find(args.target) if args.target else sessions.only()
        if not found.alive:
            raise ViewerError(f"the session of {found} has ended; its journals wait for `mplog recover`")
        wish = control.change(found.spool, args.level, logger=args.logger, process=args.process, duration=args.duration)
    except MplogError as error:
        raise ViewerError(str(error).rstrip(".")) from error
    if args.process is not None:
        names = sorted({str(owner.get("process")) for owner in sessions.owners(found.spool)})
        if not any(wish.matches(name) for name in names):
            known = escape(", ".join(names[:9]))
            print(f"no process that has logged has a name like {args.process!r}; there are {known}")
    print(_sentence(str(found), args, wish.level))
    return 0


def _sentence(where: str, args: argparse.Namespace, level: int) -> str:
    """Return what was changed, in words."""
    import logging

    logger = f"logger {args.logger}" if args.logger else "the root logger"
    until = f" for {args.duration}" if args.duration else ""
    processes = f"processes like {args.process!r}" if args.process else "all processes"
    return escape(f"{where}: {logger} is at {logging.getLevelName(level)}{until}, in {processes}")
