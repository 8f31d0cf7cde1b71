"""Celery: the worker's, the tasks' and the application's records in the one log. Runs in Celery's processes.

In the module of the app, so that the children of a spawned pool import it, too::

    app = Celery("jobs", broker=...)
    connect("/var/log/jobs.log")

Every process of the worker joins the session of that file, whichever comes first starts it.
"""

from __future__ import annotations

import logging
from typing import Any

import mplog

__all__ = ["connect"]


def connect(file: str, **settings: Any) -> None:
    """Let Celery leave logging alone, and attach its processes to the session of a log file.

    Nothing happens until a Celery worker sets up its logging: a process that only sends tasks is not touched.

    Args:
        file: the log file.
        settings: more arguments for `mplog.setup`.

    Raises:
        ImportError: there is no Celery.
    """
    from celery import signals

    def attach(**_: Any) -> None:
        mplog.setup(file, **settings)

    # Whoever is connected to `setup_logging` is all there is: Celery then configures nothing (celery.app.log).
    signals.setup_logging.connect(attach, weak=False, dispatch_uid="mplog")
    signals.worker_process_init.connect(attach, weak=False, dispatch_uid="mplog")
    signals.celeryd_after_setup.connect(_propagate, weak=False, dispatch_uid="mplog")
    signals.worker_process_init.connect(_propagate, weak=False, dispatch_uid="mplog-propagate")


def _propagate(**_: Any) -> None:
    """Let the records of tasks come to the root logger."""
    for name in ("celery", "celery.task", "celery.redirected"):
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.handlers.clear()
