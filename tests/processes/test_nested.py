"""Processes of processes attach by themselves."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work(depth):
        logging.getLogger("app").info("depth %d", depth)
        if depth < 3:
            child = multiprocessing.Process(target=work, args=(depth + 1,), name=f"level-{depth + 1}")
            child.start()
            child.join()

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False):
            work(0)
"""


def test_grandchildren_attach_by_themselves(program, read_log, tmp_path, start_method):
    """A nested process, and one below it, write to the same log."""
    program(PROGRAM, start_method)
    assert [(record["process"], record["msg"]) for record in read_log(tmp_path / "app.json")] == [
        ("MainProcess", "depth 0"),
        ("level-1", "depth 1"),
        ("level-2", "depth 2"),
        ("level-3", "depth 3"),
    ]
