"""A Process attaches by itself."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    log = logging.getLogger("app")

    def work(number):
        log.info("number %d", number)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False) as session:
            workers = [multiprocessing.Process(target=work, args=(n,), name=f"w{n}") for n in range(3)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            log.info("parent")
"""

KILLED = """
    import logging
    import os
    import signal
    import multiprocessing
    import sys

    import mplog

    log = logging.getLogger("app")

    def work():
        log.info("before")
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        mplog.setup("app.json", console=False)
        worker = multiprocessing.Process(target=work)
        worker.start()
        worker.join()
"""


def test_a_process_attaches_by_itself(program, read_log, tmp_path, start_method):
    """fork, spawn and forkserver, with nothing to wire: the children's records are in the log, under their names."""
    program(PROGRAM, start_method)
    log = read_log(tmp_path / "app.json")
    assert sorted((record["process"], record["msg"]) for record in log) == [
        ("MainProcess", "parent"),
        ("w0", "number 0"),
        ("w1", "number 1"),
        ("w2", "number 2"),
    ]
    assert len({record["pid"] for record in log}) == 4


def test_a_killed_process_leaves_its_record(program, read_log, tmp_path, start_method):
    """Without close, by the end of the program alone, the log is complete."""
    program(KILLED, start_method)
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["before"]
