"""Ask a Pool for results with `apply_async`, and wait for each only so long.

    PoolWorker: dividing 84 by 2
    MainProcess: the result is 42
    PoolWorker: dividing 84 by 0
    MainProcess: no result: division by zero
    PoolWorker: waiting for what never comes
    MainProcess: no result within 0.5 s
"""

import logging
import multiprocessing
import sys
import threading

import mplog

log = logging.getLogger(__name__)


def divide(number, divisor):
    log.info("dividing %d by %d", number, divisor)
    return number / divisor


def wait():
    log.info("waiting for what never comes")
    threading.Event().wait()


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    session = mplog.setup("apply_async.log", console="stdout", format="%(processName)s: %(message)s")
    with session, multiprocessing.Pool(2) as pool:
        log.info("the result is %d", pool.apply_async(divide, (84, 2)).get(timeout=30))
        try:
            pool.apply_async(divide, (84, 0)).get(timeout=30)
        except ZeroDivisionError as error:
            log.info("no result: %s", error)
        # `with` ends the pool by SIGTERM: what the worker logged before is in the log all the same.
        try:
            pool.apply_async(wait).get(timeout=0.5)
        except multiprocessing.TimeoutError:
            log.info("no result within 0.5 s")
