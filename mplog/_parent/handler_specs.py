"""Check and build the handlers a user names: dictConfig dicts, dotted factories, objects.

Checked in the parent, built in the listener.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mplog._parent.checks import check_format, check_style
from mplog._parent.parse import nearest, parse_level
from mplog.exceptions import ConfigError

__all__ = ["build_handler", "check_handlers"]

_RESERVED = ("()", "class", "level", "formatter", "filters", ".")
_FORMATTER_KEYS = ("()", "class", "format", "datefmt", "style")
_REMEDY = (
    "use a dictConfig dict with 'class' or '()', a 'package.module:factory' string, or a `logging.Handler` "
    "object "
    "with `listener='thread'`."
)


def check_handlers(value: object, name: str = "handlers") -> tuple[Any, ...]:
    """Return handlers as dotted names, JSON-able dicts and live objects, in the order given.

    Runs in the parent; imports nothing. A class or function that other processes can import becomes its
    dotted name. What comes of calling it is known in the listener only: a handler whose file cannot be opened,
    say, is a warning there.

    Raises:
        ConfigError: an entry is no handler, names nothing, does not take its arguments, or could not travel
            to another process.

    """
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    entries = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_checked(entry, name) for entry in entries)


def _checked(entry: object, name: str) -> object:
    if isinstance(entry, logging.Handler):
        return entry
    if isinstance(entry, Mapping):
        return _checked_dict(entry, name)
    if isinstance(entry, str) or callable(entry):
        return _checked_factory(entry, name, (), logging.Handler)
    raise ConfigError(f"`{name}` holds {entry!r}; {_REMEDY}")


def _checked_factory(entry: object, name: str, options: Iterable[str] | None = None, kind: type | None = None) -> str:
    from mplog._parent.dotted import check_call, dotted_name  # `ast`: 3 ms that only names are worth

    dotted = entry if isinstance(entry, str) else dotted_name(entry)
    if dotted is None:
        raise ConfigError(f"`{name}` holds {entry!r}, which no other process can import; {_REMEDY}")
    return check_call(dotted, name, options, kind)


def _checked_dict(spec: Mapping[Any, object], name: str) -> dict[str, object]:
    import json

    factories = [key for key in ("()", "class") if key in spec]
    if len(factories) != 1:
        raise ConfigError(f"`{name}` holds {dict(spec)!r}, which needs either 'class' or '()'; {_REMEDY}")
    checked: dict[str, object] = {str(key): value for key, value in spec.items()}
    factory = factories[0]
    options = {key: value for key, value in checked.items() if key not in _RESERVED}
    checked[factory] = _checked_factory(spec[factory], f"{name}[{factory!r}]", options, logging.Handler)
    _check_external(options, name)
    if "level" in checked:
        checked["level"] = parse_level(checked["level"], f"{name}['level']")
    if "formatter" in checked:
        checked["formatter"] = _checked_formatter(checked["formatter"], f"{name}['formatter']")
    if "filters" in checked:
        checked["filters"] = _checked_filters(checked["filters"], f"{name}['filters']")
    try:
        json.dumps(checked, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{name}` holds {dict(spec)!r}, which JSON cannot hold ({error}); {_REMEDY}") from error
    return checked


def _check_external(options: Mapping[str, object], name: str) -> None:
    from mplog._parent.dotted import check_exists

    for key, value in options.items():
        if isinstance(value, str) and value.startswith("ext://"):
            check_exists(value[6:], f"{name}[{key!r}]")


def _checked_filters(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise ConfigError(f"`{name}` is {value!r}; use a list of logger names or '()' dicts.")
    checked: list[object] = []
    for entry in value:
        if isinstance(entry, Mapping) and "()" in entry:
            options = {str(key): option for key, option in entry.items() if key != "()"}
            _check_external(options, name)
            entry = {"()": _checked_factory(entry["()"], f"{name}['()']", options), **options}
        elif not isinstance(entry, str):
            raise ConfigError(f"`{name}` holds {entry!r}; use a logger's name, or a dict with '()' and arguments.")
        checked.append(entry)
    return checked


def _checked_formatter(value: object, name: str) -> object:
    if isinstance(value, str):
        return check_format(value, None, "%", name)
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{name}` is {value!r}; use 'text', 'json', a format string, or a dict with 'format'.")
    if "()" not in value:
        for key in value:
            if key not in _FORMATTER_KEYS:
                hint = nearest(str(key), _FORMATTER_KEYS)
                raise ConfigError(f"`{name}` holds the key {key!r}; use {', '.join(_FORMATTER_KEYS)}.{hint}")
    checked = dict(value)
    style = check_style(checked.get("style", "%"), f"{name}['style']")
    if "format" in checked:
        checked["format"] = check_format(checked["format"], None, style, f"{name}['format']")
    if "()" in checked:
        options = [str(key) for key in checked if key != "()"]
        checked["()"] = _checked_factory(checked["()"], f"{name}['()']", options)
    elif "class" in checked:
        checked["class"] = _checked_factory(checked["class"], f"{name}['class']")
    return checked


def build_handler(
    spec: Any, formatters: Mapping[str, Callable[[], logging.Formatter]] | None = None
) -> logging.Handler:
    """Return the handler that a checked entry of `Config.handlers` describes; an object is returned as it is.

    Runs in the listener. Imports what the entry names and calls it.

    Args:
        spec: one entry of `Config.handlers`.
        formatters: what `"formatter": "text"` and `"json"` stand for; without it the handler keeps its own.

    Raises:
        ConfigError: the name cannot be imported, the call fails, or what it returns is no handler.

    """
    if isinstance(spec, logging.Handler):
        return spec
    options: dict[str, Any] = {"()": spec} if isinstance(spec, str) else dict(spec)
    target = options.pop("()", None) or options.pop("class")
    level, formatter = options.pop("level", None), options.pop("formatter", None)
    filters, attributes = options.pop("filters", ()), options.pop(".", {})
    try:
        handler = _resolve(target)(**{key: _external(value) for key, value in options.items()})
    except Exception as error:  # the factory is the user's: whatever it raises, the name is what helps
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"`handlers` names {target!r}, which failed ({reason}); correct it.") from error
    if not isinstance(handler, logging.Handler):
        raise ConfigError(f"`handlers` names {target!r}, which returned {handler!r}; let it return a handler.")
    if level is not None:
        handler.setLevel(level)
    if formatter is not None:
        made = _build_formatter(formatter, formatters or {})
        if made is not None:
            handler.setFormatter(made)
    for entry in filters:
        handler.addFilter(logging.Filter(entry) if isinstance(entry, str) else _call(entry))
    for key, value in attributes.items():
        setattr(handler, key, _external(value))
    return handler


def _build_formatter(spec: Any, named: Mapping[str, Callable[[], logging.Formatter]]) -> logging.Formatter | None:
    if isinstance(spec, str):
        if spec in ("text", "json"):
            return named[spec]() if spec in named else None
        return logging.Formatter(spec)
    if "()" in spec:
        made: logging.Formatter = _call(spec)
        return made
    kind = _resolve(spec["class"]) if "class" in spec else logging.Formatter
    formatter: logging.Formatter = kind(spec.get("format"), spec.get("datefmt"), spec.get("style", "%"))
    return formatter


def _call(spec: Mapping[str, Any]) -> Any:
    options = dict(spec)
    return _resolve(options.pop("()"))(**{key: _external(value) for key, value in options.items()})


def _external(value: Any) -> Any:
    return _resolve(value[6:]) if isinstance(value, str) and value.startswith("ext://") else value


def _resolve(dotted: str) -> Any:
    """Return what a dotted name stands for; without a colon the longest part that is a module is imported."""
    from importlib import import_module

    if ":" in dotted:
        module, _, attributes = dotted.partition(":")
        found: Any = import_module(module)
        rest = attributes.split(".")
    else:
        parts = dotted.split(".")
        found, rest = import_module(parts[0]), parts[1:]
        for position, part in enumerate(parts[1:], 2):
            if not hasattr(found, part):
                import_module(".".join(parts[:position]))
            found, rest = getattr(found, part), parts[position:]
    for part in rest:
        found = getattr(found, part)
    return found
