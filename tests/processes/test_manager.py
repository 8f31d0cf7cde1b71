"""The server process of a Manager."""

PROGRAM = """
    import logging
    import multiprocessing
    import multiprocessing.managers
    import sys

    import mplog

    class Counter:
        def add(self):
            logging.getLogger("app").info("added")

    class Managers(multiprocessing.managers.BaseManager):
        pass

    Managers.register("Counter", Counter)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with mplog.setup("app.json", console=False):
            with Managers(ctx=context) as manager:
                manager.Counter().add()
"""


def test_a_managers_server_attaches(program, read_log, tmp_path, start_method):
    """What is logged in a Manager's process is in the log."""
    program(PROGRAM, start_method)
    (record,) = read_log(tmp_path / "app.json")
    assert record["msg"] == "added"
    assert record["process"].startswith("Managers-")
