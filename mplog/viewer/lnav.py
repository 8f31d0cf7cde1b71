"""`mplog lnav-format`: a format file with which lnav shows our logs. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
from typing import Any

from mplog.viewer.tables import finish, print_json

EPILOG = """examples:
  mplog lnav-format > mplog.json && lnav -i mplog.json    install once
  lnav app.log                                            then lnav knows our logs, JSON and text
  lnav -n -c ';select process, count(*) from mplog_json group by 1' app.log"""

# lnav's level names and ours; the levels between are shown with the one below (lnav, "Log Formats", `level`).
_LEVELS = {
    "critical": "^CRITICAL$",
    "error": "^ERROR$",
    "warning": "^WARNING$",
    "notice": "^(NOTICE|SUCCESS|Level 2[1-9])$",
    "info": "^INFO$",
    "debug": "^(DEBUG|VERBOSE|Level 1[0-9])$",
    "trace": "^(TRACE|Level [0-9])$",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog lnav-format`: there are none."""
    parser.epilog = EPILOG


def run(_args: argparse.Namespace) -> int:
    """Print the format file."""
    print_json(formats())
    return finish(0)


def formats() -> dict[str, Any]:
    """Return the definitions, after https://docs.lnav.org/en/latest/formats.html."""
    return {
        "$schema": "https://lnav.org/schemas/format-v1.schema.json",
        "mplog_json": {
            "title": "mplog JSON",
            "description": "JSON lines of mplog, a log of many processes",
            "file-type": "json",
            "timestamp-field": "time",
            "level-field": "level",
            "level": _LEVELS,
            "body-field": "msg",
            "opid-field": "process",
            "hide-extra": False,
            "value": _values(exc={"kind": "json", "hidden": True}),
            "line-format": _line_format(),
        },
        "mplog_text": {
            "title": "mplog text",
            "description": "Text lines of mplog, a log of many processes",
            "regex": {
                "std": {
                    "pattern": r"^(?<timestamp>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}) "
                    r"(?<level>\w+|Level \d+) +"
                    r"(?<process>[^\[]*)\[(?<pid>\d+)\] (?<logger>[^\s:]*): (?<body>.*)$"
                }
            },
            "level-field": "level",
            "level": _LEVELS,
            "opid-field": "process",
            "value": {
                "process": {"kind": "string", "identifier": True},
                "pid": {"kind": "integer", "identifier": True, "foreign-key": True},
                "logger": {"kind": "string", "identifier": True},
            },
            "sample": [{"line": "2026-11-22 11:11:11.123 INFO     ForkPoolWorker-3[123] app.jobs: done n=1"}],
        },
    }


def _values(**more: dict[str, Any]) -> dict[str, Any]:
    name = {"kind": "string", "identifier": True}
    number = {"kind": "integer", "identifier": True, "foreign-key": True}
    return {
        "time": {"kind": "string", "hidden": True},
        "level": {"kind": "string", "hidden": True},
        "msg": {"kind": "string"},
        "logger": name,
        "process": name,
        "pid": number,
        "thread": {"kind": "string", "identifier": True, "hidden": True},
        "file": {"kind": "string", "identifier": True, "hidden": True},
        "line": {**number, "hidden": True},
        "func": {"kind": "string", "identifier": True, "hidden": True},
        "seq": {"kind": "integer", "foreign-key": True, "hidden": True},
        "exc/text": {"kind": "string"},
        **more,
    }


def _line_format() -> list[Any]:
    """Return the layout: as our text; what is not in it, the traceback too, lnav shows below."""
    return [
        {"field": "__timestamp__", "timestamp-format": "%Y-%m-%d %H:%M:%S.%L"},
        " ",
        {"field": "level", "min-width": 8, "align": "left"},
        " ",
        {"field": "process"},
        "[",
        {"field": "pid"},
        "] ",
        {"field": "logger"},
        ": ",
        {"field": "msg"},
    ]
