"""Workers that give up root, before their first record or in the middle of many."""

from __future__ import annotations

import os
from collections import Counter

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
PROGRAM = """
    import logging
    import multiprocessing
    import os
    import signal
    import sys
    import mplog

    def work(before, end):
        log = logging.getLogger("app")
        for number in range(before):
            log.info("%d as root %s", number, "x" * 50)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        for number in range(5000):
            log.info("%d as nobody %s", number, "x" * 50)
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False) as session:
            if sys.argv[1] == "fork":
                import stat
                assert stat.S_IMODE(os.stat(session.spool).st_mode) == 0o700
            children = [
                multiprocessing.Process(target=work, args=(before, end), name=f"{before}-{end}")
                for before in (0, 100) for end in ("end", "kill")
            ]
            for child in children:
                child.start()
            for child in children:
                child.join()
            stats = session.stats()
            assert stats["dropped"] == 0, stats
        assert not os.path.exists(session.spool)
"""


def test_a_worker_that_gives_up_root_loses_nothing(program, read_log, tmp_path, start_method):
    """A worker that changes its user goes on logging, whether it has a journal already or not, and may be killed."""
    done = program(PROGRAM, start_method)
    assert done.err == ""
    log = [record for record in read_log(tmp_path / "app.json") if record["logger"] == "app"]
    found = Counter(record["process"] for record in log)
    assert found == {"0-end": 5000, "0-kill": 5000, "100-end": 5100, "100-kill": 5100}
    for name, count in found.items():
        assert [record["seq"] for record in log if record["process"] == name] == list(range(1, count + 1))
