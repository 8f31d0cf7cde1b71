"""Death certificates: one record for a process that ended without a goodbye, none that cries wolf."""

import pytest

PROGRAM = """
    import ctypes
    import logging
    import multiprocessing
    import os
    import signal
    import sys
    import time

    import mplog

    def work(way):
        for number in range(5):
            logging.info("%s %d", way, number)
        if way == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        elif way == "SIGSEGV":
            ctypes.string_at(0)
        elif way == "exit 3":
            os._exit(3)
        elif way == "exit 0":
            os._exit(0)
        elif way == "raise":
            sys.stderr = open(os.devnull, "w")
            raise ValueError(way)
        elif way == "sys.exit":
            sys.exit(4)
        elif way == "terminated":
            time.sleep(60)

    WAYS = ("SIGKILL", "SIGSEGV", "exit 3", "exit 0", "raise", "sys.exit", "return")

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False, level=sys.argv[2]) as session:
            for way in (*WAYS, "terminated"):
                process = multiprocessing.Process(target=work, args=(way,), name=way)
                process.start()
                if way == "terminated":
                    while b"terminated 4" not in open("app.json", "rb").read():
                        time.sleep(0.01)
                    process.terminate()
                process.join()
            with multiprocessing.Pool(2) as pool:
                pool.map(work, ["pool"] * 4)
"""


@pytest.mark.skipif("sys.platform != 'linux'")
def test_who_died_and_of_what(program, read_log, tmp_path, start_method):
    """Name, exit code or signal, how it is known, records, the last one; nothing about who ended in order."""
    program(PROGRAM, start_method, "INFO")
    log = [record for record in read_log(tmp_path / "app.json", own=True) if record.get("event") in ("died", "ended")]
    died = {record["died_process"]: record for record in log}
    assert set(died) == {"SIGKILL", "SIGSEGV", "exit 3"}
    assert len(log) == 3
    assert {name: record["exitcode"] for name, record in died.items()} == {"SIGKILL": -9, "SIGSEGV": -11, "exit 3": 3}
    for name, record in died.items():
        assert record["level"] == "ERROR"
        assert record["event"] == "died"
        assert record["records"] == record["last_seq"] == 5
        assert record["last_msg"] == f"{name} 4"
        assert record["known_by"] in ("the kernel (/proc)", "its parent")
    assert died["SIGKILL"]["signal"] == "SIGKILL"
    assert died["exit 3"]["signal"] is None
    assert died["SIGKILL"]["msg"].endswith("died: SIGKILL (signal 9) after 5 records; last: SIGKILL 4")


@pytest.mark.skipif("sys.platform != 'linux'")
def test_ordinary_ends_at_level_debug(program, read_log, tmp_path):
    """Who said goodbye, ended with 0 or was told to end has ended; that is said at level DEBUG."""
    program(PROGRAM, "fork", "DEBUG")
    log = [record for record in read_log(tmp_path / "app.json", own=True) if record.get("event") == "ended"]
    assert all(record["level"] == "DEBUG" for record in log)
    ended = {record["died_process"] for record in log}
    assert ended >= {"exit 0", "raise", "sys.exit", "return", "terminated", "MainProcess"}


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_dump_of_faulthandler_is_in_it(program, read_log, tmp_path):
    """With `capture=["faulthandler"]` the certificate shows where the process was."""
    program(
        """
        import ctypes, logging, multiprocessing, mplog

        def crash_here():
            logging.info("before")
            ctypes.string_at(0)

        if __name__ == "__main__":
            multiprocessing.set_start_method("fork")
            with mplog.setup("app.json", console=False, capture=["faulthandler"]):
                process = multiprocessing.Process(target=crash_here)
                process.start()
                process.join()
        """
    )
    died = [record for record in read_log(tmp_path / "app.json", own=True) if record.get("event") == "died"]
    assert len(died) == 1
    assert "crash_here" in died[0]["faulthandler"]
