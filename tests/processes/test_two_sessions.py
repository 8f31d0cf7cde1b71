"""Two files, two sessions, in one program tree."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def grandchild():
        logging.info("grandchild")

    def child():
        logging.info("before")
        with mplog.setup("b.json", console=False):
            logging.info("child")
            process = multiprocessing.Process(target=grandchild)
            process.start()
            process.join()

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("a.json", console=False):
            process = multiprocessing.Process(target=child)
            process.start()
            process.join()
            logging.info("parent")
"""


def test_a_child_may_have_a_session_of_its_own(program, read_log, tmp_path, start_method):
    """A child that calls `setup` on another file has its own session from then on, and so have its children."""
    done = program(PROGRAM, start_method)
    assert done.err == ""
    assert [record["msg"] for record in read_log(tmp_path / "a.json")] == ["before", "parent"]
    assert [record["msg"] for record in read_log(tmp_path / "b.json")] == ["child", "grandchild"]
