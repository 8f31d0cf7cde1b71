"""The log of `multiprocessing` itself, in a session that has a file."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False):
            logger = mplog.log_to_stderr("INFO")
            assert logger is mplog.log_to_stderr() is multiprocessing.get_logger()
            child = multiprocessing.Process(target=len, args=("",))
            child.start()
            child.join()
        assert logger.handlers == []
        assert logger.level == logging.NOTSET
        child = multiprocessing.Process(target=len, args=("",))
        child.start()
        child.join()
"""


def test_multiprocessings_log_goes_where_the_session_goes(program, read_log, tmp_path, start_method):
    """In a session with a file the lines are records of it, each once; after `close` everything is set back."""
    done = program(PROGRAM, start_method)
    assert done.err == ""
    log = [record for record in read_log(tmp_path / "app.json") if record["process"] == "Process-1"]
    assert {record["logger"] for record in log} == {"multiprocessing"}
    assert sorted(record["msg"] for record in log) == [
        "child process calling self.run()",
        "process exiting with exitcode 0",
        "process shutting down",
    ]
