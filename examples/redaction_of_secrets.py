"""Keep secrets out of the log: they are taken out in the process that logs, before anything is written.

    login of eve with password=[redacted]
    paid with [redacted] {'api_token': '[redacted]', 'amount': 12}
    ValueError: bad key: [redacted]
"""

import json
import logging
import multiprocessing
import sys

import mplog

log = logging.getLogger("app")


def work():
    log.info("login of %s with password=%s", "eve", "hunter2")
    mplog.get_logger("app").info("paid with 4111-1111-1111-1111", order={"api_token": "s3cret", "amount": 12})
    try:
        raise ValueError("bad key: sk-12345")
    except ValueError:
        log.exception("failed")


if __name__ == "__main__":
    context = multiprocessing.get_context(*sys.argv[1:] or ["spawn"])
    rules = ["password", "token", r"re:\b(?:\d{4}-){3}\d{4}\b", r"re:\bsk-\w+"]
    with mplog.setup("redaction_of_secrets.json", console=False, redact=rules):
        child = context.Process(target=work)
        child.start()
        child.join()

    with open("redaction_of_secrets.json") as file:
        for record in map(json.loads, file):
            if "exc" in record:
                print(f"{record['exc']['type']}: {record['exc']['message']}")
            else:
                print(record["msg"], record.get("order", ""))
