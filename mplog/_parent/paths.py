"""Check the paths that `setup` is given; nothing is created or opened. Runs in the parent."""

import os
import stat
from collections.abc import Callable

from mplog.exceptions import ConfigError

__all__ = ["check_directory_is_private", "check_file", "check_spool"]

_NOT_WRITABLE = "which this user may not write; change its owner or mode, or use another."
_EFFECTIVE = os.access in os.supports_effective_ids
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def check_file(value: object, name: str = "file") -> str | None:
    """Return the log file's absolute path, or None for none, once it is sure that it can be opened.

    The file may be missing, and so may its directory if that one's parent is there. A symbolic link in the
    file's own place is refused, since it is opened with `O_NOFOLLOW`; links in the directories above are
    followed.
    """
    if value is None:
        return None
    path = _absolute(value, name)
    if str(value).endswith(os.sep):
        raise ConfigError(_directory(value, path, name))
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _check_parent(path, value, name)
        return path
    except OSError as error:
        raise ConfigError(f"`{name}` is {value!r}, which is no usable path ({error.strerror}); use another.") from error
    if stat.S_ISLNK(found.st_mode):
        if path.startswith("/dev/"):
            raise ConfigError(f"`{name}` is {value!r}, which is no file; for the console use `console='stdout'`.")
        real = os.path.realpath(path)
        raise ConfigError(f"`{name}` is {value!r}, which is a symbolic link; give the real path, {real!r}.")
    if stat.S_ISDIR(found.st_mode):
        raise ConfigError(_directory(value, path, name))
    if not stat.S_ISREG(found.st_mode):
        kind = next((text for test, text in _KINDS if test(found.st_mode)), "not a regular file")
        raise ConfigError(f"`{name}` is {value!r}, which is {kind}; use a regular file, or None for no file.")
    if not _may(path, os.W_OK):
        raise ConfigError(f"`{name}` is {value!r}, {_NOT_WRITABLE}")
    return path


def check_spool(value: object, name: str = "spool") -> str | None:
    """Return the absolute path of the directory that is to hold the journals, or None to let mplog choose."""
    if value is None:
        return None
    path = _absolute(value, name)
    if not os.path.lexists(path):
        _check_parent(path, value, name)
    elif os.path.islink(path):
        real = os.path.realpath(path)
        raise ConfigError(f"`{name}` is {value!r}, which is a symbolic link; give the real path, {real!r}.")
    elif not os.path.isdir(path):
        raise ConfigError(f"`{name}` is {value!r}, which is no directory; use a directory, or leave it out.")
    else:
        _check_owner(path, value, name)
    return path


def _check_owner(path: str, value: object, name: str) -> None:
    found = os.stat(path)
    if not _may(path, os.W_OK | os.X_OK):
        raise ConfigError(f"`{name}` is {value!r}, {_NOT_WRITABLE}")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"`{name}` is {value!r}, which belongs to user {found.st_uid}; use a directory of your own.")
    if found.st_mode & 0o077:
        mode = stat.filemode(found.st_mode)
        raise ConfigError(f"`{name}` is {value!r}, which is open to others ({mode}); run `chmod 700` on it.")


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=_EFFECTIVE)


def check_directory_is_private(file: str, name: str = "file") -> None:
    """Refuse, as root, a log directory that others may write: they could put a link in the file's place.

    World-writable, or writable by a group other than root's, counts (the case of CVE-2016-1247); a sticky
    directory such as /tmp does not, because there nobody can rename or remove what is root's.
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
            f"`{name}` is {file!r}, in a directory that others may write ({stat.filemode(found.st_mode)}), "
            "and this "
            f"process is root; run `chmod go-w {directory}`, or pass `allow_insecure_dir=True`."
        )


def _absolute(value: object, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigError(f"`{name}` is {value!r}, which is no path; use a string or a `pathlib.Path`.")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise ConfigError(f"`{name}` is {value!r}, which is a path of bytes; use `os.fsdecode` on it.")
    if not path.strip():
        raise ConfigError(f"`{name}` is {value!r}, which is empty; use a path such as 'app.log', or None for none.")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"`{name}` is {value!r}, which holds a character that no path can hold ({error.reason}); use another."
        ) from error
    if "\0" in path:
        raise ConfigError(f"`{name}` is {value!r}, which holds a NUL character; use a path without it.")
    try:
        return os.path.abspath(os.path.expanduser(path) if path.startswith("~") else path)
    except OSError as error:
        raise ConfigError(
            f"`{name}` is {value!r}, but there is no current directory; give an absolute path."
        ) from error


def _check_parent(path: str, value: object, name: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        missing, parent = parent, os.path.dirname(parent)
        if not os.path.isdir(parent):
            raise ConfigError(
                f"`{name}` is {value!r}, but neither {missing!r} nor {parent!r} exists, and mplog makes one "
                "directory "
                f"at most; create {missing!r} first."
            )
    if not os.path.isdir(parent):
        raise ConfigError(f"`{name}` is {value!r}, but {parent!r} is no directory; use another path.")
    if not _may(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"`{name}` is {value!r}, but this user may not write in {parent!r}; use another path.")


def _directory(value: object, path: str, name: str) -> str:
    return f"`{name}` is {value!r}, which is a directory; use a file in it, {os.path.join(path, 'app.log')!r}."
