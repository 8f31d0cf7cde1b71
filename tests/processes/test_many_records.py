"""Four workers, 20,000 records each."""

from collections import Counter
from itertools import pairwise

PROGRAM = """
    import logging
    import multiprocessing
    import os
    import sys
    import threading

    import mplog

    def work(name):
        log = logging.getLogger("app")
        for number in range(20_000):
            log.info("%s %d", name, number)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        first = multiprocessing.Process(target=len, args=("",))  # What multiprocessing keeps open is open then.
        first.start()
        first.join()
        first.close()
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        session = mplog.setup("app.json", console=False)
        workers = [multiprocessing.Process(target=work, args=(n,), name=f"w{n}") for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            worker.close()
        assert session.flush()
        stats = session.stats()
        assert (stats["dropped"], stats["damaged"]) == (0, 0), stats
        assert sorted(p["written"] for p in stats["processes"]) == [0] + [20_000] * 4, stats
        assert session.close()
        assert not os.path.exists(session.spool)
        assert threading.active_count() == threads
        print(stats["late"])
        left = os.listdir("/proc/self/fd")
        assert len(left) == files, left
"""


def test_all_lines_once_in_order(program, read_log, tmp_path, start_method):
    """All lines there, each once, per-process order kept, merged in time order, spool empty, nothing left."""
    done = program(PROGRAM, start_method)
    log = read_log(tmp_path / "app.json", own=True)
    own = [record for record in log if record["logger"] == "app"]
    assert len(own) == 80_000
    assert Counter(record["msg"] for record in own).most_common(1)[0][1] == 1
    for name in ("w0", "w1", "w2", "w3"):
        seqs = [record["seq"] for record in own if record["process"] == name]
        assert seqs == list(range(1, 20_001))
    # A process that gets no processor for longer than records are held back, between looking at the clock and
    # writing, is late, and counted: on a machine that does nothing else none is.
    late = int(done.out)
    assert sum(first["time"] > second["time"] for first, second in pairwise(own)) <= late
    assert late < 80
