"""Times as people write them (10m, 14:30, today, ISO) and the zone they are shown in.

Runs in the command `mplog`.
"""

from __future__ import annotations

import re
import time as _time
from datetime import UTC, datetime, timedelta, tzinfo

from mplog.viewer import times
from mplog.viewer.exceptions import ViewerError

_UNITS = {
    "ms": 0.001, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "m": 60, "min": 60,
    "mins": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def duration(text: str) -> float | None:
    """Return the seconds of `10m`, `1h30m`, `10 min`; None when it is none."""
    rest, total = text.strip().lower(), 0.0
    if not rest:
        return None
    while rest:
        match = _SPAN.match(rest)
        if match is None or match[2] not in _UNITS:
            return None
        total += float(match[1]) * _UNITS[match[2]]
        rest = rest[match.end() :]
    return total


def parse_time(text: str, *, now: float | None = None, zone: tzinfo | None = None) -> float:
    """Return the epoch seconds of a time as people write it.

    Args:
        text: `10m` or `10 min ago` (before now), `14:30`, `14:30:15.5` (today), `today`, `yesterday`,
            `tomorrow`, `now`, a weekday, `2026-11-22`, `2026-11-22 14:30`, ISO with a zone, `@1795345871`.
        now: epoch seconds; None takes the clock.
        zone: what a time without a zone is in; None is the local zone.

    Raises:
        ViewerError: none of these.
    """
    current = _time.time() if now is None else now
    word = text.strip().lower()
    ago = duration(word.removesuffix("ago").strip().lstrip("-"))
    if ago is not None:
        return current - ago
    try:
        found = _named(word, current, zone)
        if found is None:
            found = _absolute(text.strip(), current, zone)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise ViewerError(
            f"the time {text!r} is not understood; "
            "write 10m, '10 min ago', 14:30, today, 2026-11-22 or 2026-11-22T14:30:00Z"
        )
    return found


def _named(word: str, now: float, zone: tzinfo | None) -> float | None:
    if word == "now":
        return now
    midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if word == "today":
        return midnight.timestamp()
    if word in ("yesterday", "tomorrow"):
        return (midnight + timedelta(days=1 if word == "tomorrow" else -1)).timestamp()
    if word in _DAYS:
        return (midnight - timedelta(days=(midnight.weekday() - _DAYS.index(word)) % 7)).timestamp()
    if word.startswith("@"):
        return float(word[1:])
    return None


def _absolute(text: str, now: float, zone: tzinfo | None) -> float | None:
    clock = re.fullmatch(r"(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?", text)
    if clock is not None:
        day = datetime.fromtimestamp(now, zone)
        moment = day.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
        return moment.timestamp() + times.fraction(clock[4])
    if re.fullmatch(r"\d{4}-\d\d?-\d\d?", text):
        year, month, day_ = (int(part) for part in text.split("-"))
        return datetime(year, month, day_, tzinfo=zone).timestamp()
    short = re.fullmatch(r"(\d{4}-\d\d?-\d\d?)[T ](\d\d?:\d\d)(Z|[+-]\d\d:?\d\d)?", text)
    if short is not None:
        text = f"{short[1]}T{short[2]}:00{short[3] or ''}"
    full = re.fullmatch(r"(\d{4})[-/](\d\d?)[-/](\d\d?)[T ](\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,9}))?", text)
    if full is not None:
        year, month, day_, hour, minute, second = (int(part) for part in full.groups()[:6])
        return datetime(year, month, day_, hour, minute, second, tzinfo=zone).timestamp() + times.fraction(full[7])
    return times.parse(text) if re.fullmatch(r"[\dT:.,+\-/ Z]+", text) and len(text) > 15 else None


def zone_of(name: str | None, *, utc: bool = False) -> tzinfo | None:
    """Return the zone of `--tz` or `--utc`; None is the local zone.

    Raises:
        ViewerError: there is no such zone.
    """
    if utc or (name or "").upper() in ("UTC", "Z"):
        return UTC
    if not name or name == "local":
        return None
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if offset is not None:
        from datetime import timezone

        delta = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if delta >= timedelta(days=1):
            raise ViewerError(f"the offset {name!r} is no time zone; the largest is 23:59")
        return timezone(delta if offset[1] == "+" else -delta)
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        from mplog.viewer.fields import nearest

        raise ViewerError(f"unknown time zone {name!r}{nearest(name, zoneinfo.available_timezones())}") from None


class Calendar:
    """Show epoch seconds as clock and date in one zone, remembering each second.

    Args:
        zone: None is the local zone.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.zone = zone
        self._clock: dict[int, str] = {}
        self._date: dict[int, str] = {}

    def clock(self, second: int) -> str:
        """Return `11:11:11`."""
        found = self._clock.get(second)
        if found is None:
            if len(self._clock) > 10_000:
                self._clock.clear()
            moment = self._moment(second)
            found = self._clock[second] = "--:--:--" if moment is None else moment.isoformat()[11:19]
        return found

    def date(self, second: int) -> str:
        """Return `2026-11-22`."""
        quarter = second // 900
        found = self._date.get(quarter)
        if found is None:
            if len(self._date) > 10_000:
                self._date.clear()
            moment = self._moment(quarter * 900)
            found = self._date[quarter] = "?" if moment is None else moment.date().isoformat()
        return found

    def stamp(self, time: float) -> str:
        """Return `2026-11-22 11:11:11.123`."""
        micro = round(time * 1e6)
        second = micro // 1_000_000
        return f"{self.date(second)} {self.clock(second)}.{micro % 1_000_000 // 1000:03d}"

    def _moment(self, second: int) -> datetime | None:
        try:
            return datetime.fromtimestamp(second, self.zone)
        except (ValueError, OverflowError, OSError):
            return None
