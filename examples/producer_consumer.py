"""Hand things from a producer to a consumer through a Queue; a sentinel ends it.

    producer: baked bread
    producer: baked cake
    producer: baked pie
    producer: closed
    consumer: ate bread
    consumer: ate cake
    consumer: ate pie
    consumer: full
"""

import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger(__name__)
DONE = None


def produce(queue):
    for thing in ("bread", "cake", "pie"):
        log.info("baked %s", thing)
        queue.put(thing)
    log.info("closed")
    queue.put(DONE)


def consume(queue):
    for thing in iter(queue.get, DONE):
        log.info("ate %s", thing)
    log.info("full")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("producer_consumer.log", console="stdout", format="%(processName)s: %(message)s"):
        queue = multiprocessing.Queue()
        children = [
            multiprocessing.Process(target=produce, args=(queue,), name="producer"),
            multiprocessing.Process(target=consume, args=(queue,), name="consumer"),
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
