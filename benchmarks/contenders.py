# ruff: noqa: D102 -- the steps are described once, in Contender
"""The contenders: one log file, the same fields, and three steps each.

`start` runs in the parent and returns the handle, `attach` in every worker, `close` in the parent. Fields:
time, level, message, logger, process name, pid. mplog's JSON has thread, file, line, function and seq on top.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import logging.handlers
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.measure import parent_of, report, wait_for

Log = Callable[[int, str], object]

LOGGER = "app.jobs"
PERCENT_TEMPLATE = "request %d done by %s"
BRACE_TEMPLATE = "request {} done by {}"
START_METHODS = ("fork", "spawn", "forkserver")
_FOR_EVER = 1e6


def as_json(created: datetime, level: str, message: str, logger: str, process: str, pid: int) -> str:
    """Return the JSON line every rival writes."""
    fields = {"time": created.isoformat(), "level": level, "msg": message, "logger": logger}
    return json.dumps(fields | {"process": process, "pid": pid})


class JsonFormatter(logging.Formatter):
    """Format a LogRecord with `as_json`."""

    def format(self, record: logging.LogRecord) -> str:
        created = datetime.fromtimestamp(record.created, UTC)
        process = record.processName or ""
        return as_json(created, record.levelname, record.getMessage(), record.name, process, record.process or 0)


class Contender:
    """One way to log from several processes into one file.

    Args:
        path: the log file.
        file_format: "json" or "text".
        context: the multiprocessing context that starts the workers.
    """

    name: ClassVar[str]
    distribution: ClassVar[str | None] = None
    start_methods: ClassVar[tuple[str, ...]] = START_METHODS
    pattern: ClassVar[bytes] = rb"request (\d+) done by w(\d+)"

    def __init__(self, path: Path, file_format: str, context: BaseContext) -> None:
        self.path = path
        self.file_format = file_format
        self.context = context

    def start(self) -> Any:
        """Start what listens, in the parent; return the handle that every worker gets."""
        raise NotImplementedError

    @staticmethod
    def attach(handle: Any) -> Log:
        """Make this worker log through the handle and return the call to measure."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """Return the processes, other than parent and workers, whose CPU counts; the listener first."""
        return []

    def drain(self) -> None:
        """Wait until what the workers logged is in the file, where `close` does not; in the parent."""

    def close(self) -> None:
        """Write the rest and stop listening, in the parent."""


class Stdlib(Contender):
    """The Cookbook's recipe, queue and QueueListener; also what its variants below have in common."""

    name = "stdlib recipe"

    def file_handler(self) -> logging.Handler:
        """Return the handler that writes the log file."""
        handler = logging.FileHandler(self.path)
        handler.setFormatter(self.formatter())
        return handler

    def formatter(self) -> logging.Formatter:
        """Return the formatter of the log file."""
        if self.file_format == "json":
            return JsonFormatter()
        return logging.Formatter("%(asctime)s %(levelname)-8s %(processName)s[%(process)d] %(name)s: %(message)s")

    def start(self) -> Any:
        queue = self.context.Queue()
        self.listener = logging.handlers.QueueListener(queue, self.file_handler())
        self.listener.start()
        return queue

    @staticmethod
    def attach(handle: Any) -> Log:
        return log_through(logging.handlers.QueueHandler(handle))

    def close(self) -> None:
        self.listener.stop()


def log_through(handler: logging.Handler | None) -> Log:
    """Make `handler` the root logger's only one, if given, and return the logger's call."""
    root = logging.getLogger()
    if handler is not None:
        root.handlers[:] = [handler]
        root.setLevel(logging.INFO)
    return partial(logging.getLogger(LOGGER).info, PERCENT_TEMPLATE)


class FasterFifo(Stdlib):
    """The recipe with faster-fifo's shared memory queue in place of multiprocessing.Queue."""

    name = "faster-fifo"
    distribution = "faster-fifo"

    def start(self) -> Any:
        queue = importlib.import_module("faster_fifo").Queue()
        self.listener = _PatientListener(queue, self.file_handler())
        self.listener.start()
        return queue

    @staticmethod
    def attach(handle: Any) -> Log:
        return log_through(_PatientHandler(handle))


class _PatientListener(logging.handlers.QueueListener):
    """faster-fifo's `get` gives up after ten seconds by default, which would end the listener's thread."""

    def dequeue(self, block: bool) -> Any:
        return self.queue.get(block, timeout=_FOR_EVER)  # type: ignore[call-arg]


