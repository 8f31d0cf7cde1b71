"""Read what `setup` is told, from arguments, environment and file, and check all of it. Runs in the parent.

Worker and listener processes read the result with `Config.from_json` from the session's own file.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from mplog._parse import (
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
from mplog.exceptions import ConfigError

__all__ = [
    "CAPTURES",
    "UNSET",
    "Config",
    "Unset",
    "load",
    "parse_interval",
    "parse_level",
    "parse_levels",
    "parse_size",
]

CAPTURES: Final = ("warnings", "exceptions", "stdout", "stderr", "fd", "faulthandler")


class Unset:
    """Be the type of `UNSET`, the default of arguments for which None means something."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the name under which documentation shows it."""
        return "UNSET"


UNSET: Final = Unset()


class Config(NamedTuple):
    """Hold one session's checked settings; frozen. Runs in every process.

    A named tuple and no dataclass: `dataclasses` imports `inspect`, 7 ms that every spawned worker would pay.
    """

    file: str | None = None
    """Absolute path of the log file, or None for none."""
    level: Mapping[str, int] = {"": 20}
    """Logger name -> level; `""` is the root logger and always there."""
    console: str = "stderr"
    """`"off"`, `"stderr"` or `"stdout"`."""
    console_level: int = 0
    """Level below which the console shows nothing; 0 shows what the file gets."""
    format: str = "text"
    """`"text"`, `"json"` or a `logging` format string."""
    style: str = "%"
    """`"%"`, `"{"` or `"$"`: how a format string marks its fields."""
    datefmt: str | None = None
    """`time.strftime` format of `asctime` in a format string, or None for the default with milliseconds."""
    utc: bool = False
    """Whether text shows UTC instead of local time; JSON is always UTC."""
    color: str = "auto"
    """`"auto"`, `"always"` or `"never"`: colours on the console."""
    fold: bool = False
    """Whether the console folds identical records into one line with a count."""
    max_bytes: int = 0
    """Size in bytes above which the file is rotated; 0 = never."""
    rotate_every: float | str = 0.0
    """Seconds after which the file is rotated, or `"hourly"` or `"midnight"` by the local clock; 0 = never."""
    backup_count: int = 0
    """How many rotated files are kept; 0 = all of them."""
    compress: bool = False
    """Whether rotated files are compressed with gzip."""
    mode: int = 0o600
    """Permission bits of the log files, whatever the umask."""
    durable: bool = False
    """Whether the file is synced before a journal is forgotten."""
    handlers: tuple[Any, ...] = ()
    """Further handlers: dictConfig dicts, dotted names, or `logging.Handler` objects (thread listener only)."""
    listener: str = "auto"
    """`"auto"`, `"process"` or `"thread"`."""
    capture: tuple[str, ...] = ()
    """What else becomes records: names of `CAPTURES`."""
    redact: tuple[str, ...] = ()
    """Key names, `"re:<pattern>"` and `"package.module:function"` that take secrets out before anything is written."""
    overflow: str = "block"
    """`"block"` or `"drop"`: what a worker does when its journals are above `quota`."""
    block_timeout: float = 2.0
    """Seconds a logging call may wait under `overflow="block"` before the record is dropped and counted."""
    max_record: int = 1 << 20
    """Bytes above which one record is cut."""
    quota: int = 64 << 20
    """Bytes of unread journal one process may hold."""
    spool: str | None = None
    """Absolute path of the directory for the journals, or None to let mplog choose."""
    auto_attach: bool = True
    """Whether children attach by themselves."""
    force: bool = False
    """Whether a session on another file is closed first."""
    allow_insecure_dir: bool = False
    """Whether root may log into a directory that others may write."""

    @property
    def handler_objects(self) -> bool:
        """Say whether `handlers` holds a live object, which only a listener thread in this process can call."""
        return any(not isinstance(handler, (str, dict)) for handler in self.handlers)

    def replace(self, **changes: Any) -> "Config":
        """Return a copy with some settings changed; their values are taken as checked."""
        return self._replace(**changes)

    def to_json(self) -> str:
        """Return the settings as one JSON object, for the session's file; handler objects are left out."""
        import json

        fields = self._asdict()
        fields["level"] = dict(self.level)
        fields["handlers"] = [handler for handler in self.handlers if isinstance(handler, (str, dict))]
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Config":
        """Return the settings that `to_json` wrote; unknown ones, of a newer mplog, are ignored.

        Raises `ConfigError` when the text is no JSON object.
        """
        import json

        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"`text` is {text[:80]!r}, which is no JSON ({error}); pass what `to_json` wrote.") from error
        if not isinstance(fields, dict):
            raise ConfigError(f"`text` is {text[:80]!r}, which is no JSON object; pass what `to_json` wrote.")
        known = {key: value for key, value in fields.items() if key in cls._fields}
        for key in ("handlers", "capture", "redact"):
            if key in known:
                known[key] = tuple(known[key])
        return cls(**known)


