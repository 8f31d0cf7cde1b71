"""Level names and numbers, in logging's spelling and in other programs'. Runs in the command `mplog`."""

from __future__ import annotations

import re

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50

STANDARD = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}

# Upper-case spelling -> number. pino, bunyan, zap, slog, loguru, syslog, OTel and log4j names included.
NUMBERS: dict[str, int] = {
    "NOTSET": 0, "TRACE": 5, "FINEST": 5, "FINER": 5, "SUBDEBUG": 9, "SUBWARNING": 29,
    "DEBUG": 10, "DBG": 10, "FINE": 10, "VERBOSE": 15,
    "INFO": 20, "INF": 20, "INFORMATION": 20, "INFORMATIONAL": 20, "LOG": 20, "CONFIG": 20,
    "NOTICE": 25, "SUCCESS": 25, "HINT": 25,
    "WARNING": 30, "WARN": 30, "WRN": 30,
    "ERROR": 40, "ERR": 40, "SEVERE": 40, "FAILURE": 40, "EXCEPTION": 40,
    "CRITICAL": 50, "CRIT": 50, "FATAL": 50, "FTL": 50, "DPANIC": 50, "PANIC": 50, "ALERT": 50, "EMERG": 50,
    "EMERGENCY": 50,
}  # fmt: skip

SHORT = {"t": 5, "d": 10, "i": 20, "n": 25, "w": 30, "e": 40, "c": 50, "f": 50}

_BETWEEN = re.compile(r"(DEBUG|INFO|WARN|ERROR)([+-]\d{1,3})", re.ASCII)
_seen: dict[str, int] = dict(NUMBERS)


def number(name: str) -> int:
    """Return the number of a level's name in any case; 0 when nobody knows it."""
    known = _seen.get(name)
    return known if known is not None else _learn(name)


def _learn(name: str) -> int:
    upper = name.strip().upper()
    found = NUMBERS.get(upper)
    if found is None:
        digits = upper[6:] if upper.startswith("LEVEL ") else ""
        found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
        between = _BETWEEN.fullmatch(upper)  # slog: its levels are 4 apart, logging's 10
        if between is not None:
            found = max(1, NUMBERS[between[1]] + int(between[2]) * 10 // 4)
    if len(_seen) < 1000:
        _seen[name] = found
    return found


def abbreviated(name: str) -> int:
    """Return the number of a level cut short by a format such as `%(levelname).1s` or `.5s`; 0 for any other text."""
    if len(name) == 1:
        return SHORT.get(name.lower(), 0)
    return next((number for number, full in STANDARD.items() if len(name) > 2 and full.startswith(name.upper())), 0)


def name(levelno: int) -> str:
    """Return logging's name of a number; "Level 15" when it has none."""
    return STANDARD.get(levelno) or f"Level {levelno}"
