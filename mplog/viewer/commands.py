"""The table of sub-commands. Runs in the command `mplog`."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple


class Command(NamedTuple):
    """Name a sub-command, the module with its `add_arguments` and `run`, and what its help says."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("view", "mplog.viewer.view", "show a log: select, follow, colour, convert"),
    Command("tail", "mplog.viewer.tail", "follow a log; the same as view -f"),
    Command("stats", "mplog.viewer.stats", "count by level, process and logger, with a histogram over time"),
    Command("errors", "mplog.viewer.errors", "group the exceptions by where they were raised"),
    Command("ps", "mplog.viewer.ps", "show the process tree: who lived, who died, and of what"),
    Command("check", "mplog.viewer.ledger", "prove from `seq` that no record is missing"),
    Command("recover", "mplog.recover", "write what a dead session left in its journals into its log"),
    Command("level", "mplog.viewer.level", "change the level of a running session"),
    Command("sql", "mplog.viewer.sql", "query logs in SQL (needs duckdb)"),
    Command("lnav-format", "mplog.viewer.lnav", "print a format file for lnav"),
    Command("completion", "mplog.viewer.completion", "print a completion script for bash, zsh or fish"),
    Command("demo", "mplog.demo", "count the standard library with many processes, kill one, lose nothing"),
)


def available() -> list[Command]:
    """Return the sub-commands whose module is installed."""
    return [command for command in COMMANDS if importlib.util.find_spec(command.module) is not None]
