"""Log beside a bar of tqdm: on a terminal each line appears above the bar, whole, whichever process logs it.

    PoolWorker: the square of 0 is 0
    PoolWorker: the square of 1 is 1
    PoolWorker: the square of 2 is 4
    PoolWorker: the square of 3 is 9
    MainProcess: done
"""

import logging
import multiprocessing
import sys
import time

from tqdm import tqdm

import mplog

log = logging.getLogger(__name__)


def square(number):
    time.sleep(0.1)
    log.info("the square of %d is %d", number, number * number)


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("progress_tqdm.log", console="stdout", format="%(processName)s: %(message)s"):
        with multiprocessing.Pool(1) as pool:
            for _ in tqdm(pool.imap(square, range(4)), total=4):
                pass
        log.info("done")
