"""Log structlog events from the workers of a pool: nothing to configure, in the parent or in the workers.

    INFO     halves  job=4 half=2.0
    INFO     halves  job=6 half=3.0
    WARNING  odd     job=7
    INFO     done    jobs=3
"""

import json
import multiprocessing
import sys

import mplog

log = mplog.get_logger("app.jobs")


def work(job):
    bound = log.bind(job=job)
    if job % 2:
        bound.warning("odd")
    else:
        bound.info("halves", half=job / 2)


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("structlog_workers.json", console=False), context.Pool(1) as pool:
        pool.map(work, [4, 6, 7])
        log.info("done", jobs=3)

    with open("structlog_workers.json") as file:
        for record in map(json.loads, file):
            names = list(record)[list(record).index("seq") + 1 :]
            print(f"{record['level']:8} {record['msg']:7}", *(f"{name}={record[name]}" for name in names))
