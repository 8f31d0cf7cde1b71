"""The `multiprocessing` logger through mplog, in this process and its children. Runs in a worker."""

from __future__ import annotations

import logging
from typing import Any

from mplog._parse import parse_level


def show(level: int | str | None) -> logging.Logger:
    """Let the records of the `multiprocessing` logger reach mplog's handler; return that logger."""
    from multiprocessing import util

    logger: Any = util.get_logger()
    logger.propagate = True
    if level is not None:
        logger.setLevel(parse_level(level))
    # What `multiprocessing` itself asks before it makes its children log, too.
    util._log_to_stderr = True  # type: ignore[attr-defined]
    return logger  # type: ignore[no-any-return]
