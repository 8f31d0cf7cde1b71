"""Carry the context with a function, into any executor, thread or process; structlog sees the same fields.

    executor  job=7 step=load
    thread    job=7 step=load
    process   job=7
    process   job=-
"""

import json
import multiprocessing
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import structlog

import mplog


@mplog.context(step="load")
def load(executor):
    """Every record of this function, and of the work it gives away, has `step`."""
    executor.submit(mplog.with_context(work), "executor").result()
    thread = threading.Thread(target=mplog.with_context(work), args=("thread",))
    thread.start()
    thread.join()


def work(where):
    mplog.get_logger("app").info("working", where=where)


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("context_function.json", console=False):
        structlog.contextvars.bind_contextvars(job=7)  # the same as mplog.bind(job=7)
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            load(executor)
        for target in (mplog.with_context(work), work):
            process = context.Process(target=target, args=("process",))
            process.start()
            process.join()

    with open("context_function.json") as file:
        for record in map(json.loads, file):
            step = f" step={record['step']}" if "step" in record else ""
            print(f"{record['where']:9} job={record.get('job', '-')}{step}")