def _console(value: object, name: str) -> str:
    if value is None or isinstance(value, bool):
        return "stderr" if value else "off"
    word = value.strip().lower() if isinstance(value, str) else value
    switches = {"1": "stderr", "true": "stderr", "yes": "stderr", "on": "stderr", "0": "off", "false": "off", "no": "off", "none": "off"}
    return parse_choice(switches.get(word, value) if isinstance(word, str) else value, name, ("off", "stderr", "stdout"))


def _levels(value: object, name: str) -> dict[str, int]:
    return {"": 20, **parse_levels(value, name)}


def _console_level(value: object, name: str) -> int:
    return 0 if value is None else parse_level(value, name)


def _datefmt(value: object, name: str) -> str | None:
    if value is None or isinstance(value, str) and value.strip():
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
            raise ConfigError(f"`{name}` holds {item!r}; use {', '.join(map(repr, CAPTURES))}.{nearest(item, CAPTURES)}")
    return names


def _within(low: int, high: int) -> Callable[[object, str], int]:
    def check(value: object, name: str) -> int:
        size = parse_size(value, name)
        if not low <= size <= high:
            raise ConfigError(f"`{name}` is {value!r}; use a size between {low:,} and {high:,} bytes.")
        return size

    return check


def _max_bytes(value: object, name: str) -> int:
    return 0 if value is None else parse_size(value, name)


def _block_timeout(value: object, name: str) -> float:
    seconds = parse_interval(value, name)
    if seconds > 3600:
        raise ConfigError(f"`{name}` is {value!r}; use at most 3600 seconds.")
    return seconds


def _file(value: object, name: str) -> str | None:
    from mplog._checks import check_file

    return check_file(value, name)


def _spool(value: object, name: str) -> str | None:
    from mplog._checks import check_spool

    return check_spool(value, name)


def _redact(value: object, name: str) -> tuple[str, ...]:
    from mplog._checks import check_redact

    return check_redact(value, name)


def _handlers(value: object, name: str) -> tuple[Any, ...]:
    from mplog._handler_specs import check_handlers

    return check_handlers(value, name)


def _choice(*choices: str) -> Callable[[object, str], str]:
    return lambda value, name: parse_choice(value, name, choices)


def _count(value: object, name: str) -> int:
    return 0 if value is None else parse_count(value, name)


_CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "file": _file,
    "level": _levels,
    "console": _console,
    "console_level": _console_level,
    "style": _choice("%", "{", "$"),
    "datefmt": _datefmt,
    "utc": parse_bool,
    "color": _choice("auto", "always", "never"),
    "fold": parse_bool,
    "max_bytes": _max_bytes,
    "rotate_every": parse_rotation,
    "backup_count": _count,
    "compress": parse_bool,
    "mode": parse_mode,
    "durable": parse_bool,
    "handlers": _handlers,
    "listener": _choice("auto", "process", "thread"),
    "capture": _capture,
    "redact": _redact,
    "overflow": _choice("block", "drop"),
    "block_timeout": _block_timeout,
    "max_record": _within(1 << 10, 1 << 30),
    "quota": _within(64 << 10, 1 << 40),
    "spool": _spool,
    "auto_attach": parse_bool,
    "force": parse_bool,
    "allow_insecure_dir": parse_bool,
}
# What other parts of mplog read from the environment themselves.
_OTHER_VARIABLES: Final = ("MPLOG_SESSION", "MPLOG_CONFIG", "MPLOG_AUTO")
_VARIABLES: Final = {"MPLOG_" + field.upper(): field for field in Config._fields} | {"MPLOG_AUTO": "auto_attach"}


