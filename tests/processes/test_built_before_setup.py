"""A Process object that is older than the session."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work():
        logging.getLogger("app").info("late")

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        child = multiprocessing.Process(target=work)
        with mplog.setup("app.json", console=False):
            child.start()
            child.join()
"""


def test_a_process_built_before_setup_attaches(program, read_log, tmp_path, start_method):
    """A Process built before `setup` and started after it attaches by itself."""
    program(PROGRAM, start_method)
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["late"]
