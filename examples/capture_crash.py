"""Read what a worker said before it crashed, and where it was.

    the worker said: about to read, half a li
    its certificate: SIGSEGV
    and where it was: in crash, in work
"""

import ctypes
import json
import multiprocessing
import re
import sys

import mplog


def crash():
    ctypes.string_at(0)


def work():
    print("about to read")
    print("half a li", end="")
    crash()
    print("never printed")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup("capture_crash.json", console=False, capture=("stdout", "faulthandler")):
        worker = multiprocessing.Process(target=work)
        worker.start()
        worker.join()
    with open("capture_crash.json") as file:
        records = [json.loads(line) for line in file]
    said = [record["msg"] for record in records if record["logger"] == "stdout"]
    [certificate] = [record for record in records if record.get("event") == "died"]
    stack = re.findall(r" in (crash|work)$", certificate["faulthandler"], re.MULTILINE)
    print("the worker said:", ", ".join(said))
    print("its certificate:", certificate["signal"])
    print("and where it was:", ", ".join(f"in {function}" for function in stack))
