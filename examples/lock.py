"""Pass a lock to the children; one made at module level would be a different one in each.

    MainProcess: the balance is 0
    Process-1: paid in 500
    Process-2: paid in 500
    MainProcess: the balance is 1000

Under spawn and forkserver a child imports this module again. A `Lock()` up here would be made anew in every child,
and protect nothing; so would it in the parent. What is passed as an argument is the same lock in all of them. For
the log no lock is needed: every process has a journal of its own.
"""

import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger(__name__)


def pay_in(lock, balance):
    for _ in range(500):
        with lock:
            balance.value += 1
    log.info("paid in 500")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("lock.log", console="stdout", format="%(processName)s: %(message)s"):
        lock = multiprocessing.Lock()
        balance = multiprocessing.Value("i", 0, lock=False)
        log.info("the balance is %d", balance.value)
        children = [multiprocessing.Process(target=pay_in, args=(lock, balance)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        log.info("the balance is %d", balance.value)
