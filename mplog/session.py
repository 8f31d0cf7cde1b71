"""`setup()` and `Session`: what the parent holds. Runs in the parent; a pickled `Session` also in workers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from types import TracebackType
from typing import Any, Self

from mplog import worker
from mplog._parent.entry import enter
from mplog._shared import descriptors, launch
from mplog._shared.spool import variable
from mplog._worker import inherit
from mplog.config import UNSET, Config, Unset, load
from mplog.exceptions import SessionError
from mplog.worker import Handle

_current: Session | None = None


class Session:
    """One log: a file, a console, a listener, and all processes that write to it.

    Made by `setup`. A context manager that closes at its end. Pickles to a small handle, so that `session.attach`
    is an initializer for any pool.
    """

    def __init__(self, handle: Handle, *, config: Config | None = None, thread: Any = None) -> None:
        self._handle = handle
        self._config = config or handle.config()
        self._spool = handle.spool()
        self._thread = thread
        self._pid = os.getpid()
        self._closed = False
        self._stats: dict[str, Any] = {}
        self._finalizer: Any = None
        self._watches_bars = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle to the handle alone."""
        return (_from_handle, (tuple(self._handle),))

    def __repr__(self) -> str:
        """Return the log file and where the journals lie."""
        return f"<Session {self.file or 'console'} spool={self._spool.path}>"

    @property
    def file(self) -> str | None:
        """The absolute path of the log file, or None."""
        return self._config.file

    @property
    def spool(self) -> str:
        """The directory that holds the journals until they are in the log."""
        return self._spool.path

    def attach(self, *args: Any, root: bool = True) -> None:  # noqa: ARG002 - see below
        """Attach the calling process: the initializer for pools. Runs in a worker.

        Idempotent, and never raises: an initializer that raises is started again for ever by a `Pool`. Any positional
        arguments are ignored, so it fits wherever a callable is called with an index (``worker_init_fn``).

        Args:
            args: ignored.
            root: whether the root logger gets a handler; False for those who place `handler()` themselves.
        """
        try:
            config = self._config if os.getpid() == self._pid else self._handle.config()
            worker.install(self._handle, config, worker.EXPLICIT, root=root)
            if (names := inherit.processors_here()) is not None:
                from mplog import processors

                processors.adopt(names)
        except Exception as error:
            worker.warn(f"this process could not attach ({type(error).__name__}: {error}); logging goes on as before.")

    def handler(self) -> worker.WorkerHandler:
        """Return a handler for people who wire `logging` by hand. It writes to this process's journal."""
        return worker.WorkerHandler(self)

    def env(self, base: dict[str, str] | None = None) -> dict[str, str]:
        """Return an environment with which a program started by `subprocess` can `mplog.attach()`.

        Args:
            base: the environment to start from, or None for `os.environ`.
        """
        environment = dict(os.environ if base is None else base)
        environment["MPLOG_SESSION"] = variable(self._handle.path, self._handle.second)
        return environment

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every record whose call returned before, in any process, is in the file.

        Returns:
            Whether that was so within `timeout` seconds.
        """
        return self._wait_committed(time.monotonic_ns(), time.monotonic() + timeout)

    def stats(self, timeout: float = 5.0) -> dict[str, Any]:
        """Return counts: `processes` (name, pid, written, dropped, alive), totals, `late`, and the listener's pid.

        What was logged before is counted. After `close` the last counts are returned.

        Args:
            timeout: seconds to wait for the listener; then the counts it gave last are returned.
        """
        if self._closed and self._stats:
            return self._stats
        if self.flush(timeout):
            with contextlib.suppress(OSError), open(self._spool.file("stats.json"), "rb", buffering=0) as file:
                self._read_stats(file.fileno(), timeout)
        return self._stats

    def _read_stats(self, fd: int, timeout: float) -> None:
        """Read the listener's counts, once it has written them anew, or has written its last."""
        asked = time.time_ns()
        deadline = time.monotonic() + timeout
        while os.fstat(fd).st_nlink and os.fstat(fd).st_mtime_ns <= asked and time.monotonic() < deadline:
            self._spool.wake()
            time.sleep(0.002)
        with contextlib.suppress(ValueError):
            self._stats = json.loads(os.pread(fd, os.fstat(fd).st_size, 0).partition(b"\n")[0])

    def close(self, timeout: float = 10.0) -> bool:
        """Write down everything that was logged and end this process's part of the session.

        The listener goes on as long as other processes of the session live. Called at the end of the program, too.
        In a forked child it only detaches the child.

        Args:
            timeout: seconds after which it returns all the same, and says on stderr what is left.

        Returns:
            Whether everything was written.
        """
        global _current
        if self._closed:
            return True
        self._closed = True
        if os.getpid() != self._pid:
            worker.uninstall()
            return True
        deadline = time.monotonic() + timeout
        if _current is self:
            _current = None
        if self._finalizer is not None:
            self._finalizer.cancel()
        with contextlib.suppress(Exception):
            inherit.disarm()
        counts = None
        with contextlib.suppress(OSError):
            counts = open(self._spool.file("stats.json"), "rb", buffering=0)
        with counts or contextlib.nullcontext():
            if worker.current is not None and worker.current.handle.id == self._handle.id:
                worker.uninstall()
            asked = time.monotonic_ns()
            done = self._drain(asked, deadline)
            if counts is not None:
                self._read_stats(counts.fileno(), min(1.0, timeout))
        if self._watches_bars:
            from mplog._parent import bars

            bars.disarm()
        if not done:
            worker.warn(
                f"not everything was in {self.file or 'the console'!r} within {timeout:g} s; the rest waits in "
                f"{self._spool.path!r}: the listener goes on, or `mplog recover {self._spool.path}` writes it."
            )
        return done

    def set_level(
        self,
        level: int | str,
        logger: str = "",
        process: str | None = None,
        duration: float | None = None,
    ) -> None:
        """Change a level in all running processes of the session, at once, and in those that start later.

        Where the application has a handler of its own for SIGURG it comes with that process's next record. A level
        that the application itself has set meanwhile stays. File and console keep the levels they have.

        Args:
            level: a level's name or number.
            logger: the logger's name; `""` is the root logger.
            process: a pattern as in `fnmatch` for the names of the processes it is for, or None for all.
            duration: seconds after which the level goes back by itself, or None for ever.

        Raises:
            ConfigError: the level, the pattern or the duration makes no sense.
            SessionError: the session has ended.
        """
        from mplog._shared.control import change

        change(self._spool, level, logger=logger, process=process, duration=duration)

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def _drain(self, moment: int, deadline: float) -> bool:
        """Have everything up to `moment` written, by our own thread or by whoever listens; return whether it is."""
        done = None if self._thread is None else self._thread.close(max(0.1, deadline - time.monotonic()))
        return self._wait_committed(moment, deadline, ending=True) if done is None else bool(done)

    def _wait_committed(self, moment: int, deadline: float, *, ending: bool = False) -> bool:
        """Wait until the listener has committed up to `moment`; with `ending`, until it ended if nobody else lives."""
        spool = self._spool
        pause = 0.001
        session = self._handle.session.encode()
        while True:
            status = spool.status()
            pid = spool.listener_pid()
            if pid is None and not os.path.isdir(spool.path):
                return True
            if status is not None and status.committed >= moment and (not ending or status.alive or pid is None):
                return True
            if self._thread is None or self._thread.retired:
                launch.look(spool, session, pid)
            if time.monotonic() >= deadline:
                return False
            spool.wake()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.004)


