"""Four workers, 20,000 records each."""

from collections import Counter
from itertools import accumulate

PROGRAM = """
    import logging
    import multiprocessing
    import os
    import sys
    import threading
    from time import monotonic

    import mplog

    def work(name, slow):
        log = logging.getLogger("app")
        before = monotonic()
        for number in range(20_000):
            log.info("%s %d", name, number)
            after = monotonic()
            slow[int(name)] += after - before > 0.019
            before = after

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        first = multiprocessing.Process(target=len, args=("",))  # What multiprocessing keeps open is open then.
        first.start()
        first.join()
        first.close()
        slow = multiprocessing.RawArray("i", 4)
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        session = mplog.setup("app.json", console=False)
        workers = [multiprocessing.Process(target=work, args=(f"{n}", slow), name=f"w{n}") for n in range(4)]
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
        print(stats["late"], sum(slow))
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
    # Late is a call that took longer than records are held back, because its process got no processor between looking
    # at the clock and writing. Each such record is counted, and nothing else is out of order.
    late, slow = map(int, done.out.split())
    newest = accumulate((record["time"] for record in log), max)
    behind = sum(record["time"] < before for record, before in zip(log[1:], newest, strict=False))
    assert behind == late <= slow
