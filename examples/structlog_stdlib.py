"""Keep the structlog set-up you have, with `ProcessorFormatter.wrap_for_formatter`: workers ship the whole event.

    3 events of structlog, 1 record of logging, one form
"""

import json
import logging
import multiprocessing
import sys

import structlog

import mplog


def configure():
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def work(number):
    structlog.get_logger("app.jobs").info("done", number=number, parts={"a": [1, 2]})


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    with mplog.setup("structlog_stdlib.json", console=False), context.Pool(2, initializer=configure) as pool:
        pool.map(work, range(3))
        logging.getLogger("app").info("from logging")

    with open("structlog_stdlib.json") as file:
        records = [json.loads(line) for line in file]
    events = [record for record in records if record["msg"] == "done" and record["parts"] == {"a": [1, 2]}]
    keys = {tuple(list(record)[:11]) for record in records}
    rest = len(records) - len(events)
    print(f"{len(events)} events of structlog, {rest} record of logging, {'one form' if len(keys) == 1 else keys}")
