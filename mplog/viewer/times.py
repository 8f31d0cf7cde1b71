"""Time stamps in files: any usual spelling to epoch seconds. Runs in the command `mplog`."""

from __future__ import annotations

import calendar
import re
import time as _time
from datetime import datetime

_ISO = re.compile(
    r"(\d{4})[-/](\d\d?)[-/](\d\d?)[T _](\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s*"
    r"(Z|UTC|[+-]\d\d:?\d\d(?!\d))?"
)
_CLF = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)\s*([+-]\d{4})?")
_SYSLOG = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?: (\d{4}))?")
_SHORT_DATE = re.compile(r"(\d\d)?(\d\d)-?(\d\d) (\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9}))?")
_DOTTED = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4}),? (\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9}))?")
_WEEKDAY = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? ")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {m: i for i, m in enumerate(_NAMES, 1)}

_HOURS = {f"T{hour:02}:": hour * 3600 for hour in range(24)}
_MINUTES = {f"{minute:02}:": minute * 60 for minute in range(60)}
SECONDS = {f"{second:02}": second for second in range(60)}

_days: dict[str, float] = {}
_seconds: dict[str, float] = {}
_local_seconds: dict[str, float] = {}
_local: dict[tuple[int, ...], float] = {}


def parse_utc(text: str) -> float | None:
    """Return epoch seconds of `2026-11-22T11:11:11.123456Z`, the form mplog writes, or of another form."""
    whole = text[:19]
    base = _seconds.get(whole)
    if base is None:
        if len(text) < 20 or text[-1] != "Z":
            return parse(text)
        base = _second(whole)
        if base is None:
            return None
    if text[19:20] == "." and text[-1] == "Z":
        digits = text[20:-1]
        if len(digits) == 6 and digits.isdigit() and digits.isascii():
            return base + int(digits) / 1e6
    return parse(text)


def _second(whole: str) -> float | None:
    seconds = _on_known_day(whole)
    if seconds is None:
        match = _ISO.fullmatch(whole)
        if match is None:
            return None
        parts = tuple(int(part) for part in match.groups()[:6])
        seconds = _epoch(parts, "Z")
        if seconds is None:
            return None
        if len(whole) == 19 and whole[10] == "T":
            if len(_days) > 4096:
                _days.clear()
            _days[whole[:10]] = seconds - (parts[3] * 3600 + parts[4] * 60 + parts[5])
    if len(_seconds) > 4096:
        _seconds.clear()
    _seconds[whole] = seconds
    return seconds


def _on_known_day(whole: str) -> float | None:
    """Return the seconds of `2026-11-22T11:11:11` without a look at the calendar."""
    try:
        return _days[whole[:10]] + _HOURS[whole[10:14]] + _MINUTES[whole[14:17]] + SECONDS[whole[17:]]
    except KeyError:
        return None


def parse(text: str) -> float | None:
    """Return epoch seconds of a time in ISO, Common Log or syslog form; without a zone it is local."""
    base = _local_seconds.get(text[:19])
    if base is not None and len(text) == 23 and text[20:].isdigit() and text.isascii() and text[19] in ".,":
        return base + int(text[20:]) / 1000
    match = _ISO.match(text)
    if match is not None:
        parts = tuple(int(part) for part in match.groups()[:6])
        seconds = _epoch(parts, match[8])
        if seconds is not None and match[8] is None and match.end(6) == 19:
            if len(_local_seconds) > 4096:
                _local_seconds.clear()
            _local_seconds[text[:19]] = seconds
        return None if seconds is None else seconds + fraction(match[7])
    match = _CLF.match(text)
    if match is not None:
        month = _MONTHS.get(match[2])
        if month is None:
            return None
        return _epoch((int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6])), match[7])
    match = _SYSLOG.match(text)
    if match is not None and match[1] in _MONTHS:
        year = int(match[7]) if match[7] else datetime.now().year
        parts = (year, _MONTHS[match[1]], int(match[2]), int(match[3]), int(match[4]), int(match[5]))
        seconds = _epoch(parts, None)
        return None if seconds is None else seconds + fraction(match[6])
    return None


def parse_local_date(text: str) -> float | None:
    """Return epoch seconds of a local time as a `datefmt` of `logging` may write it.

    `11-22 23:36` (of this year), `261122 23:36:27`, `22.11.2026 23:36:27`, `Sun Nov 22 23:36:27 2026`. Not with
    slashes: nobody can tell whether 05/06 is in May.
    """
    weekday = _WEEKDAY.match(text)
    if weekday is not None:
        return parse(text[weekday.end() :])
    match = _SHORT_DATE.fullmatch(text)
    if match is not None:
        year = datetime.now().year if match[1] is None else 2000 + int(match[1])
        month, day = int(match[2]), int(match[3])
    else:
        match = _DOTTED.fullmatch(text)
        if match is None:
            return None
        day, month, year = int(match[1]), int(match[2]), int(match[3])
    seconds = _epoch((year, month, day, int(match[4]), int(match[5]), int(match[6] or 0)), None)
    return None if seconds is None else seconds + fraction(match[7])


def fraction(digits: str | None) -> float:
    """Return 0.123 for "123"; 0.0 for nothing."""
    return int(digits) / 10 ** len(digits) if digits else 0.0


def _epoch(parts: tuple[int, ...], zone: str | None) -> float | None:
    try:
        year, month, day, hour, minute, second = parts
        datetime(year, month, day, hour, minute, min(second, 59))
        if zone is None:
            return _from_local(parts)
        seconds = float(calendar.timegm((*parts, 0, 0, 0)))
    except (ValueError, OverflowError):
        return None
    if zone in ("Z", "UTC"):
        return seconds
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return seconds - offset if zone[0] == "+" else seconds + offset


def _from_local(parts: tuple[int, ...]) -> float:
    hour = parts[:4]
    base = _local.get(hour)
    if base is None:
        base = _time.mktime((hour[0], hour[1], hour[2], hour[3], 0, 0, 0, 0, -1))
        if len(_local) > 4096:
            _local.clear()
        _local[hour] = base
    return base + parts[4] * 60 + parts[5]


def from_number(value: float) -> float | None:
    """Return epoch seconds of a number in seconds, milli-, micro- or nanoseconds (by its size)."""
    size = abs(value)
    if not size < 1e20:
        return None
    if size < 1e11:
        return float(value)
    return value / 1e3 if size < 1e14 else value / 1e6 if size < 1e17 else value / 1e9