def setup(
    file: str | os.PathLike[str] | Unset | None = UNSET,
    *,
    config: Any = UNSET,
    level: Any = UNSET,
    console: Any = UNSET,
    console_level: Any = UNSET,
    format: Any = UNSET,
    style: Any = UNSET,
    datefmt: Any = UNSET,
    utc: Any = UNSET,
    color: Any = UNSET,
    fold: Any = UNSET,
    max_bytes: Any = UNSET,
    rotate_every: Any = UNSET,
    backup_count: Any = UNSET,
    compress: Any = UNSET,
    mode: Any = UNSET,
    durable: Any = UNSET,
    handlers: Any = UNSET,
    listener: Any = UNSET,
    capture: Any = UNSET,
    redact: Any = UNSET,
    show_locals: Any = UNSET,
    overflow: Any = UNSET,
    block_timeout: Any = UNSET,
    max_record: Any = UNSET,
    quota: Any = UNSET,
    spool: Any = UNSET,
    auto_attach: Any = UNSET,
    force: Any = UNSET,
    allow_insecure_dir: Any = UNSET,
) -> Session:
    """Start the log of this program and attach this process; children attach by themselves. Runs in the parent.

    Returns at once: the journals hold what is logged until the listener is up. If the log file has a live session,
    started by whichever program, it is joined; the first one's settings for file, console and handlers hold. Every
    setting may also come from the environment (`MPLOG_LEVEL`, ..) or a file; argument > environment > file > default.

    Args:
        file: the log file, or None for the console alone.
        config: a TOML or JSON file, or a dict, with any of these settings.
        level: a level, ``"info,app.db=debug"``, or a mapping of logger names to levels. Default `"INFO"`.
        console: True or `"stderr"` (default), `"stdout"`, or False.
        console_level: least level shown on the console.
        format: `"text"`, `"json"`, a `logging` format string, or `"auto"`: JSON for .json, .jsonl and .ndjson.
        style: how a format string marks fields: `"%"`, `"{"` or `"$"`.
        datefmt: `time.strftime` format for a format string.
        utc: whether text shows UTC instead of local time.
        color: `"auto"`, `"always"` or `"never"`, for the console.
        fold: whether the console folds identical records into one line with a count.
        max_bytes: size above which the file is rotated: bytes, or ``"10 MB"``. 0 = never.
        rotate_every: seconds, ``"1h"``, `"hourly"` or `"midnight"`. 0 = never.
        backup_count: rotated files to keep; 0 = all.
        compress: whether rotated files are compressed with gzip.
        mode: permission bits of the log files, default 0o600, whatever the umask.
        durable: whether the file is synced before a record's journal is forgotten.
        handlers: further handlers: objects (with a listener thread), dictConfig dicts, or dotted factories.
        listener: `"process"`, `"thread"`, or `"auto"`: a process, unless handlers are objects or `sys.stderr` is not
            file descriptor 2.
        capture: what else becomes records: `"warnings"`, `"exceptions"`, `"stdout"`, `"stderr"`, `"fd"`,
            `"faulthandler"`.
        redact: keys, ``"re:..."`` patterns and dotted functions that take secrets out before anything is written.
        show_locals: whether exceptions come with the local variables of their frames; they may hold secrets.
        overflow: `"block"` or `"drop"`: what a call does when this process's journals are above `quota`.
        block_timeout: seconds a call may wait before its record is dropped and counted.
        max_record: bytes above which a record is cut.
        quota: bytes of unread journal a process may hold.
        spool: the directory for journals.
        auto_attach: whether children attach by themselves.
        force: whether a session of this process on another file is closed first.
        allow_insecure_dir: whether root may log into a directory that others may write.

    Raises:
        ConfigError: an argument is wrong; nothing was started.
        SessionError: this process has a session on another file.
        SpoolError: there is no place for the journals.
    """
    given = {name: value for name, value in locals().items() if value is not UNSET}
    settings = load(given)
    global _current
    if _current is not None and not _current._closed and _current._pid == os.getpid():
        if _same_file(_current.file, settings.file):
            ours = _current._config._asdict()
            asked = [name for name in given if name in ours and name != "file"]
            wished = [name for name in asked if getattr(settings, name) != ours[name]]
            if wished:
                worker.warn(
                    f"this process logs to {settings.file!r} already; `{'`, `'.join(wished)}` of this call "
                    f"{'is' if len(wished) == 1 else 'are'} not used (`Session.set_level` changes levels)."
                )
            return _current
        if not settings.force:
            raise SessionError(
                f"`file` is {settings.file!r}, but this process logs to {_current.file!r}; "
                "close that session first, or pass `force=True`."
            )
        _current.close()
    _current = _begin(settings, frozenset(given))
    return _current


