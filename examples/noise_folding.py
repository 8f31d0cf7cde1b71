"""Fold what many processes say alike into one line on the console; the file has every record.

    WARNING the disk is nearly full
    WARNING the disk is nearly full .. x 8 in 4 processes
"""

import logging
import multiprocessing
import sys

import mplog


def work(barrier):
    barrier.wait()
    for _ in range(2):
        logging.getLogger("disk").warning("the disk is nearly full")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("noise_folding.json", console="stdout", format="%(levelname)s %(message)s", fold=True):
        barrier = multiprocessing.Barrier(4)
        workers = [multiprocessing.Process(target=work, args=(barrier,)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
