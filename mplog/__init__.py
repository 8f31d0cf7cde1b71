"""Multiprocess logging for Python that loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mplog._shared.context import bind, clear_context, context, unbind, with_context
    from mplog._worker.progress import track
    from mplog.exceptions import ConfigError, MplogError, SessionError, SpoolError
    from mplog.processors import BoundLogger, configure_structlog, get_logger
    from mplog.session import Session, log_to_stderr, setup
    from mplog.worker import WorkerHandler, attach

__all__ = [
    "BoundLogger",
    "ConfigError",
    "MplogError",
    "Session",
    "SessionError",
    "SpoolError",
    "WorkerHandler",
    "attach",
    "bind",
    "clear_context",
    "configure_structlog",
    "context",
    "get_logger",
    "log_to_stderr",
    "setup",
    "track",
    "unbind",
    "with_context",
]

_HOME = {
    "BoundLogger": "processors",
    "ConfigError": "exceptions",
    "MplogError": "exceptions",
    "Session": "session",
    "SessionError": "exceptions",
    "SpoolError": "exceptions",
    "WorkerHandler": "worker",
    "attach": "worker",
    "bind": "_shared.context",
    "clear_context": "_shared.context",
    "configure_structlog": "processors",
    "context": "_shared.context",
    "get_logger": "processors",
    "log_to_stderr": "session",
    "setup": "session",
    "track": "_worker.progress",
    "unbind": "_shared.context",
    "with_context": "_shared.context",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a worker pays only for what it needs."""
    if name not in _HOME:
        raise AttributeError(f"module 'mplog' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"mplog.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
