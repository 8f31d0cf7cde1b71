"""Turn what people write for levels, sizes, intervals and switches into values. No I/O; runs in the parent.

Each function takes the value and the name under which the user gave it, and raises `ConfigError` with both.
"""

import logging
import math
import re
from collections.abc import Iterable, Mapping

from mplog.exceptions import ConfigError

__all__ = [
    "nearest",
    "parse_bool",
    "parse_choice",
    "parse_count",
    "parse_interval",
    "parse_level",
    "parse_levels",
    "parse_mode",
    "parse_names",
    "parse_rotation",
    "parse_size",
]

_LEVEL_MAX = 1_000_000
_SIZE = r"(?i)(\d+(?:\.\d+)?|\.\d+)\s*(?:([kmgt])(i?)b?|b|bytes)?"
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE_MAX = 2**63 - 1
_INTERVAL = r"(?i)(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]*)"
_INTERVAL_UNITS = {
    "": 1.0,
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_ROTATIONS = {"hourly": "hourly", "midnight": "midnight", "daily": "midnight"}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known word nearest to `word`, or an empty string."""
    import difflib

    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[found[0]]!r}?" if found else ""


def parse_level(value: object, name: str = "level") -> int:
    """Return the number of one level given as a number (`20`), its digits (`"20"`) or its name (`"info"`).

    Names added with `logging.addLevelName` count. Raises `ConfigError` for anything else.
    """
    if isinstance(value, str):
        word = value.strip()
        names = logging.getLevelNamesMapping()
        for known in (word, word.upper()):
            if known in names:
                return names[known]
        if not (word.isascii() and word.isdigit()):
            usual = sorted(names, key=lambda known: names[known])
            raise ConfigError(
                f"`{name}` is {value!r}, which is no level; use a number or one of {', '.join(usual)}."
                f"{nearest(word, usual)}"
            )
        value = int(word)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"`{name}` is {value!r}, which is no level; use a name or number such as 'INFO' or 20.")
    if not 0 <= value <= _LEVEL_MAX:
        raise ConfigError(f"`{name}` is {value!r}; use a level between 0 and {_LEVEL_MAX}.")
    return int(value)


def parse_levels(value: object, name: str = "level") -> dict[str, int]:
    """Return logger name -> level number, `""` being the root logger.

    Takes one level (`"INFO"`, `20`), a mapping (`{"": "INFO", "app.db": "DEBUG"}`) or a list in one string
    (`"info,app.db=debug"`). `"root"` and `"*"` are other names of the root logger. Raises `ConfigError`.
    """
    if isinstance(value, Mapping):
        return _merged_levels(value.items(), value, name)
    if not isinstance(value, str):
        return {"": parse_level(value, name)}
    pairs: list[tuple[object, object]] = []
    for part in value.split(","):
        logger, equals, level = part.rpartition("=")
        if equals and not logger.strip():
            raise ConfigError(
                f"`{name}` is {value!r}: {part.strip()!r} names no logger; write 'app.db=debug', or 'debug' "
                "for the "
                "root logger."
            )
        pairs.append((logger.strip(), level))
    return _merged_levels(pairs, value, name)


def _merged_levels(pairs: Iterable[tuple[object, object]], value: object, name: str) -> dict[str, int]:
    levels: dict[str, int] = {}
    for logger, level in pairs:
        if not isinstance(logger, str):
            raise ConfigError(f"`{name}` is {value!r}: {logger!r} is no logger name; use a string ('' is the root).")
        key = "" if logger in ("root", "*") else logger
        if key in levels:
            raise ConfigError(f"`{name}` is {value!r}, which names logger {logger or 'root'!r} twice; keep one.")
        levels[key] = parse_level(level, f"{name}[{logger!r}]" if logger else name)
    if not levels:
        raise ConfigError(f"`{name}` is {value!r}, which holds no level; use a level such as 'INFO'.")
    return levels


def parse_size(value: object, name: str = "max_bytes") -> int:
    """Return bytes from a number or a text such as `"10MB"` (10 million) or `"10 MiB"` (2**20 each).

    A bare K, M, G or T counts in 1000s like KB; Ki, Mi, Gi, Ti in 1024s. Raises `ConfigError`, also below 0.
    """
    remedy = "use a number of bytes such as 10_000_000, or '10MB', or '10 MiB'."
    if isinstance(value, str):
        match = re.fullmatch(_SIZE, value.strip())
        if match is None:
            raise ConfigError(f"`{name}` is {value!r}, which is no size; {remedy}")
        number, unit, binary = match.group(1), (match.group(2) or "").lower(), match.group(3)
        factor = (1024 if binary else 1000) ** _SIZE_POWERS[unit]
        # Whole numbers stay integers: a float is exact only to 2**53.
        value = int(number) * factor if number.isdigit() else int(float(number) * factor)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"`{name}` is {value!r}, which is no size; {remedy}")
    if not 0 <= value <= _SIZE_MAX:
        raise ConfigError(f"`{name}` is {value!r}, which is out of range; {remedy}")
    return int(value)


def parse_interval(value: object, name: str = "interval") -> float:
    """Return seconds from a number or from a text such as `"500ms"`, `"90s"`, `"15 min"`, `"1h30m"`, `"1d"`.

    Raises `ConfigError` for anything else, for NaN and infinity and below 0.
    """
    remedy = "use a number of seconds such as 1.5, or '500ms', '90s', '15m', '1h30m', '1d'."
    seconds = math.nan
    if isinstance(value, str):
        seconds = _interval_text(value.strip())
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        # 10**400 does not fit a float, and is no interval either.
        seconds = float(value) if abs(value) < 1e15 else math.nan
    if math.isnan(seconds):
        raise ConfigError(f"`{name}` is {value!r}, which is no interval; {remedy}")
    if seconds < 0:
        raise ConfigError(f"`{name}` is {value!r}, which is negative; {remedy}")
    return seconds


def _interval_text(text: str) -> float:
    total, position = 0.0, 0
    interval = re.compile(_INTERVAL)
    while position < len(text) or not text:
        match = interval.match(text, position)
        unit = _INTERVAL_UNITS.get(match.group(2).lower()) if match else None
        if match is None or unit is None:
            return math.nan
        total += float(match.group(1)) * unit
        position = match.end()
        while position < len(text) and text[position] == " ":
            position += 1
    return total


def parse_rotation(value: object, name: str = "rotate_every") -> float | str:
    """Return when to rotate: seconds (0 = never), or `"hourly"` or `"midnight"` by the local clock.

    Raises `ConfigError` for what is neither, and for less than one second.
    """
    if value is None or value is False:
        return 0.0
    if isinstance(value, str) and value.strip().lower() in _ROTATIONS:
        return _ROTATIONS[value.strip().lower()]
    try:
        seconds = parse_interval(value, name)
    except ConfigError as error:
        hint = nearest(value.strip(), _ROTATIONS) if isinstance(value, str) else ""
        raise ConfigError(f"{error} Or use 'hourly', 'daily' or 'midnight'.{hint}") from None
    if 0 < seconds < 1:
        raise ConfigError(f"`{name}` is {value!r}, which is shorter than a second; use at least 1, or 0 for never.")
    return seconds


def parse_bool(value: object, name: str) -> bool:
    """Return a switch given as a bool, as 1 or 0, or as `"true"`, `"yes"`, `"on"` and their opposites."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ConfigError(f"`{name}` is {value!r}, which is no switch; use True or False (in text: 1 or 0).")


def parse_choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    """Return the one of `choices` that `value` names, in any case. Raises `ConfigError` with the nearest."""
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in choices:
        return word
    listed = ", ".join(map(repr, choices))
    raise ConfigError(f"`{name}` is {value!r}; use one of {listed}.{nearest(word, choices) if word else ''}")


def parse_count(value: object, name: str, most: int = 1_000_000) -> int:
    """Return a whole number between 0 and `most`, given as such or in digits. Raises `ConfigError`."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ConfigError(f"`{name}` is {value!r}; use a whole number between 0 and {most}.")
    return int(value)


def parse_names(value: object, name: str) -> tuple[str, ...]:
    """Return the names in a list of strings or in one string with commas, each once and in order.

    Raises `ConfigError` for anything that is no string, and for a string that is blank.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value.strip() else []
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise ConfigError(f"`{name}` is {value!r}; use a list of names, or one string with commas between them.")
    names: dict[str, None] = {}
    for part in value:
        if not isinstance(part, str) or not part.strip():
            raise ConfigError(f"`{name}` holds {part!r}, which is no name; use a list of strings.")
        names[part.strip()] = None
    return tuple(names)


def parse_mode(value: object, name: str = "mode") -> int:
    """Return permission bits from a number (`0o640`) or octal digits (`"640"`, `"0o640"`).

    Raises `ConfigError` above 0o777, and when the owner could not read and write.
    """
    remedy = "use permission bits such as 0o600 or '640' that let the owner read and write."
    if isinstance(value, str):
        try:
            value = int(value.strip(), 8)
        except ValueError:
            raise ConfigError(f"`{name}` is {value!r}, which are no octal digits; {remedy}") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"`{name}` is {value!r}, which is no file mode; {remedy}")
    if not 0 <= value <= 0o777 or value & 0o600 != 0o600:
        shown = f"{value!r} ({value:#o})" if value >= 0 else repr(value)
        raise ConfigError(f"`{name}` is {shown}; {remedy}")
    return int(value)
