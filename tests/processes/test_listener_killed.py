"""A listener that is killed while records come in."""

PROGRAM = """
    import logging
    import multiprocessing
    import os
    import signal
    import sys

    import mplog

    def work(barrier):
        log = logging.getLogger("app")
        for number in range(5_000):
            if number % 1000 == 500:
                barrier.wait(30)
            log.info("record %d", number)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        barrier = multiprocessing.Barrier(3)
        killed = set()
        with mplog.setup("app.json", console=False) as session:
            workers = [multiprocessing.Process(target=work, args=(barrier,)) for _ in range(2)]
            for worker in workers:
                worker.start()
            for _ in range(5):
                session.flush()
                pid = session.stats()["listener"]["pid"]
                killed.add(pid)
                barrier.wait(30)
                os.kill(pid, signal.SIGKILL)
            for worker in workers:
                worker.join()
            assert session.flush()
            assert session.stats()["listener"]["pid"] not in killed
            print(len(killed))
"""


def test_a_killed_listener_costs_nothing(program, read_log, tmp_path, start_method):
    """A listener killed in mid-stream: all there, once."""
    done = program(PROGRAM, start_method)
    assert done.out == "5\n"
    by_pid = {}
    for record in read_log(tmp_path / "app.json"):
        by_pid.setdefault(record["pid"], []).append(record["msg"])
    assert list(by_pid.values()) == [[f"record {number}" for number in range(5_000)]] * 2
