"""The application's own structlog processors: run with care, and named so that children find them.

Runs in a worker. Processors do not travel to children: their names do, and are imported at the first event.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

Failed = Callable[[str, int, Exception], None]
"""Told a processor's name, how often it has failed, and the error."""

CHAIN: list[Any] = []
"""The processors of this process. Always this very list: loggers that exist already look into it."""

KEY = "mplog_structlog"
"""In multiprocessing's configuration of a process: the names, for the children."""
_failures: dict[str, int] = {}


class Dotted:
    """A processor, or a list of them, known by its name and imported at its first event.

    Its module may log as it is imported, or not be importable yet where the name is given.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: Any = None

    def __call__(self, logger: Any, method: str, event: Any) -> Any:
        """Do what the processor of that name does."""
        if self._found is None:
            self._found = _import(self.name)
        return self._found(logger, method, event)

    def __repr__(self) -> str:
        """Return the name."""
        return f"<processor {self.name}>"


class DottedList(Dotted):
    """A list of processors, or a function that returns one, known by its name."""

    def steps(self) -> list[Any]:
        """Return the processors.

        Raises:
            Exception: whatever importing them raises.
        """
        if self._found is None:
            value = _import(self.name)
            self._found = list(value() if callable(value) else value)
        return self._found  # type: ignore[no-any-return]


def configure(processors: Iterable[Any] | str) -> None:
    """Take these processors in place of those before, and leave their names for the children."""
    from multiprocessing import process

    _failures.clear()

    names: list[str | None] | str
    if isinstance(processors, str):
        names = processors
        CHAIN[:] = [DottedList(processors)]
    else:
        given = list(processors)
        names = [step if isinstance(step, str) else name_of(step) for step in given]
        CHAIN[:] = [Dotted(step) if isinstance(step, str) else step for step in given]
    # Every process object starts with a copy of this, under every start method.
    process.current_process()._config[KEY] = names  # type: ignore[attr-defined]


def run(steps: list[Any], logger: Any, method: str, event: Any, failed: Failed) -> Any:
    """Run an event through processors. One that raises costs its step alone; `structlog.DropEvent` passes.

    Each step gets a copy, so that one that fails leaves no half of its work.
    """
    import structlog

    for step in steps:
        try:
            if type(step) is DottedList:
                event = run(step.steps(), logger, method, event, failed)
            else:
                event = step(logger, method, dict(event) if isinstance(event, MutableMapping) else event)
        except structlog.DropEvent:
            raise
        except Exception as error:  # the application's own code
            name = step.name if isinstance(step, Dotted) else name_of(step) or type(step).__qualname__
            _failures[name] = count = _failures.get(name, 0) + 1
            failed(name, count, error)
    return event


def name_of(step: Any) -> str | None:
    """Return the name under which another process finds a processor, or None if there is none."""
    module, name = getattr(step, "__module__", None), getattr(step, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    dotted = f"{module}:{name}"
    try:
        return dotted if _import(dotted) is step else None
    except Exception:  # it is made where it is used, such as a bound method
        return None


def _import(dotted: str) -> Any:
    module, _, path = dotted.partition(":")
    target: Any = importlib.import_module(module)
    for part in path.split("."):
        target = getattr(target, part)
    return target
