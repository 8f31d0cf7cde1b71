"""Show how far each worker is: bars below the log lines on a terminal, lines in the log elsewhere.

    MainProcess: 3 workers, 90 pictures
    MainProcess: done
"""

import logging
import multiprocessing
import sys
import time

import mplog

log = logging.getLogger(__name__)


def resize(part):
    for number in mplog.track(range(30), f"resizing part {part}"):
        time.sleep(0.02)
        log.debug("picture %d", number)


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("progress_track.log", console="stdout", format="%(processName)s: %(message)s"):
        log.info("3 workers, 90 pictures")
        with multiprocessing.Pool(3) as pool:
            pool.map(resize, range(3))
        log.info("done")
