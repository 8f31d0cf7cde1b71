"""Log less: one record in ten, three a second, and DEBUG only where something went wrong.

    INFO step 0 of 30
    INFO step 10 of 30 (9 left out)
    INFO step 20 of 30 (9 left out)
    INFO no answer, trying again
    DEBUG reading row 98
    DEBUG reading row 99
    ERROR row 99 is broken
    WARNING Sample left out 9 records at the end
    WARNING RateLimit left out 4 records at the end
"""

import json
import logging
import multiprocessing
import sys

import mplog
from mplog.filters import DebugRing, RateLimit, Sample

SAMPLE, LIMIT, RING = Sample(0.1), RateLimit(0.1), DebugRing(2)


def work():
    RING.attach()
    logging.getLogger("steps").addFilter(SAMPLE)
    logging.getLogger("net").addFilter(LIMIT)
    for step in range(30):
        logging.getLogger("steps").info("step %d of 30", step)
    for _ in range(5):
        logging.getLogger("net").info("no answer, trying again")
    for row in range(100):
        logging.getLogger("rows").debug("reading row %d", row)
    logging.getLogger("rows").error("row 99 is broken")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("noise_filters.json", level="DEBUG", console=False):
        worker = multiprocessing.Process(target=work)
        worker.start()
        worker.join()
    with open("noise_filters.json") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        if record["logger"] in ("steps", "net", "rows", "mplog.filters"):
            left_out = record.get("left_out") if record["logger"] in ("steps", "net") else None
            print(record["level"], record["msg"] + (f" ({left_out} left out)" if left_out else ""))
