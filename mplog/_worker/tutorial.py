"""The `multiprocessing` logger through mplog, in this process and its children. Runs in a worker."""

from __future__ import annotations

import logging

from mplog import worker
from mplog._parent.parse import parse_level


def show(level: int | str | None) -> logging.Logger:
    """Send the records of the `multiprocessing` logger to this process's journal; return that logger.

    The level travels to children without mplog: `multiprocessing` gives that of its logger to those it spawns.
    """
    from multiprocessing import util

    logger = util.get_logger()
    if not any(isinstance(handler, worker.WorkerHandler) for handler in logger.handlers):
        handler = worker.WorkerHandler()
        logger.addHandler(handler)
        worker.undoing.append(lambda: logger.removeHandler(handler))
    if level is not None:
        before = logger.level
        logger.setLevel(parse_level(level))
        worker.undoing.append(lambda: logger.setLevel(before))
    return logger
