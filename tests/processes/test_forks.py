"""Forks without `multiprocessing`: of Python, twice, and from C."""

import pytest

PROGRAM = """
    import ctypes
    import logging
    import os
    import sys

    import mplog

    fork = ctypes.CDLL(None).fork if sys.argv[1] == "C" else os.fork
    log = logging.getLogger("app")

    with mplog.setup("app.json", console=False):
        for number in range(5):
            log.info("parent %d", number)
        pid = fork()
        if pid == 0:
            for number in range(5):
                log.info("child %d", number)
            if fork() == 0:
                for number in range(5):
                    log.info("grandchild %d", number)
                os._exit(0)
            os.wait()
            os._exit(0)
        for number in range(5, 10):
            log.info("parent %d", number)
        os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("kind", ["os", "C"])
def test_no_journal_is_shared_after_a_fork(program, read_log, tmp_path, kind):
    """os.fork, a double fork and a fork from C, which runs no hook: each process has a journal of its own."""
    program(PROGRAM, kind)
    by_pid = {}
    for record in read_log(tmp_path / "app.json"):
        by_pid.setdefault(record["pid"], []).append(record)
    assert sorted([record["msg"] for record in log] for log in by_pid.values()) == [
        [f"child {number}" for number in range(5)],
        [f"grandchild {number}" for number in range(5)],
        [f"parent {number}" for number in range(10)],
    ]
    assert all([record["seq"] for record in log] == list(range(1, len(log) + 1)) for log in by_pid.values())
