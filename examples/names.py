"""Give processes names; every record carries the name of its process.

    MainProcess: two workers, one with a name
    postman: delivering
    Process-2: who am I?
    MainProcess: postman ended with 0, Process-2 ended with 0
"""

import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger(__name__)


def deliver():
    log.info("delivering")


def wonder():
    log.info("who am I?")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("names.log", console="stdout", format="%(processName)s: %(message)s"):
        log.info("two workers, one with a name")
        named = multiprocessing.Process(target=deliver, name="postman")
        unnamed = multiprocessing.Process(target=wonder)
        for child in (named, unnamed):
            child.start()
        for child in (named, unnamed):
            child.join()
        log.info("%s ended with %d, %s ended with %d", named.name, named.exitcode, unnamed.name, unnamed.exitcode)
