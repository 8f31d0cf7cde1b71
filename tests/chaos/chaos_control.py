"""The control: what the standard library's QueueHandler on a multiprocessing.Queue loses under the same deaths."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

RECORDS = 1000


class Count(logging.Handler):
    """Count the records that arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def work(queue: Any, end: Callable[[], Any]) -> None:
    """Log a thousand records into the queue, then die."""
    logger = logging.getLogger("control")
    logger.handlers = [logging.handlers.QueueHandler(queue)]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for n in range(RECORDS):
        logger.info("n 0 %d %s", n, "x" * 60)
    end()


def lost(end: Callable[[], Any], times: int = 3) -> float:
    """Return the share of records whose logging call had returned and that never arrived."""
    context = multiprocessing.get_context("fork")
    arrived = 0
    for _ in range(times):
        queue = context.Queue()
        handler = Count()
        listener = logging.handlers.QueueListener(queue, handler)
        listener.start()
        process = context.Process(target=work, args=(queue, end))
        process.start()
        process.join()
        before = -1
        while handler.count != before:
            before = handler.count
            time.sleep(0.1)
        arrived += handler.count
        # The listener's thread may hang in half a record: it is left behind with its queue.
        listener._thread = None
        queue.close()
    return round(1 - arrived / (RECORDS * times), 3)


def main() -> dict[str, float]:
    """Return the loss for each way to die."""
    return {
        "SIGKILL": lost(lambda: os.kill(os.getpid(), signal.SIGKILL)),
        "os._exit": lost(lambda: os._exit(3)),
        "SIGTERM": lost(lambda: os.kill(os.getpid(), signal.SIGTERM)),
        "SIGSEGV": lost(lambda: os.kill(os.getpid(), signal.SIGSEGV)),
    }


if __name__ == "__main__":
    import json

    print(json.dumps(main()))
    os._exit(0)
