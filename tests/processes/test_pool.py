"""Workers of a Pool, also those that replace others."""

from collections import Counter

import pytest

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work(number):
        logging.getLogger("app").info("task %d", number)
        return number

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        most = int(sys.argv[2]) or None
        with mplog.setup("app.json", console=False) as session:
            initializer = session.attach if sys.argv[3] == "initializer" else None
            with multiprocessing.Pool(2, initializer=initializer, maxtasksperchild=most) as pool:
                assert pool.map(work, range(12), chunksize=1) == list(range(12))
"""


@pytest.mark.parametrize("wired", ["initializer", "nothing"])
@pytest.mark.parametrize("most", [0, 3])
def test_pool_workers_attach(program, read_log, tmp_path, start_method, most, wired):
    """Pool with and without `maxtasksperchild`, with nothing to wire and with `initializer=session.attach`."""
    done = program(PROGRAM, start_method, most, wired)
    assert done.err == ""
    log = read_log(tmp_path / "app.json")
    assert Counter(record["msg"] for record in log) == Counter(f"task {number}" for number in range(12))
    tasks = Counter(record["pid"] for record in log)
    assert not most or max(tasks.values()) <= most
