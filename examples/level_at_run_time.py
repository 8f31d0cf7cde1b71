"""Turn DEBUG on in one running worker, for a second; it goes back by itself.

    before: INFO
    meanwhile: DEBUG, INFO of worker-2 only
    afterwards: nothing but INFO again

The same from another terminal: ``mplog level debug level_at_run_time.json --process worker-2 --for 1s``.
"""

import json
import logging
import multiprocessing
import sys
import time

import mplog

log = logging.getLogger("app.db")


def work(stop):
    log.info("begin")
    while not stop.is_set():
        log.debug("a detail")
        time.sleep(0.01)
    log.info("end")


def read(session):
    session.flush()
    with open(session.file) as file:
        return [record for record in map(json.loads, file) if record["logger"] == "app.db"]


def wait(until):
    deadline = time.monotonic() + 10
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def levels(records):
    return ", ".join(sorted({record["level"] for record in records}))


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("level_at_run_time.json", console=False) as session:
        stop = context.Event()
        workers = [context.Process(target=work, args=(stop,), name=f"worker-{n}") for n in (1, 2)]
        for worker in workers:
            worker.start()
        wait(lambda: len(read(session)) == 2)
        print("before:", levels(read(session)))

        session.set_level("DEBUG", logger="app.db", process="worker-2", duration=1.0)
        wait(lambda: "DEBUG" in levels(read(session)))
        chatty = {record["process"] for record in read(session) if record["level"] == "DEBUG"}
        print("meanwhile:", levels(read(session)), "of", *chatty, "only")

        time.sleep(1.5)
        asked = len(read(session))
        time.sleep(0.3)
        stop.set()
        for worker in workers:
            worker.join()
        print("afterwards: nothing but", levels(read(session)[asked:]), "again")
