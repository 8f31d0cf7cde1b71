"""Find the sessions of this machine from outside, and who lives in them. Runs in the command `mplog`."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from mplog._shared import lock
from mplog._shared.owner import SUFFIX, read_owner
from mplog._shared.spool import Spool, of_variable, roots, session_name
from mplog.exceptions import SessionError

_SUPERVISOR = b"mplog._listener.supervise"


class Found(NamedTuple):
    """A session and its directory."""

    spool: Spool
    session: dict[str, Any]

    @property
    def file(self) -> str | None:
        """The session's log file, or None."""
        config = self.session.get("config")
        file = config.get("file") if isinstance(config, dict) else None
        return file if isinstance(file, str) else None

    @property
    def alive(self) -> bool:
        """Whether anybody belongs to it still: a listener or another process."""
        return self.spool.listener_pid() is not None or any(True for _ in owners(self.spool))

    def __str__(self) -> str:
        """Return the log file, else the spool."""
        return self.file or self.spool.path


def find(target: str) -> Found:
    """Return the session of a log file, or the one in a spool directory.

    Raises:
        SessionError: there is none.
    """
    if os.path.isdir(target):
        found = _read(os.path.abspath(target))
        if found is None:
            raise SessionError(f"{target!r} is a directory without a session; name a log file or a session's spool.")
        return found
    for root in _roots(target):
        found = _read(os.path.join(root, session_name(target)))
        if found is not None:
            return found
    named = next((one for one in live() if one.file == os.path.realpath(target)), None)
    if named is not None:
        return named
    what = "has no running session" if os.path.exists(target) else "is no file, and no session's log"
    raise SessionError(f"{target!r} {what}.")


def only() -> Found:
    """Return the only live session of this user.

    Raises:
        SessionError: there is none, or more than one.
    """
    found = live()
    if not found:
        raise SessionError("there is no running session of this user; name its log file or spool.")
    if len(found) > 1:
        names = ", ".join(sorted(map(str, found)))
        raise SessionError(f"there are {len(found)} running sessions; name one of them: {names}")
    return found[0]


def live() -> list[Found]:
    """Return the live sessions of this user, as far as they can be found; the oldest comes first."""
    return [one for one in _all() if one.alive]


def dead() -> list[Found]:
    """Return the sessions of this user to which nobody belongs any more, and whose directory is still there."""
    return [one for one in _all() if not one.alive]


def _all() -> list[Found]:
    found: dict[str, Found] = {}
    for path in _candidates():
        real = os.path.realpath(path)
        if real not in found and (one := _read(real)) is not None:
            found[real] = one
    return sorted(found.values(), key=lambda one: one.session.get("started") or 0)


def owners(spool: Spool) -> Iterator[dict[str, Any]]:
    """Yield the identity of each live process of a session but the listener (see `owner.identity`)."""
    for directory in spool.journal_directories:
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*" + SUFFIX))):
            with contextlib.suppress(OSError):
                holder = lock.holder(path)
                if holder is None or lock.is_ours(path):
                    continue
                with open(path, "rb", buffering=0) as file:
                    identity = read_owner(file.fileno()).identity
                if identity.get("role") != "listener":
                    yield identity


def counts(spool: Spool, timeout: float = 1.0) -> list[dict[str, Any]]:
    """Return what the listener counts for each process (see `Session.stats`), anew if it answers in time."""
    path = spool.file("stats.json")
    asked = time.time_ns()
    deadline = time.monotonic() + timeout
    while spool.wake() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime_ns > asked:
                break
        time.sleep(0.005)
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        content = json.loads(file.read())
        listed = content.get("processes") if isinstance(content, dict) else None
        return [line for line in listed if isinstance(line, dict)] if isinstance(listed, list) else []
    return []


def _read(path: str) -> Found | None:
    spool = Spool(path)
    session = spool.read_session()
    if session is None:
        return None
    config = session.get("config")
    if isinstance(config, dict) and isinstance(config.get("file"), str):
        name = os.path.basename(path)
        others = [os.path.join(root, name) for root in _roots(config["file"])]
        if path in others and others.index(path) + 1 < len(others):
            spool = Spool(path, others[others.index(path) + 1])
    return Found(spool, session)


def _roots(file: str | None) -> list[str]:
    """Return where a session's spool may lie, also one that another kind of user began."""
    found = [*roots(file, None), f"/dev/shm/mplog-{os.getuid()}"]
    if file:
        found.append(os.path.join(os.path.dirname(os.path.realpath(file)), ".mplog"))
    return list(dict.fromkeys(found))


def _candidates() -> Iterator[str]:
    if os.environ.get("MPLOG_SESSION"):
        yield of_variable(os.environ["MPLOG_SESSION"]).path
    for root in [*_roots("here"), *glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), "mplog-*"))]:
        with contextlib.suppress(OSError):
            for name in os.listdir(root):
                yield os.path.join(root, name)
    yield from _of_listeners()


def _of_listeners() -> Iterator[str]:
    """Yield the spools that the listener processes of this user were started with (`launch.launch`)."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError, IndexError):
            if os.stat(path).st_uid != os.geteuid():
                continue
            with open(path, "rb", buffering=0) as file:
                words = file.read(1 << 20).split(b"\0")
            at = next((at for at, word in enumerate(words) if _SUPERVISOR in word), None)
            if at is not None:
                yield os.fsdecode(words[at + 2])