def load(arguments: Mapping[str, object], *, environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings of a session: argument, else environment, else configuration file, else default.

    Runs in the parent. Starts and creates nothing.

    Args:
        arguments: what `setup` was given, `config` included; the value `UNSET` is as if it were not there.
        environ: where the `MPLOG_*` variables are read, by default `os.environ`; empty ones count as not set.

    Raises:
        ConfigError: a value or a name is wrong; the message says which, where it stands and what to write.

    """
    if sys.platform == "win32":
        raise ConfigError("`sys.platform` is 'win32', which mplog does not run on; use Linux, macOS or WSL.")
    environ = os.environ if environ is None else environ
    given = {key: value for key, value in arguments.items() if value is not UNSET}
    source = given.pop("config", None)
    for key in given:
        if key not in Config._fields:
            raise ConfigError(f"`{key}` is no argument of `setup`; see `help(mplog.setup)`.{nearest(key, Config._fields)}")
    variables = _from_environment(environ)
    if source is not None:
        layers = _from_source(source, "config")
    elif environ.get("MPLOG_CONFIG"):
        layers = _from_source(environ["MPLOG_CONFIG"], "MPLOG_CONFIG")
    else:
        layers = {}
    layers |= variables
    layers |= {key: (value, key) for key, value in given.items()}
    return _checked(layers)


def _checked(layers: dict[str, tuple[object, str]]) -> Config:
    fields: dict[str, Any] = {}
    for key, check in _CHECKS.items():
        if key in layers:
            fields[key] = check(*layers[key])
    file, style = fields.get("file"), fields.get("style", "%")
    value, name = layers.get("format", ("auto", "format"))
    if value == "auto":
        fields["format"] = "json" if file and file.lower().endswith((".json", ".jsonl", ".ndjson")) else "text"
    else:
        from mplog._checks import check_format

        fields["format"] = check_format(value, file, style, name)
    config = Config(**fields)
    if config.file is not None and not config.allow_insecure_dir:
        from mplog._checks import check_directory_is_private

        check_directory_is_private(config.file, layers["file"][1])
    if config.handler_objects:
        if config.listener == "process":
            found = next(handler for handler in config.handlers if not isinstance(handler, (str, dict)))
            raise ConfigError(
                f"`{layers['handlers'][1]}` holds {found!r}, which cannot travel to a listener process; give a dictConfig "
                "dict or a 'package.module:factory' string, or use `listener='thread'`."
            )
        config = config.replace(listener="thread")
    return config


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {}
    for name, value in environ.items():
        # Two underscores: mplog's own, between its processes.
        if not name.startswith("MPLOG_") or name.startswith("MPLOG__"):
            continue
        if name in _VARIABLES:
            if value.strip():
                found[_VARIABLES[name]] = (value, name)
        elif name not in _OTHER_VARIABLES:
            known = nearest(name, (*_VARIABLES, *_OTHER_VARIABLES))
            raise ConfigError(f"`{name}` is {value!r}, but mplog knows no such environment variable; unset it.{known}")
    return found


def _from_source(source: object, name: str) -> dict[str, tuple[object, str]]:
    if isinstance(source, Mapping):
        table: Mapping[Any, object] = source
        where = f"{name}"
    elif isinstance(source, (str, os.PathLike)):
        path = os.path.expanduser(os.fsdecode(source))
        table, where = _read_file(path, name), os.path.basename(path)
    else:
        raise ConfigError(f"`{name}` is {source!r}; use the path of a TOML or JSON file, or a dict.")
    for key in table:
        if key not in Config._fields:
            raise ConfigError(
                f"`{key}` in {where} is no setting of mplog; remove it or correct it.{nearest(str(key), Config._fields)}"
            )
    return {key: (value, f"{where}: {key}") for key, value in table.items()}


def _read_file(path: str, name: str) -> Mapping[Any, object]:
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError as error:
        raise ConfigError(f"`{name}` is {path!r}, which cannot be read ({error.strerror}); give a TOML or JSON file.") from error
    try:
        if path.lower().endswith(".json"):
            import json

            table = json.loads(text)
        else:
            import tomllib

            table = tomllib.loads(text.decode())
    except ValueError as error:
        raise ConfigError(f"`{name}` is {path!r}, which does not parse ({error}); correct it there.") from error
    if os.path.basename(path) == "pyproject.toml":
        table = table.get("tool", {}).get("mplog", {})
    elif isinstance(table, dict) and set(table) == {"mplog"}:
        table = table["mplog"]
    if not isinstance(table, dict):
        raise ConfigError(f"`{name}` is {path!r}, which holds no table of settings; write lines such as level = \"INFO\".")
    return table
