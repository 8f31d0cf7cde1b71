"""Write one log file from many processes: each line whole, in time order, none lost.

    4000 lines of 4 processes, all whole
"""

import json
import logging
import multiprocessing
import sys

import mplog


def work(number):
    log = logging.getLogger(f"worker.{number}")
    for step in range(1000):
        log.info("step %d of %d", step, 1000, extra={"worker": number})


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("one_file.json", console=False):
        children = [multiprocessing.Process(target=work, args=(number,)) for number in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    with open("one_file.json") as file:
        records = [json.loads(line) for line in file]
    steps = {(record["worker"], record["msg"]) for record in records}
    print(f"{len(steps)} lines of {len({record['pid'] for record in records})} processes, all whole")
