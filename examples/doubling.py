"""Start processes that double numbers and say who they are.

    MainProcess: started by hand, process 4711
    Process-1: 1 doubled is 2 (process 4712, child of 4711)
    Process-2: 2 doubled is 4 (process 4713, child of 4711)
    Process-3: 3 doubled is 6 (process 4714, child of 4711)

The children have nothing to do with mplog but to log: they attach by themselves.
"""

import logging
import multiprocessing
import os
import sys

import mplog

log = logging.getLogger(__name__)


def double(number):
    log.info("%d doubled is %d (process %d, child of %d)", number, 2 * number, os.getpid(), os.getppid())


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("doubling.log", console="stdout", format="%(processName)s: %(message)s"):
        log.info("started by hand, process %d", os.getpid())
        children = [multiprocessing.Process(target=double, args=(number,)) for number in (1, 2, 3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
