"""`Logger._log` without a LogRecord, where nobody would notice the difference. Runs in a worker.

The standard library spends two thirds of a call on building the record and finding the caller. Where mplog's handler
is the only one that would see the record, and no filter, factory or subclass asks for it, the line is built from a
template kept for each call site. Everywhere else the call goes the standard way.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mplog.worker import Worker, WorkerHandler


def install(worker: Worker, handler: WorkerHandler | None) -> None:
    """Take the short way in this process from now on."""


def uninstall() -> None:
    """Take the standard way again."""


def forget() -> None:
    """Forget what is true of the parent only. Runs in a forked child."""