def _same_file(one: str | None, other: str | None) -> bool:
    return one == other or bool(one and other and os.path.realpath(one) == os.path.realpath(other))


def _begin(config: Config, given: frozenset[str]) -> Session:
    from multiprocessing import util

    entry = enter(config, given)
    session = Session(entry.handle, config=entry.config, thread=entry.thread)
    terminal = descriptors.original(1 if entry.config.console == "stdout" else 2)
    if not entry.joined and entry.config.console != "off" and os.isatty(terminal):
        from mplog._parent import bars

        session._watches_bars = bars.arm(session._spool, terminal)
    # After the children were joined, before the interpreter goes: daemonic threads still run then.
    session._finalizer = util.Finalize(None, session.close, exitpriority=-1000)
    return session


def _from_handle(fields: tuple[Any, ...]) -> Session:
    """Make the session again in a worker, without starting anything."""
    return Session(Handle(*fields))


def log_to_stderr(level: int | str | None = None) -> logging.Logger:
    """Show what `multiprocessing` does, as `multiprocessing.log_to_stderr()` does, but whole, and of every process.

    The lines ``[INFO/Process-1] child process calling self.run()`` .. go through the one listener. Without a session
    one is started whose console shows exactly these lines; in a session with a format of its own they have that one.

    Args:
        level: the level for the `multiprocessing` logger, or None to leave it.

    Returns:
        The `multiprocessing` logger.
    """
    from mplog._worker.tutorial import show

    if worker.current is None:
        setup(None, format="[%(levelname)s/%(processName)s] %(message)s", level={"": "WARNING"})
    logger = show(level)
    inherit.carry("multiprocessing")
    return logger
