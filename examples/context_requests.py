"""Let the id of a request stand in every record of the work that is done for it, in whichever process.

    request=r1 user=eve   parent  accepted
    request=r1 user=eve   worker  resizing 1.png
    request=r1 user=eve   worker  resizing 2.png
    request=r2 user=adam  parent  accepted
    request=r2 user=adam  worker  resizing 3.png
    request=-  user=-     worker  cleaning up
"""

import json
import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger("app")


def resize(name):
    log.info("resizing %s", name)


def clean_up():
    log.info("cleaning up")


def handle(pool, names):
    log.info("accepted")
    pool.map(resize, names)


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("context_requests.json", console=False):
        with mplog.with_context(context.Pool(1)) as pool:  # the one line
            with mplog.context(request="r1", user="eve"):
                handle(pool, ["1.png", "2.png"])
            with mplog.context(request="r2", user="adam"):
                handle(pool, ["3.png"])
            pool.apply(clean_up)

    with open("context_requests.json") as file:
        for record in map(json.loads, file):
            where = "parent" if record["process"] == "MainProcess" else "worker"
            who = f"request={record.get('request', '-'):2} user={record.get('user', '-'):5}"
            print(f"{who} {where}  {record['msg']}")
