"""Collect settings from arguments, environment and configuration file, and check each. Runs in the parent."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from mplog._parent.checks import auto_format, check_format, check_redact, check_style
from mplog._parent.handler_specs import check_handlers
from mplog._parent.parse import (
    nearest,
    parse_bool,
    parse_choice,
    parse_count,
    parse_interval,
    parse_level,
    parse_levels,
    parse_mode,
    parse_names,
    parse_rotation,
    parse_size,
)
from mplog._parent.paths import check_directory_is_private, check_file, check_spool
from mplog.exceptions import ConfigError, MplogError

__all__ = ["CAPTURES", "CHECKS", "collect"]

CAPTURES: Final = ("warnings", "exceptions", "stdout", "stderr", "fd", "faulthandler")
_CONSOLES: Final = ("off", "stderr", "stdout")
_SWITCHES: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), "stderr"),
    **dict.fromkeys(("0", "false", "no", "none"), "off"),
}
# Read by other parts of mplog themselves.
_OTHER_VARIABLES: Final = ("MPLOG_SESSION", "MPLOG_CONFIG", "MPLOG_PAGER", "MPLOG_JOBS", "MPLOG_TRACEBACK")
Layers = dict[str, tuple[object, str]]


def _console(value: object, name: str) -> str:
    if value is None or isinstance(value, bool):
        return "stderr" if value else "off"
    if isinstance(value, str):
        value = _SWITCHES.get(value.strip().lower(), value)
    return parse_choice(value, name, _CONSOLES)


def _levels(value: object, name: str) -> dict[str, int]:
    return {"": 20, **parse_levels(value, name)}


def _console_level(value: object, name: str) -> int:
    return 0 if value is None else parse_level(value, name)


def _datefmt(value: object, name: str) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ConfigError(f"`{name}` is {value!r}; use a `time.strftime` format such as '%H:%M:%S', or None.")


def _capture(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, bool):
        return CAPTURES if value else ()
    names = parse_names(value, name)
    if names in (("all",), ("none",)):
        return CAPTURES if names == ("all",) else ()
    for item in names:
        if item not in CAPTURES:
            known = ", ".join(map(repr, CAPTURES))
            raise ConfigError(f"`{name}` holds {item!r}; use {known}, or 'all'.{nearest(item, CAPTURES)}")
    return names


def _max_bytes(value: object, name: str) -> int:
    return 0 if value is None else parse_size(value, name)


def _backup_count(value: object, name: str) -> int:
    return 0 if value is None else parse_count(value, name)


def _block_timeout(value: object, name: str) -> float:
    seconds = parse_interval(value, name)
    if seconds > 3600:
        raise ConfigError(f"`{name}` is {value!r}; use at most 3600 seconds.")
    return seconds


def _size_within(low: int, high: int) -> Callable[[object, str], int]:
    def check(value: object, name: str) -> int:
        size = parse_size(value, name)
        if not low <= size <= high:
            raise ConfigError(f"`{name}` is {value!r}; use a size between {low:,} and {high:,} bytes.")
        return size

    return check


def _choice(*choices: str) -> Callable[[object, str], str]:
    return lambda value, name: parse_choice(value, name, choices)


CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "file": check_file,
    "level": _levels,
    "console": _console,
    "console_level": _console_level,
    "style": check_style,
    "datefmt": _datefmt,
    "utc": parse_bool,
    "color": _choice("auto", "always", "never"),
    "fold": parse_bool,
    "max_bytes": _max_bytes,
    "rotate_every": parse_rotation,
    "backup_count": _backup_count,
    "compress": parse_bool,
    "mode": parse_mode,
    "durable": parse_bool,
    "handlers": check_handlers,
    "listener": _choice("auto", "process", "thread"),
    "capture": _capture,
    "redact": check_redact,
    "show_locals": parse_bool,
    "overflow": _choice("block", "drop"),
    "block_timeout": _block_timeout,
    "max_record": _size_within(1 << 10, 1 << 30),
    "quota": _size_within(64 << 10, 1 << 40),
    "spool": check_spool,
    "auto_attach": parse_bool,
    "force": parse_bool,
    "allow_insecure_dir": parse_bool,
}
_KNOWN: Final = (*CHECKS, "format")
_VARIABLES: Final = {f"MPLOG_{field.upper()}": field for field in _KNOWN} | {"MPLOG_AUTO": "auto_attach"}


def collect(given: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the checked fields of a `Config`; what is nowhere given is left to its default.

    Starts and creates nothing. Raises `ConfigError`, which says where the wrong value stands.
    """
    if sys.platform == "win32":
        raise ConfigError("`sys.platform` is 'win32', where mplog does not run; use Linux, macOS or WSL.")
    arguments = dict(given)
    source = arguments.pop("config", None)
    for key in arguments:
        if key not in _KNOWN:
            raise ConfigError(f"`{key}` is no argument of `setup`; see `help(mplog.setup)`.{nearest(key, _KNOWN)}")
    variables = _from_environment(environ)
    layers: Layers = {}
    if source is not None:
        layers = _from_source(source, "config")
    elif environ.get("MPLOG_CONFIG"):
        layers = _from_source(environ["MPLOG_CONFIG"], "MPLOG_CONFIG")
    return _checked(layers | variables | {key: (value, key) for key, value in arguments.items()})


