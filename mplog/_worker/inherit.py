"""How children attach by themselves under spawn and forkserver, where nothing is inherited but what is pickled.

`multiprocessing` copies ``current_process()._config`` into every process object and pickles it. An `Inheritance` in
it attaches when it is unpickled in the child: after ``__main__`` was imported again, before the target's module is.
A class pickled by reference would kill the child wherever mplog cannot be imported, so it is pickled as an expression
that guards itself and leaves behind, in such a child, something that its children inherit just the same.
"""

from __future__ import annotations

import os
from typing import Any

KEY = "mplog"
PROCESSORS = "mplog_structlog"
"""Beside it: what `configure_structlog` was given, by name (see `chain`)."""

_SOURCE = """(lambda scope: (exec('''
try:
    from mplog._worker.inherit import revive
    result = revive(handle)
except Exception:
    result = type("Carrier", (), {"__reduce__": lambda self: (eval, (source, {"source": source, "handle": handle}))})()
''', scope), scope["result"])[1])({"source": source, "handle": handle})"""


class Inheritance:
    """The session's handle, on its way to the children."""

    def __init__(self, handle: dict[str, Any]) -> None:
        self.handle = handle

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a guarded expression; with it go the names of structlog's processors, if any."""
        handle = self.handle | {"structlog": processors_here()}
        return (eval, (_SOURCE, {"source": _SOURCE, "handle": handle}))


def revive(handle: dict[str, Any]) -> Inheritance:
    """Attach if this is a new process. Runs in a child, while its process object is unpickled; never raises."""
    if handle["pid"] != os.getpid() and os.environ.get("MPLOG_AUTO") != "0":
        from mplog import worker

        try:
            here = worker.Handle(*handle["session"])
            worker.install(here, here.config(), worker.INHERITED)
            if handle.get("structlog") is not None:
                from mplog import processors

                processors.adopt(handle["structlog"])
            if "multiprocessing" in handle:
                from mplog._worker import tutorial

                tutorial.show(None)
        except Exception as error:
            worker.warn(f"this process could not attach ({type(error).__name__}: {error}); logging goes on as before.")
    return Inheritance({**handle, "pid": os.getpid()})


def arm(session: tuple[Any, ...]) -> None:
    """Make all children of this process attach, also those whose process object exists already."""
    _give(Inheritance({"session": session, "pid": os.getpid()}))


def carry(name: str) -> None:
    """Make all children that attach by themselves find `name` in what they inherit."""
    from multiprocessing import process

    inheritance = process.current_process()._config.get(KEY)  # type: ignore[attr-defined]
    if isinstance(inheritance, Inheritance):
        _give(Inheritance({**inheritance.handle, name: True}))


def processors_here() -> Any:
    """Return the names of the structlog processors that this process was given, or None."""
    from multiprocessing import process

    return process.current_process()._config.get(PROCESSORS)  # type: ignore[attr-defined]


def _give(inheritance: Inheritance) -> None:
    from multiprocessing import process

    process.current_process()._config[KEY] = inheritance  # type: ignore[attr-defined]
    for child in list(process._dangling):  # type: ignore[attr-defined]
        child._config[KEY] = inheritance


def disarm() -> None:
    """Let later children go without."""
    from multiprocessing import process

    process.current_process()._config.pop(KEY, None)  # type: ignore[attr-defined]
    for child in list(process._dangling):  # type: ignore[attr-defined]
        child._config.pop(KEY, None)
