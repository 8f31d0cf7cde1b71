"""Check the arguments of `setup` that touch the machine: paths, format strings, redaction. Runs in the parent.

Each function takes the value and the name under which the user gave it, and raises `ConfigError` with both. Nothing is
created or opened.
"""

import logging
import os
import re
import stat
import string
from collections.abc import Callable, Iterator, Mapping

from mplog._parse import nearest, parse_choice
from mplog.exceptions import ConfigError

__all__ = ["FORMATS", "check_directory_is_private", "check_file", "check_format", "check_redact", "check_spool", "dotted_name"]

FORMATS = ("text", "json")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
REDACT_BY_DEFAULT = ("password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "cookie", "private_key")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def check_file(value: object, name: str = "file") -> str | None:
    """Return the log file's absolute path, or None for none, once it is sure that it can be opened.

    The file may be missing, and so may its directory if that one's parent is there. A symbolic link in the file's own
    place is refused, since it is opened with `O_NOFOLLOW`; links in the directories above are followed.
    """
    if value is None:
        return None
    path = _absolute(value, name)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _check_parent(path, value, name)
        return path
    except OSError as error:
        raise ConfigError(f"`{name}` is {value!r}, which cannot be looked at ({error.strerror}); use another path.") from error
    if stat.S_ISLNK(found.st_mode):
        if os.path.dirname(path) in ("/dev", "/proc/self/fd"):
            raise ConfigError(f"`{name}` is {value!r}, which is no file; for the console use `console='stdout'` or 'stderr'.")
        raise ConfigError(
            f"`{name}` is {value!r}, which is a symbolic link; give the real path, {os.path.realpath(path)!r}."
        )
    if stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"`{name}` is {value!r}, which is a directory; use a file in it, {os.path.join(path, 'app.log')!r}.")
    if not stat.S_ISREG(found.st_mode):
        kind = next((text for test, text in _KINDS if test(found.st_mode)), "not a regular file")
        raise ConfigError(f"`{name}` is {value!r}, which is {kind}; use a regular file, or None for no file.")
    if not os.access(path, os.W_OK):
        raise ConfigError(f"`{name}` is {value!r}, which this user may not write; change its owner or mode, or use another.")
    return path


def check_spool(value: object, name: str = "spool") -> str | None:
    """Return the absolute path of the directory that is to hold the journals, or None to let mplog choose."""
    if value is None:
        return None
    path = _absolute(value, name)
    if not os.path.lexists(path):
        _check_parent(path, value, name)
    elif os.path.islink(path):
        raise ConfigError(f"`{name}` is {value!r}, which is a symbolic link; give the real path, {os.path.realpath(path)!r}.")
    elif not os.path.isdir(path):
        raise ConfigError(f"`{name}` is {value!r}, which is no directory; use a directory for the journals, or leave it out.")
    elif not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"`{name}` is {value!r}, which this user may not write; change its owner or mode, or use another.")
    return path


def check_directory_is_private(file: str, name: str = "file") -> None:
    """Refuse, as root, a log directory that others may write: they could put a link to another file in its place.

    World-writable, or writable by a group other than root's, counts; a sticky directory such as /tmp does not, because
    there nobody can rename or remove what is root's. The rule is the one of CVE-2016-1247's fix.
    """
    if os.geteuid() != 0:
        return
    directory = os.path.dirname(file)
    try:
        found = os.stat(directory)
    except FileNotFoundError:
        return
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != 0
    if (found.st_mode & stat.S_IWOTH or by_group) and not found.st_mode & stat.S_ISVTX:
        raise ConfigError(
            f"`{name}` is {file!r}, in a directory that others may write ({stat.filemode(found.st_mode)}), and this process "
            f"is root; run `chmod go-w {directory}`, or pass `allow_insecure_dir=True`."
        )


