"""Workers that die without a word."""

import pytest

PROGRAM = """
    import ctypes
    import logging
    import multiprocessing
    import os
    import signal
    import sys

    import mplog

    ENDS = {
        "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "_exit": lambda: os._exit(0),
        "SIGSEGV": lambda: ctypes.string_at(0),
        "abort": os.abort,
    }

    def work(end):
        log = logging.getLogger("app")
        for number in range(1000):
            log.info("record %d", number)
        if end in ENDS:
            ENDS[end]()

    if __name__ == "__main__":
        method, end = sys.argv[1:]
        multiprocessing.set_start_method(method)
        with mplog.setup("app.json", console=False):
            if end == "terminate":
                with multiprocessing.Pool(1) as pool:
                    pool.apply(work, (end,))
                    pool.terminate()
            else:
                child = multiprocessing.Process(target=work, args=(end,))
                child.start()
                child.join()
                print(child.exitcode)
"""


@pytest.mark.parametrize("end", ["SIGKILL", "_exit", "SIGSEGV", "abort", "terminate"])
def test_a_worker_that_dies_loses_nothing(program, read_log, tmp_path, start_method, end):
    """A worker that logs 1,000 records and dies: 1,000 in the file."""
    program(PROGRAM, start_method, end)
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log] == [f"record {number}" for number in range(1000)]
