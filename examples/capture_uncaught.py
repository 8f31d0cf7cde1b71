"""See exceptions that nobody caught, with the process they ended.

    Worker-1: uncaught ValueError: Worker-1 ends (no such order, from work)
    Worker-2: uncaught ZeroDivisionError in thread counter (division by zero, from count)
"""

import json
import multiprocessing
import sys
import threading

import mplog


def work():
    raise ValueError("no such order")


def count():
    return 1 / 0


def work_in_a_thread():
    thread = threading.Thread(target=count, name="counter")
    thread.start()
    thread.join()


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    # "stderr", too: Python's own tracebacks would be the same exceptions once more.
    with mplog.setup("capture_uncaught.json", console=False, capture=("exceptions", "stderr")):
        for name, target in (("Worker-1", work), ("Worker-2", work_in_a_thread)):
            worker = multiprocessing.Process(target=target, name=name)
            worker.start()
            worker.join()
    with open("capture_uncaught.json") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        if record["logger"] == "mplog.uncaught":
            exc = record["exc"]
            print(f"{record['process']}: {record['msg']} ({exc['message']}, from {exc['frames'][-1]['func']})")
