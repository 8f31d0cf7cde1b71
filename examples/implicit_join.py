"""Let the parent come to its end: `multiprocessing` joins the children then, and mplog waits for what they log.

    MainProcess: nothing more to do here
    Process-1: still at work
    Process-2: still at work

No `with` and no `close`: a session also ends when its program does.
"""

import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger(__name__)


def work():
    log.info("still at work")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    mplog.setup("implicit_join.log", console="stdout", format="%(processName)s: %(message)s")
    for _ in range(2):
        multiprocessing.Process(target=work).start()
    log.info("nothing more to do here")
