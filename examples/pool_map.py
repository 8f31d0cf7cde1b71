"""Spread work over a Pool with `map`.

    MainProcess: [1, 4, 9, 16, 25]
    PoolWorker: squaring 1
    PoolWorker: squaring 2
    PoolWorker: squaring 3
    PoolWorker: squaring 4
    PoolWorker: squaring 5

The workers attach by themselves; `initializer=session.attach` says the same aloud, and is needed only with
`auto_attach=False`.
"""

import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger(__name__)


def square(number):
    log.info("squaring %d", number)
    return number * number


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    session = mplog.setup("pool_map.log", console="stdout", format="%(processName)s: %(message)s")
    with session, multiprocessing.Pool(3, initializer=session.attach) as pool:
        log.info(pool.map(square, [1, 2, 3, 4, 5]))
