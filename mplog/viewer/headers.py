"""The first lines of text records: mplog's layout, logging format strings, the usual others.

Runs in the command `mplog`. A pattern names its groups after the members of a record, with `f_` before
own fields.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from mplog.viewer.exceptions import ViewerError

STAMP = r"\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d)(?!\d))?"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_SYSLOG = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?"
_NAMES = (
    r"TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARNING|WARN|ERROR|CRITICAL|FATAL|"
    r"trace|debug|info|notice|success|warning|warn|error|critical|fatal"
)
_LEVEL = rf"(?P<level>{_NAMES}|Level \d+)"
_LOGGER = r"(?P<logger>[A-Za-z_][\w.\-]*)"
_SCOPE = r"(?P<logger>[^\s:]*):(?P<func>[^\s:]*)"
_PROGRAM = r"(?P<logger>[^\s\[:]+)(?:\[(?P<pid>\d{1,19})\])?"
_MSG = r"(?P<msg>.*)"

OWN = re.compile(
    rf"(?P<time>{STAMP}) (?P<level>[A-Za-z][\w.\-]*|Level \d+) *"
    rf" (?P<process>[^\[\]]*)\[(?P<pid>\d{{1,19}})\] (?P<logger>[^:]*): ?{_MSG}",
    re.DOTALL,
)

_USUAL = (
    # celery: [2026-11-22 11:11:11,123: INFO/ForkPoolWorker-1] message
    rf"\[(?P<time>{STAMP}): {_LEVEL}/(?P<process>[^\]]+)\] {_MSG}",
    # gunicorn: [2026-11-22 11:11:11 +0000] [123] [INFO] message
    rf"\[(?P<time>{STAMP})\] \[(?P<pid>\d{{1,19}})\] \[{_LEVEL}\] {_MSG}",
    # loguru: 2026-11-22 11:11:11.123 | INFO     | module:function:12 - message
    rf"(?P<time>{STAMP}) \| {_LEVEL} *\| {_SCOPE}:(?P<line>\d{{1,9}}) - {_MSG}",
    # structlog: 2026-11-22T11:11:11.123456Z [info     ] event   key=value [logger]
    rf"(?P<time>{STAMP}) \[{_LEVEL} *\] {_MSG}",
    # the logging documentation: time - name - LEVEL - message, and with LEVEL first
    rf"(?P<time>{STAMP}) - {_LOGGER} - {_LEVEL} - {_MSG}",
    rf"(?P<time>{STAMP}) - {_LEVEL} - {_LOGGER} - {_MSG}",
    rf"(?P<time>{STAMP}) - {_LEVEL} - {_MSG}",
    # time LEVEL name: message; time [LEVEL] name: message; time LEVEL message
    rf"(?P<time>{STAMP}) \[?{_LEVEL}\]? *[:|\-]? *(?:\[?{_LOGGER}\]?:)? {_MSG}",
    rf"(?P<time>{STAMP}) \[?{_LEVEL}\]? *[:|\-]? {_MSG}",
    rf"\[?(?P<time>{STAMP})\]?[ :|\-]+{_MSG}",
    # multiprocessing.log_to_stderr: [INFO/Process-1] message
    rf"\[{_LEVEL}/(?P<process>[^\]]+)\] {_MSG}",
    # logging.basicConfig: LEVEL:name:message; uvicorn: INFO:     message
    rf"{_LEVEL}:(?P<logger>[\w.\-]+):{_MSG}",
    rf"{_LEVEL}: {{2,}}{_MSG}",
    # syslog: Nov 22 11:11:11 host program[123]: message
    rf"(?P<time>{_SYSLOG}) (?P<f_host>[\w.\-]+) {_PROGRAM}: {_MSG}",
)


# What a `datefmt` of one's own may write. It has digits: else every line of a traceback could be a header.
_DATE = r"(?:[A-Z][a-z]{2,8},? ){0,2}(?=\S{0,30}\d)\S{1,60}(?: (?:[\d:.,/+\-]+|[A-Z][a-z]{2},?|[AP]M|UTC|Z))*"

_GROUPS = {
    "asctime": ("time", rf"{STAMP}|{_CLOCK}|{_SYSLOG}|{_DATE}"),
    "created": ("time", r"\d+(?:\.\d+)?"),
    "levelname": ("level", r"Level \d+|[A-Za-z][\w.\-]*"),
    "levelno": ("f_levelno", r"\d+"),
    "name": ("logger", r"[^\s:]*?|.{0,100}?"),
    "message": ("msg", r".*"),
    "process": ("pid", r"\d{1,19}"),
    "processName": ("process", r".{1,80}?"),
    "threadName": ("thread", r".{1,80}?"),
    "thread": ("f_thread_id", r"\d+"),
    "taskName": ("f_task", r".{1,80}?"),
    "pathname": ("file", r".{1,300}?"),
    "filename": ("file", r".{1,100}?"),
    "module": ("f_module", r"\S*?"),
    "lineno": ("line", r"\d{1,9}"),
    "funcName": ("func", r"\S*?|<\w+>"),
    "msecs": ("f_msecs", r"\d+(?:\.\d+)?"),
    "relativeCreated": ("f_relative", r"\d+(?:\.\d+)?"),
}

_STYLES = (
    re.compile(r"%\((?P<name>\w+)\)(?P<spec>[-#0 +]*\d*(?:\.\d+)?)[a-zA-Z]"),
    re.compile(r"\$\{?(?P<name>\w+)\}?(?P<spec>)"),
    re.compile(r"\{(?P<name>\w+)(?:![rsa])?(?::(?P<spec>[^{}]*))?\}"),
)


@functools.cache
def usual() -> tuple[re.Pattern[str], ...]:
    """Return the patterns to try when the format is not known; compiled when the first text log is read."""
    return (OWN, *(re.compile(pattern, re.DOTALL) for pattern in _USUAL))


def of_format(text: str) -> re.Pattern[str]:
    """Return the pattern of the lines that a `logging` format string writes, in any of its three styles.

    Raises:
        ViewerError: the text has no placeholder.
    """
    for style in _STYLES:
        places = list(style.finditer(text))
        if any(place["name"] in _GROUPS for place in places):
            return _compiled(text, places)
    raise ViewerError(
        f"--input {text!r} is no format; write auto, json, text, or a logging format string such as "
        "'%(asctime)s %(levelname)s %(message)s'"
    )


def _compiled(text: str, places: list[re.Match[str]]) -> re.Pattern[str]:
    pattern, at = "", 0
    used: set[str] = set()
    for place in places:
        pattern += _literal(text[at : place.start()])
        at = place.end()
        group, inner = _GROUPS.get(place["name"], (f"f_{place['name']}", ".{0,200}?"))
        padded = r" *" if place["spec"] and re.search(r"\d", place["spec"]) else ""
        pattern += padded + (f"(?:{inner})" if group in used else f"(?P<{group}>{inner})") + padded
        used.add(group)
    pattern += _literal(text[at:])
    return re.compile(pattern, re.DOTALL)


def _literal(text: str) -> str:
    return re.escape(text.replace("%%", "%").replace("{{", "{").replace("}}", "}"))


def choose(input_format: str, source: str = "") -> Callable[[str], re.Match[str] | None]:
    """Return the function that matches a header line; the pattern that matched last is tried first.

    Args:
        input_format: `auto`, `json`, `text`, or a `logging` format string.
        source: the log; if a running session writes it with a format string, that one is tried too.

    Raises:
        ViewerError: see `of_format`.
    """
    if input_format not in ("auto", "json", "text"):
        return of_format(input_format).fullmatch
    last = [OWN]
    known: list[re.Pattern[str]] = []

    def match(text: str) -> re.Match[str] | None:
        found = last[0].fullmatch(text)
        if found is not None:
            return found
        if not text or text[0] in " \t":
            return None
        if not known:
            known.extend((*_of_session(source), *usual()))
        for pattern in known:
            found = pattern.fullmatch(text)
            if found is not None:
                last[0] = pattern
                return found
        return None

    return match


def _of_session(source: str) -> list[re.Pattern[str]]:
    from mplog.viewer.sessions import format_of

    layout = format_of(source) if source not in ("", "-") else None
    try:
        return [] if layout is None else [of_format(layout)]
    except ViewerError:
        return []
