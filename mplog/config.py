"""Hold one session's settings. Runs in every process.

The parent makes them with `load`; worker and listener processes read them from the session's file with
`Config.from_json`, and so do not import what checks them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mplog.exceptions import ConfigError

if TYPE_CHECKING:
    from mplog._parent.parse import parse_interval, parse_level, parse_levels, parse_size
    from mplog._parent.settings import CAPTURES

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


class Unset:
    """Be the type of `UNSET`, the default of arguments for which None means something."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the name that stands in signatures."""
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
    """Seconds after which the file is rotated, or `"hourly"`, `"midnight"` by the local clock; 0 = never."""
    backup_count: int = 0
    """How many rotated files are kept; 0 = all of them."""
    compress: bool = False
    """Whether rotated files are compressed with gzip."""
    mode: int = 0o600
    """Permission bits of the log files, whatever the umask."""
    durable: bool = False
    """Whether the file is synced before a journal is forgotten."""
    handlers: tuple[Any, ...] = ()
    """Further handlers: dictConfig dicts, dotted names, or `logging.Handler` objects (thread only)."""
    listener: str = "auto"
    """`"auto"`, `"process"` or `"thread"`; handler objects turn `"auto"` into `"thread"`."""
    capture: tuple[str, ...] = ()
    """What else becomes records: names of `CAPTURES`."""
    redact: tuple[str, ...] = ()
    """Key names, `"re:<pattern>"` and `"package.module:function"` that take out secrets."""
    show_locals: bool = False
    """Whether exceptions are written with the local variables of their frames, which may hold secrets."""
    overflow: str = "block"
    """`"block"` or `"drop"`: what a worker does when its journals are above `quota`."""
    block_timeout: float = 2.0
    """Seconds a logging call may wait under `overflow="block"` before the record is dropped and counted."""
    max_record: int = 1 << 20
    """Bytes above which one record is cut."""
    quota: int = 64 << 20
    """Bytes of unread journal that one process may hold."""
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
        """Say whether `handlers` holds a live object, which only a listener thread can call."""
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

        Raises:
            ConfigError: the text is no JSON object.

        """
        import json

        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"`text` is {text[:80]!r}, which is no JSON ({error}); pass `to_json`'s.") from error
        if not isinstance(fields, dict):
            raise ConfigError(f"`text` is {text[:80]!r}, which is no JSON object; pass what `to_json` wrote.")
        known = {key: value for key, value in fields.items() if key in cls._fields}
        for key in ("handlers", "capture", "redact"):
            if key in known:
                known[key] = tuple(known[key])
        return cls(**known)


def load(arguments: Mapping[str, object], *, environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings of a session: argument, else environment, else configuration file, else default.

    Runs in the parent. Starts and creates nothing.

    Args:
        arguments: what `setup` was given, `config` (a path of TOML or JSON, or a dict) included; the value
        `UNSET`
            is as if it were not there.
        environ: where the `MPLOG_*` variables are read, by default `os.environ`; an empty one counts as not
        set.

    Raises:
        ConfigError: a value or a name is wrong; the message says which, where it stands and what to write.

    """
    import os

    from mplog._parent.settings import collect

    given = {key: value for key, value in arguments.items() if value is not UNSET}
    return Config(**collect(given, os.environ if environ is None else environ))


def __getattr__(name: str) -> Any:
    """Return a name of `__all__` that only the parent and the command need, importing it now."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mplog._parent import parse, settings

    return getattr(settings if name == "CAPTURES" else parse, name)