def _checked(layers: Layers) -> dict[str, Any]:
    fields = {key: _check(check, *layers[key]) for key, check in CHECKS.items() if key in layers}
    file = fields.get("file")
    if "format" in layers:
        value, name = layers["format"]
        style = fields.get("style", "%")
        fields["format"] = _check(lambda value, name: check_format(value, file, style, name), value, name)
    else:
        fields["format"] = auto_format(file)
    if file is not None and not fields.get("allow_insecure_dir"):
        check_directory_is_private(file, layers["file"][1])
    live = [handler for handler in fields.get("handlers", ()) if not isinstance(handler, (str, dict))]
    if live and fields.get("listener") == "process":
        raise ConfigError(
            f"`{layers['handlers'][1]}` holds {live[0]!r}, which cannot travel to a listener process; give a "
            "dictConfig dict or a 'package.module:factory' string, or use `listener='thread'`."
        )
    if live:
        fields["listener"] = "thread"
    return fields


def _check(check: Callable[[Any, str], Any], value: object, name: str) -> Any:
    """Return what a check makes of a value; what it cannot even look at is as wrong as what it refuses."""
    try:
        return check(value, name)
    except MplogError:
        raise
    except Exception as error:  # lone surrogates, thousands of digits, a `__repr__` that raises
        from mplog._shared.values import cut, safe_repr

        raise ConfigError(
            f"`{name}` is {cut(safe_repr(value), 200)}, which cannot be used ({type(error).__name__}: {error}); "
            "see `help(mplog.setup)` for what it takes."
        ) from error


def _from_environment(environ: Mapping[str, str]) -> Layers:
    found: Layers = {}
    for name, value in environ.items():
        # Two underscores: between mplog's own processes.
        if not name.startswith("MPLOG_") or name.startswith("MPLOG__") or name in _OTHER_VARIABLES:
            continue
        if name not in _VARIABLES:
            hint = nearest(name, (*_VARIABLES, *_OTHER_VARIABLES))
            raise ConfigError(f"`{name}` is {value!r}, but mplog knows no such variable; unset it.{hint}")
        if value.strip():
            found[_VARIABLES[name]] = (value, name)
    return found


def _from_source(source: object, name: str) -> Layers:
    if isinstance(source, Mapping):
        return _from_table(source, name)
    if not isinstance(source, (str, os.PathLike)):
        from mplog._shared.values import safe_repr

        raise ConfigError(f"`{name}` is {safe_repr(source)}; use the path of a TOML or JSON file, or a dict.")
    path = os.path.expanduser(os.fsdecode(source))
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL character, a lone surrogate
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"`{name}` is {path!r}, which cannot be read ({reason}); correct the path.") from error
    return _from_table(_parsed(text, path, name), os.path.basename(path))


def _parsed(text: bytes, path: str, name: str) -> Mapping[Any, object]:
    try:
        if path.lower().endswith(".json"):
            import json

            table = json.loads(text)
        else:
            import tomllib

            table = tomllib.loads(text.decode())
    except ValueError as error:
        raise ConfigError(f"`{name}` is {path!r}, which does not parse ({error}); correct it there.") from error
    if isinstance(table, dict):
        if os.path.basename(path) == "pyproject.toml":
            table = table.get("tool", {}).get("mplog", {})
        elif set(table) == {"mplog"}:
            table = table["mplog"]
    if not isinstance(table, dict):
        raise ConfigError(f"`{name}` is {path!r}, which holds no table of settings; give it keys such as 'level'.")
    return table


def _from_table(table: Mapping[Any, object], where: str) -> Layers:
    for key in table:
        if key not in _KNOWN:
            hint = nearest(str(key), _KNOWN)
            raise ConfigError(f"`{where}: {key}` is no setting of mplog; remove or correct it.{hint}")
    return {key: (value, f"{where}: {key}") for key, value in table.items()}
