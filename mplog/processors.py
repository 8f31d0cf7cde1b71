"""structlog on the fast path: `get_logger` and `configure_structlog`. Runs in a worker; imports structlog."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

import structlog

from mplog._worker import chain
from mplog._worker.bound import BoundLogger

__all__ = ["BoundLogger", "adopt", "configure_structlog", "get_logger"]


def get_logger(name: str | None = None, **values: Any) -> BoundLogger:
    """Return a structlog logger that writes straight into this process's journal.

    Runs in a worker, before or after `setup`. Its events are records of the same form as those of `logging`,
    and obey the level of the `logging.Logger` of the same name. No configuration is needed:
    ``mplog.get_logger().info("job done", job=4)``. Without a session events go to the handlers of `logging`.

    Args:
        name: the logger's name; None for the name of the calling module.
        values: fields to bind.
    """
    if name is None:
        name = _module_of(sys._getframe(1))
    return BoundLogger(logging.getLogger(name), chain.CHAIN, values)


def configure_structlog(processors: Iterable[Any] | str = ()) -> None:
    """Let `structlog.get_logger` give loggers like those of `get_logger`, with the application's processors.

    Runs in the parent, before or after `setup`; loggers that exist already follow. Bound context variables,
    level, time, place and exceptions need no processor, and rendering is the listener's business. Children
    do the same by themselves, unless structlog is configured there: the names of the processors travel.

    Args:
        processors: the application's own steps, each a callable or ``"package.module:name"``; or the name, in
            this form, of a list of them or of a function that returns one. Lambdas and instances have no name
            of their own: give these in a named list.

    Raises:
        TypeError: a step is neither a callable nor a name.
    """
    if not isinstance(processors, str):
        processors = list(processors)
    for step in [processors] if isinstance(processors, str) else processors:
        if not (callable(step) or (isinstance(step, str) and step.partition(":")[2])):
            raise TypeError(f"`processors` holds {step!r}; use callables, or 'package.module:name'.")
    chain.configure(processors)
    structlog.configure(
        processors=chain.CHAIN,
        wrapper_class=BoundLogger,
        context_class=dict,
        logger_factory=_factory,
        cache_logger_on_first_use=False,
    )


def adopt(names: list[str | None] | str) -> None:
    """Configure structlog in a child as in its parent, unless it is configured there. Never raises.

    Args:
        names: what `chain.configure` left for it.
    """
    from mplog.worker import warn

    try:
        if structlog.is_configured():
            return
        if isinstance(names, str):
            configure_structlog(names)
            return
        configure_structlog([name for name in names if name is not None])
        if None in names:
            warn(
                f"{names.count(None)} of {len(names)} processors have no name by which this process could "
                "find them; give `configure_structlog` the name of the list, as 'package.module:name'."
            )
    except Exception as error:  # the child must live, with structlog as it is
        warn(f"structlog could not be configured ({type(error).__name__}: {error}).")


def _factory(*args: Any) -> logging.Logger:
    """Return the `logging.Logger` of a structlog logger: of the name given, or of the module that logs."""
    return logging.getLogger(str(args[0]) if args and args[0] else _module_of(sys._getframe(1)))


def _module_of(frame: FrameType | None) -> str:
    """Return the name of the module that runs in a frame, past structlog's and ours."""
    while frame is not None:
        name: str = frame.f_globals.get("__name__") or "?"
        if not name.startswith(("structlog.", "mplog.")) and name not in ("structlog", "mplog"):
            return name
        frame = frame.f_back
    return ""
