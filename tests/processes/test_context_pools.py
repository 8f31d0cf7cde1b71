"""The context in the work that is given to other processes."""

import pytest

POOLS = """
    import logging
    import multiprocessing
    import sys
    from concurrent.futures import ProcessPoolExecutor

    import mplog

    log = logging.getLogger("app")

    def work(number):
        log.info("work %d", number)
        mplog.get_logger("app").info("event", number=number)
        mplog.bind(stale=True)

    def later(number):
        log.info("later %d", number)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        mplog.bind(at_fork="parent")
        with mplog.setup("app.json", console=False):
            if sys.argv[2] == "executor":
                pool = ProcessPoolExecutor(2, mp_context=context)
            else:
                pool = context.Pool(2)
            with mplog.with_context(pool) as carrying:
                mplog.unbind("at_fork")
                for number in range(4):
                    with mplog.context(request=f"r{number}"):
                        if sys.argv[2] == "executor":
                            carrying.submit(work, number).result()
                        else:
                            carrying.apply(work, (number,))
                list(pool.map(later, range(4)))
                with mplog.context(request="all"):
                    list(carrying.map(later, range(4, 8)))
"""


@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_a_task_has_the_context_of_its_call(program, read_log, tmp_path, start_method, kind):
    """Ids bound in the parent stand in every record of the task, in every process; nothing stale is left for the
    next task, and a forked pool shows nothing of what was bound when it was forked."""
    program(POOLS, start_method, kind)
    found = {}
    for record in read_log(tmp_path / "app.json"):
        number = record.get("number", record["msg"].split()[-1])
        fields = {name: record[name] for name in ("request", "at_fork", "stale") if name in record}
        found.setdefault((record["msg"].split()[0], int(number)), []).append(fields)
    assert found == {
        **{("work", number): [{"request": f"r{number}"}] for number in range(4)},
        **{("event", number): [{"request": f"r{number}"}] for number in range(4)},
        **{("later", number): [{}] for number in range(4)},
        **{("later", number): [{"request": "all"}] for number in range(4, 8)},
    }


PROCESSES = """
    import logging
    import multiprocessing
    import os
    import sys

    import mplog

    def work():
        logging.warning("in a process")

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with mplog.setup("app.json", console=False):
            mplog.bind(request="r1")
            for target in (work, mplog.with_context(work)):
                process = context.Process(target=target)
                process.start()
                process.join()
            if sys.argv[1] == "fork":
                pid = os.fork()
                if pid == 0:
                    logging.warning("in a fork")
                    os._exit(0)
                os.waitpid(pid, 0)
"""


def test_a_process_begins_without_a_context_unless_it_is_carried(program, read_log, tmp_path, start_method):
    """Children of `multiprocessing` begin without fields under every start method; `with_context` carries them;
    a bare `os.fork` goes on with what it had."""
    program(PROCESSES, start_method)
    log = [(record["msg"], record.get("request")) for record in read_log(tmp_path / "app.json")]
    expected = [("in a process", None), ("in a process", "r1")]
    assert log == [*expected, ("in a fork", "r1")] if start_method == "fork" else log == expected


RECORDS = """
    import logging
    import mplog

    log = logging.getLogger("app")
    with mplog.setup("app.json", console=False):
        log.info("before")
        mplog.bind(request="r1", user="eve")
        log.info("short way")
        log.info("own fields win", extra={"user": "adam"})
        mplog.get_logger("app").info("event")
        mplog.get_logger("app").bind(user="bound").info("bound wins")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("with traceback")
        mplog.clear_context()
        log.info("after")
"""


def test_context_stands_in_every_record(program, read_log, tmp_path):
    """Bound fields stand in all records, those of `logging` too; what a record is given itself holds before them."""
    program(RECORDS)
    log = {record["msg"]: (record.get("request"), record.get("user")) for record in read_log(tmp_path / "app.json")}
    assert log == {
        "before": (None, None),
        "short way": ("r1", "eve"),
        "own fields win": ("r1", "adam"),
        "event": ("r1", "eve"),
        "bound wins": ("r1", "bound"),
        "with traceback": ("r1", "eve"),
        "after": (None, None),
    }
