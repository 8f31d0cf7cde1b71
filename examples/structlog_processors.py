"""Put processors of your own in front of the journal; the workers run them, too.

    hello from SHOUT! in the parent
    hello from SHOUT! in a child
    seen by 2 processes
"""

import json
import multiprocessing
import sys

import structlog

import mplog

log = structlog.get_logger("app")


def shout(logger, method, event):
    """Change the event."""
    return {**event, "event": event["event"].replace("here", "SHOUT!")}


def drop_noise(logger, method, event):
    """Drop it."""
    if event.get("noise"):
        raise structlog.DropEvent
    return event


PROCESSORS = [shout, drop_noise, lambda logger, method, event: {**event, "lambda": "works, in a list with a name"}]


def greet(where):
    log.info("hello from here", where=where)
    log.info("nobody sees this", noise=True)


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    mplog.configure_structlog("__main__:PROCESSORS")  # by its name: children import it
    with mplog.setup("structlog_processors.json", console=False):
        greet("in the parent")
        child = context.Process(target=greet, args=("in a child",))
        child.start()
        child.join()

    with open("structlog_processors.json") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        print(record["msg"], record["where"])
    print(f"seen by {len({record['pid'] for record in records})} processes")
