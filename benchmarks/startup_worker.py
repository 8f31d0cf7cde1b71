"""A worker that has imported what every spawned worker has, and nothing more; it times what mplog adds.

Runs in a fresh process started by `startup`: the session's handle, pickled, on stdin; milliseconds on stdout.
"""

import logging
import multiprocessing.spawn  # noqa: F401 -- part of every spawned worker, so not counted
import pickle
import sys
import time


def main() -> None:
    """Import, attach, log; print how long each took."""
    handle = sys.stdin.buffer.read()
    marks = [time.perf_counter()]
    attach = pickle.loads(handle)  # imports mplog
    marks.append(time.perf_counter())
    attach()
    marks.append(time.perf_counter())
    logging.getLogger("app").info("the first record of %s", "a worker")
    marks.append(time.perf_counter())
    sys.modules["mplog"].get_logger("app").info("the first event", of="a worker")  # imports structlog
    marks.append(time.perf_counter())
    # Imported here, not above, where they would be a present to the import that is timed.
    import json
    from itertools import pairwise

    steps = ("import", "attach", "first_record", "get_logger")
    durations = [1000 * (after - before) for before, after in pairwise(marks)]
    print(json.dumps(dict(zip(steps, durations, strict=True))))


if __name__ == "__main__":
    main()
