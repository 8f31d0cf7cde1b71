"""Rotate a log file: app.log -> app.log.1 -> app.log.2 ..; every step can be done again after a crash.

Files only. Runs in the listener.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time

from mplog.exceptions import ConfigError

HOURLY, MIDNIGHT = "hourly", "midnight"


def next_rollover(every: float | str, now: float) -> float:
    """Return the wall clock second after which a file opened `now` is rotated; infinite for never.

    Args:
        every: seconds, `"hourly"` or `"midnight"` (local time), or 0 for never.
        now: seconds since 1970.
    """
    if not every:
        return float("inf")
    if isinstance(every, (int, float)):
        return now + every
    local = list(time.localtime(now))
    if every == HOURLY:
        local[3:6] = [local[3] + 1, 0, 0]
    elif every == MIDNIGHT:
        local[2:6] = [local[2] + 1, 0, 0, 0]
    else:
        raise ConfigError(f"`rotate_every` is {every!r}; use seconds, 'hourly' or 'midnight'.")
    local[8] = -1
    return time.mktime(tuple(local))  # type: ignore[arg-type]


def backups(path: str) -> dict[int, list[str]]:
    """Return the rotated files of a log file by number, 1 being the newest."""
    directory, base = os.path.split(path)
    pattern = re.compile(re.escape(base) + r"\.(\d{1,6})(?:\.gz)?")
    found: dict[int, list[str]] = {}
    for name in os.listdir(directory or "."):
        match = pattern.fullmatch(name)
        if match and int(match[1]):
            found.setdefault(int(match[1]), []).append(os.path.join(directory, name))
    return found


def shift(path: str, *, keep: int) -> None:
    """Make room for number 1 and remove what is beyond `keep` files (0: keep all).

    Numbers move up only as far as the first gap, so a shift that was interrupted is completed by the next one.
    """
    found = backups(path)
    gap = 1
    while gap in found:
        gap += 1
    for number in range(gap - 1, 0, -1):
        for name in found[number]:
            suffix = ".gz" if name.endswith(".gz") else ""
            os.replace(name, f"{path}.{number + 1}{suffix}")
    prune(path, keep=keep - 1 if keep else 0)


def prune(path: str, *, keep: int) -> None:
    """Remove the rotated files beyond the newest `keep` (0: none), counting the one that comes next."""
    if keep <= 0:
        return
    for number, names in backups(path).items():
        if number > keep + 1:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)


def rotate(path: str, *, keep: int) -> None:
    """Move the log file to number 1. Safe to call again after a crash in the middle.

    With ``keep=1`` there is one rotated file, and so on; 0 keeps all.
    """
    shift(path, keep=keep)
    os.replace(path, path + ".1")
    for number, names in backups(path).items():
        if keep and number > keep:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)


def compress(name: str, *, mode: int) -> None:
    """Compress one rotated file; the plain file goes when the compressed one is whole."""
    temporary = f"{name}.gz.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, mode)
    import gzip  # with `shutil` 4 ms, which `setup` would pay for
    import shutil

    with open(name, "rb") as source, os.fdopen(fd, "wb") as raw, gzip.GzipFile("", "wb", 6, raw) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    os.replace(temporary, name + ".gz")
    os.unlink(name)


class Compressor:
    """Compress rotated files, one at a time, beside the listener's loop."""

    def __init__(self, path: str, *, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Compress whatever is plain, unless that is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="mplog-compress", daemon=True)
            self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the files are compressed; rotation does, since it renames them."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _run(self) -> None:
        for _, names in sorted(backups(self._path).items()):
            for name in names:
                if not name.endswith(".gz"):
                    # A full disk leaves the plain file, which is complete; the next rotation tries again.
                    with contextlib.suppress(OSError):
                        compress(name, mode=self._mode)