def _absolute(value: object, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigError(f"`{name}` is {value!r}, which is no path; use a string or a `pathlib.Path`.")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise ConfigError(f"`{name}` is {value!r}, which is a path of bytes; use `os.fsdecode` on it.")
    if not path.strip():
        raise ConfigError(f"`{name}` is {value!r}, which is empty; use a path such as 'app.log', or None for none.")
    if "\0" in path:
        raise ConfigError(f"`{name}` is {value!r}, which holds a NUL character; use a path without it.")
    if path.startswith("~"):
        path = os.path.expanduser(path)
    if path.endswith(("/", "/.", "/..")) and name != "spool" and not os.path.isdir(path):
        raise ConfigError(f"`{name}` is {value!r}, which is a directory; use a file in it, {os.path.join(path, 'app.log')!r}.")
    return os.path.abspath(path)


def _check_parent(path: str, value: object, name: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        missing, parent = parent, os.path.dirname(parent)
        if not os.path.isdir(parent):
            raise ConfigError(
                f"`{name}` is {value!r}, but neither {missing!r} nor {parent!r} exists, and mplog makes one directory at "
                f"most; create {missing!r} first."
            )
    if not os.path.isdir(parent):
        raise ConfigError(f"`{name}` is {value!r}, but {parent!r} is no directory; use another path.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"`{name}` is {value!r}, but this user may not write in {parent!r}; change its mode, or use another.")


class _Sample:
    """Stand in for a field that only the application knows, whatever conversion is asked of it."""

    def __int__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __str__(self) -> str:
        return "0"

    def __format__(self, spec: str) -> str:
        for sample in ("", 0, 0.0):
            try:
                return format(sample, spec)
            except ValueError:
                continue
        return format(0.0, spec)


class _SampleFields(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return _Sample()


def _known_fields() -> dict[str, object]:
    record = logging.LogRecord("name", logging.INFO, "/path.py", 1, "message", (), None, "function")
    return {**record.__dict__, "message": "message", "asctime": "2026-11-22 11:11:11.123", "seq": 1}


def _fields(template: str, style: str) -> Iterator[str]:
    if style == "%":
        yield from re.findall(r"%\((\w+)\)[#0+ -]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[diouxXeEfFgGcrsa]", template)
    elif style == "{":
        for _, field, _, _ in string.Formatter().parse(template):
            if field:
                yield re.split(r"[.\[]", field, maxsplit=1)[0]
    else:
        for match in string.Template.pattern.finditer(template):
            yield match["named"] or match["braced"] or ""


def check_format(value: object, file: str | None, style: str = "%", name: str = "format") -> str:
    """Return `"text"`, `"json"` or a `logging` format string that was tried; `"auto"` is decided by the file's suffix.

    Raises `ConfigError` for a template that does not compile or holds no field of a LogRecord.
    """
    if not isinstance(value, str):
        raise ConfigError(f"`{name}` is {value!r}; use 'auto', 'text', 'json' or a logging format string.")
    word = value.strip().lower()
    if word == "auto":
        return "json" if file is not None and file.lower().endswith(JSON_SUFFIXES) else "text"
    if word in FORMATS:
        return word
    if not any(sign in value for sign in "%{$"):
        remedy = "use 'auto', 'text', 'json' or a logging format string such as '%(asctime)s %(message)s'."
        raise ConfigError(f"`{name}` is {value!r}; {remedy}{nearest(word, ('auto', *FORMATS)) if word else ''}")
    known = _known_fields()
    example = {"%": "%(message)s", "{": "{message}", "$": "${message}"}[style]
    try:
        fields = list(_fields(value, style))
        samples = _SampleFields(known)
        if style == "%":
            value % samples
        elif style == "{":
            string.Formatter().vformat(value, (), samples)
        else:
            string.Template(value).substitute(samples)
    except Exception as error:  # a template can fail in every way that its conversions can
        raise ConfigError(
            f"`{name}` is {value!r}, which does not work as a format string in style {style!r} ({error}); "
            f"use fields such as {example!r}, or another `style`."
        ) from error
    if known.keys().isdisjoint(fields):
        hint = next(filter(None, (nearest(field, known) for field in fields)), "")
        raise ConfigError(
            f"`{name}` is {value!r}, which holds no field of a record in style {style!r}; use at least one such as "
            f"{example!r}, or another `style`.{hint}"
        )
    return value


def check_style(value: object, name: str = "style") -> str:
    """Return `"%"`, `"{"` or `"$"`: how a format string marks its fields."""
    return parse_choice(value, name, ("%", "{", "$"))


def dotted_name(value: object) -> str | None:
    """Return `"package.module:name"` for a class or function that another process can import, else None."""
    import sys

    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not callable(value) or not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__":
        return None
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return f"{module}:{qualname}" if found is value else None


def check_dotted(value: str, name: str) -> str:
    """Return a dotted name after a look at its shape and at whether its top-level package can be found.

    Nothing is imported: the listener does that, and the application's modules may start work of their own.
    """
    from importlib.util import find_spec

    if not _DOTTED.fullmatch(value) or not (set(value) & {".", ":"}):
        raise ConfigError(f"`{name}` is {value!r}, which is no dotted name; write 'package.module:name'.")
    package = re.split("[.:]", value, maxsplit=1)[0]
    if package == "__main__":
        raise ConfigError(f"`{name}` is {value!r}, which no other process can import; move it into a module of its own.")
    try:
        found = find_spec(package)
    except (ImportError, ValueError):  # ValueError: a module without a spec, such as one made by hand
        found = None
    if found is None:
        raise ConfigError(f"`{name}` is {value!r}, but there is no package {package!r} on `sys.path`; install it, or correct it.")
    return value


def check_redact(value: object, name: str = "redact") -> tuple[str, ...]:
    """Return what is to be redacted: key names, `"re:<pattern>"`, and `"package.module:function"`.

    True stands for the usual key names (`REDACT_BY_DEFAULT`); a mapping may hold `keys` and `patterns`; a function must be
    one that other processes can import. Raises `ConfigError`, also for a pattern that does not compile.
    """
    if value is True:
        return REDACT_BY_DEFAULT
    if value is None or value is False:
        return ()
    if isinstance(value, str) and not value.startswith("re:"):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Mapping):
        unknown = next((key for key in value if key not in ("keys", "patterns")), None)
        if unknown is not None:
            raise ConfigError(f"`{name}` holds {unknown!r}; use 'keys' and 'patterns'.{nearest(str(unknown), ('keys', 'patterns'))}")
        value = [*value.get("keys", ()), *("re:" + pattern for pattern in value.get("patterns", ()))]
    entries = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return tuple(dict.fromkeys(_redaction(entry, name) for entry in entries))


def _redaction(entry: object, name: str) -> str:
    if isinstance(entry, re.Pattern) and isinstance(entry.pattern, str):
        flags = "".join(letter for letter, flag in zip("imsx", (re.I, re.M, re.S, re.X), strict=True) if entry.flags & flag)
        return f"re:(?{flags}){entry.pattern}" if flags else f"re:{entry.pattern}"
    if isinstance(entry, str) and entry.startswith("re:"):
        try:
            re.compile(entry[3:])
        except re.error as error:
            raise ConfigError(f"`{name}` holds {entry!r}, which is no regular expression ({error}); correct it.") from error
        return entry
    if isinstance(entry, str) and entry.strip():
        return check_dotted(entry, name) if ":" in entry else entry
    dotted = dotted_name(entry)
    if dotted is None:
        raise ConfigError(
            f"`{name}` holds {entry!r}; use key names, 're:' and a pattern, or a function of a module that every process "
            "can import."
        )
    return dotted
