"""See what `multiprocessing` does: its own log, as its `log_to_stderr` shows it, but never two lines mixed.

    [WARNING/MainProcess] doomed
    [INFO/Process-1] child process calling self.run()
    [INFO/Process-1] process shutting down
    [INFO/Process-1] process exiting with exitcode 0
    [INFO/Process-2] child process calling self.run()
    [INFO/Process-2] process shutting down
    [INFO/Process-2] process exiting with exitcode 0
    [INFO/MainProcess] process shutting down

On stderr. `mplog.log_to_stderr` takes the place of `multiprocessing.log_to_stderr`.
"""

import logging
import multiprocessing
import sys

import mplog


def work():
    pass


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    logger = mplog.log_to_stderr()
    logger.setLevel(logging.INFO)
    logger.warning("doomed")
    children = [multiprocessing.Process(target=work) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