class _PatientHandler(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.put(record, timeout=_FOR_EVER)  # type: ignore[attr-defined]


class OwnFileHandler(Stdlib):
    """Every process opens the file itself, in append mode: nobody owns it, so no rotation and no order."""

    name = "own FileHandler"

    def start(self) -> Any:
        return self.file_handler

    @staticmethod
    def attach(handle: Any) -> Log:
        return log_through(handle())

    def close(self) -> None:
        """Nothing listens."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "context": None}


class ConcurrentLogHandler(OwnFileHandler):
    """concurrent-log-handler: every process writes under a file lock."""

    name = "concurrent-log-handler"
    distribution = "concurrent-log-handler"

    def file_handler(self) -> logging.Handler:
        handler_class = importlib.import_module("concurrent_log_handler").ConcurrentRotatingFileHandler
        handler: logging.Handler = handler_class(str(self.path))
        handler.setFormatter(self.formatter())
        return handler


class MultiprocessingLogging(Stdlib):
    """multiprocessing-logging: wraps the parent's handlers before it forks."""

    name = "multiprocessing-logging"
    distribution = "multiprocessing-logging"
    start_methods = ("fork",)

    def start(self) -> Any:
        log_through(self.file_handler())
        importlib.import_module("multiprocessing_logging").install_mp_handler()
        return None

    @staticmethod
    def attach(handle: Any) -> Log:
        return log_through(None)

    def close(self) -> None:
        logging.getLogger().handlers[0].close()


class Loguru(Contender):
    """loguru with `enqueue=True`; the logger itself is the handle, as its documentation says."""

    name = "loguru enqueue"
    distribution = "loguru"

    def start(self) -> Any:
        self.logger = importlib.import_module("loguru").logger
        self.logger.remove()
        text = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level:<8} {process.name}[{process.id}] {name}: {message}"
        line = _loguru_json if self.file_format == "json" else text
        self.logger.add(self.path, format=line, level="INFO", enqueue=True, context=self.context)
        return self.logger

    @staticmethod
    def attach(handle: Any) -> Log:
        return partial(handle.info, BRACE_TEMPLATE)

    def close(self) -> None:
        self.logger.remove()


def _loguru_json(record: Any) -> str:
    process = record["process"]
    record["extra"]["line"] = as_json(
        record["time"], record["level"].name, record["message"], record["name"], process.name, process.id
    )
    return "{extra[line]}\n"


class Logbook(Contender):
    """Logbook's MultiProcessingHandler and subscriber."""

    name = "Logbook"
    distribution = "logbook"

    def start(self) -> Any:
        logbook = importlib.import_module("logbook")
        text = (
            "{record.time:%Y-%m-%d %H:%M:%S.%f} {record.level_name:<8} "
            "{record.process_name}[{record.process}] {record.channel}: {record.message}"
        )
        handler = logbook.FileHandler(str(self.path), level="INFO", format_string=text)
        if self.file_format == "json":
            handler.formatter = _logbook_json
        self.queue = self.context.Queue()
        subscriber = importlib.import_module("logbook.queues").MultiProcessingSubscriber(self.queue)
        self.controller = subscriber.dispatch_in_background(handler)
        return self.queue

    @staticmethod
    def attach(handle: Any) -> Log:
        importlib.import_module("logbook.queues").MultiProcessingHandler(handle, level="INFO").push_application()
        return partial(importlib.import_module("logbook").Logger(LOGGER).info, BRACE_TEMPLATE)

    def drain(self) -> None:
        # `stop` leaves what is still queued. Not qsize(): it counts what a killed worker took along.
        wait_for(self.queue.empty, timeout=60)

    def close(self) -> None:
        self.controller.stop()


def _logbook_json(record: Any, handler: Any) -> str:
    return as_json(
        record.time,
        record.level_name,
        record.message,
        record.channel,
        record.process_name or "",
        record.process or 0,
    )


class Mplog(Contender):
    """mplog, called through the standard library's logger."""

    name = "mplog"
    distribution = "mplog"
    options: ClassVar[dict[str, Any]] = {}

    def start(self) -> Any:
        mplog = importlib.import_module("mplog")
        self.session = mplog.setup(self.path, level="INFO", console=False, format=self.file_format, **self.options)
        return self.session.attach

    @staticmethod
    def attach(handle: Any) -> Log:
        handle()
        return log_through(None)

    def pids(self) -> list[int]:
        def pid() -> int | None:
            found: int | None = (self.session.stats().get("listener") or {}).get("pid")
            return found

        # `setup` does not wait for the listener's process.
        wait_for(lambda: pid() is not None, timeout=10)
        listener = pid()
        if listener is None:
            raise RuntimeError("mplog's listener did not start within 10 seconds.")
        supervisor = parent_of(listener)
        return [listener] if supervisor == os.getpid() else [listener, supervisor]

    def drain(self) -> None:
        self.session.flush(60)

    def close(self) -> None:
        self.session.close()


class MplogGetLogger(Mplog):
    """mplog, called through `mplog.get_logger()` with keywords."""

    name = "mplog get_logger"
    pattern = rb"""\bi"?[:=](\d+)[, ]"?s"?[:=]["']?w(\d+)"""

    @staticmethod
    def attach(handle: Any) -> Log:
        handle()
        info = importlib.import_module("mplog").get_logger(LOGGER).info

        def log(i: int, s: str) -> None:
            info("request done", i=i, s=s)

        return log


class MplogDurable(Mplog):
    """mplog that syncs the file before it forgets the journal."""

    name = "mplog durable"
    options: ClassVar[dict[str, Any]] = {"durable": True}


class MplogHandlers(Mplog):
    """mplog with a handler of the user's in the listener, beside the file."""

    name = "mplog + user handler"
    options: ClassVar[dict[str, Any]] = {"handlers": ["logging.NullHandler"]}


ALL: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        Mplog,
        MplogGetLogger,
        MplogHandlers,
        MplogDurable,
        Stdlib,
        FasterFifo,
        ConcurrentLogHandler,
        MultiprocessingLogging,
        Loguru,
        Logbook,
        OwnFileHandler,
    )
}


def create(name: str, path: Path, file_format: str, context: BaseContext) -> Contender:
    """Return the contender called `name`."""
    return ALL[name](path, file_format, context)


def versions() -> dict[str, str | None]:
    """Return the version of each distribution that a contender needs, None where it is not installed."""
    return {name: _version(name) for name in sorted({c.distribution for c in ALL.values() if c.distribution})}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    report(versions)
