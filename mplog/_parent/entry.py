"""Begin the session of a log file, or join the one that lives. Runs in the parent, and in whoever calls `setup`."""

import contextlib
import json
import os
import sys
import time
from typing import Any, NamedTuple

from mplog import worker
from mplog._shared import clock, descriptors, launch, lock
from mplog._shared.spool import Spool, place
from mplog._worker import inherit
from mplog.config import Config
from mplog.exceptions import ConfigError, SpoolError
from mplog.worker import Handle

_OWN = (
    "level",
    "capture",
    "force",
    "auto_attach",
    "overflow",
    "block_timeout",
    "redact",
    "show_locals",
    "max_record",
    "quota",
    "spool",
)
"""Settings that are each process's own; the others are the session's."""


class Entry(NamedTuple):
    """What came of entering a session."""

    handle: Handle
    config: Config
    """This process's settings: where it joined, those of the session with its own among them."""
    thread: Any
    """The listener, if it is a thread of this process."""
    joined: bool
    """Whether the session lived before."""


def enter(config: Config, given: frozenset[str]) -> Entry:
    """Begin or join a session, under the lock of its spool; leave nothing behind where that fails.

    Args:
        config: the settings wished for.
        given: the names of those that were arguments of `setup`.

    Raises:
        ConfigError: the log or the spool that was named cannot be written.
        SpoolError: there is no place for the journals.
        OSError: there is no room in it.
    """
    file = config.file
    new_directory = new_file = False
    try:
        if file is not None:
            from mplog.handlers import check_log, make_log_directory

            new_directory = not os.path.isdir(os.path.dirname(file))
            if new_directory:
                with contextlib.suppress(FileExistsError):
                    make_log_directory(file, config.mode)
            new_file = not os.path.lexists(file)
            check_log(file, config.mode)
        return _enter(config, given)
    except BaseException:
        if file is not None:
            with contextlib.suppress(OSError):
                if new_file and os.path.getsize(file) == 0:
                    os.unlink(file)
                if new_directory:
                    os.rmdir(os.path.dirname(file))
        raise


def _enter(config: Config, given: frozenset[str]) -> Entry:
    spool = _place(config)
    fd = lock.acquire(spool.lock_path, wait=True)
    joined = True
    thread = None
    try:
        spool.create()
        handle, joined = _session_of(spool, config)
        settled = config
        if joined:
            settled = _joined(handle.config(), config, given)
            _tell_where_console_is(spool, settled)
            # This process's children take its settings, not those of the program that began the session.
            session = {**json.loads(handle.session), "config": json.loads(settled.to_json())}
            handle = handle._replace(session=json.dumps(session))
        here = worker.install(handle, settled, worker.EXPLICIT, capture=False)
        here.claim()
        if spool.listener_pid() is None:
            thread = _start_listener(spool, handle, settled)
        worker.begin_capture(here)
        if settled.auto_attach:
            with contextlib.suppress(Exception):
                inherit.arm(tuple(handle))
        return Entry(handle, settled, thread, joined)
    except BaseException:
        worker.uninstall()
        if thread is not None:
            thread.close(1.0)
        elif not joined:
            spool.clear()
        raise
    finally:
        if fd is not None:
            lock.release(fd, remove=None if os.path.isdir(spool.path) else spool.lock_path)
            if not os.path.isdir(spool.path):
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.dirname(spool.path))


def _place(config: Config) -> Spool:
    try:
        return place(config.file, config.spool)
    except SpoolError as error:
        if config.spool is None:
            raise
        raise ConfigError(str(error)) from error


def _session_of(spool: Spool, config: Config) -> tuple[Handle, bool]:
    """Return the handle of the live session of this spool, or that of a new one."""
    found = spool.read_session()
    if found is not None and (spool.listener_pid() is not None or _somebody_lives(spool)):
        return Handle(found["id"], spool.path, spool.second, json.dumps(found)), True
    session = {
        "id": os.urandom(8).hex(),
        "config": json.loads(config.to_json()),
        "parent": os.getpid(),
        "started": time.time_ns(),
        "offset": clock.measure(),
        "tz": os.environ.get("TZ", ""),
    }
    text = json.dumps(session)
    spool.write_file("session.json", text.encode())
    return Handle(session["id"], spool.path, spool.second, text), False


def _somebody_lives(spool: Spool) -> bool:
    with contextlib.suppress(OSError):
        for name in os.listdir(spool.journals):
            if name.endswith(".owner") and lock.holder(os.path.join(spool.journals, name)) is not None:
                return True
    return False


def _joined(theirs: Config, ours: Config, given: frozenset[str]) -> Config:
    """Return the settings of the session with those that are each process's own; say once what was wished in vain."""
    different = [
        name for name in Config._fields if name not in (*_OWN, "file") and getattr(ours, name) != getattr(theirs, name)
    ]
    defaults = Config._field_defaults
    wished = [name for name in different if name in given or getattr(ours, name) != defaults[name]]
    if wished:
        worker.warn(
            f"{ours.file!r} has a session already, whose settings hold; `{'`, `'.join(wished)}` of this call "
            f"{'is' if len(wished) == 1 else 'are'} not used."
        )
    settled = theirs.replace(**{name: getattr(ours, name) for name in _OWN})
    if "fd" in ours.capture and not set(ours.redact) <= set(theirs.redact):
        worker.warn(
            f"{ours.file!r} has a session already, whose listener does not know this program's `redact`, so what "
            "is written to descriptors is not captured here; give the same `redact` to the `setup` that begins it."
        )
        settled = settled.replace(capture=tuple(kind for kind in ours.capture if kind != "fd"))
    return settled


def _tell_where_console_is(spool: Spool, settled: Config) -> None:
    """Say so if the session's console is another terminal, or another pipe, than this program's."""
    pid = spool.listener_pid()
    number = 1 if settled.console == "stdout" else 2
    if settled.console == "off" or not pid or pid == os.getpid():
        return
    with contextlib.suppress(OSError):  # no /proc, or no right to look
        if not os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), os.fstat(descriptors.original(number))):
            worker.warn(
                f"{settled.file!r} has a session already, and its console is where that was started, not here "
                "(`mplog tail` follows the file)."
            )


def _start_listener(spool: Spool, handle: Handle, config: Config) -> Any:
    """Start the session's listener; return the thread if it is one."""
    kind = config.listener
    if kind == "auto":
        kind = "thread" if config.handler_objects or not _stderr_is_ours() else "process"
    if kind == "process" and launch.ensure(spool, handle.session.encode(), locked=True):
        return None
    from mplog._listener.thread import ListenerThread

    stream = sys.stdout if config.console == "stdout" else sys.stderr
    with contextlib.suppress(BlockingIOError):
        return ListenerThread(spool, config, stream)
    return None


def _stderr_is_ours() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False
