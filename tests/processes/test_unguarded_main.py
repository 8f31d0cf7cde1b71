"""A program whose `setup` stands at the top of the module, unguarded."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    session = mplog.setup("app.json", console=False)
    logging.info("imported as %s", __name__)

    def work():
        logging.info("at work")

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        child = multiprocessing.Process(target=work)
        child.start()
        child.join()
        processes = session.stats()["processes"]
        print(len(processes), session.stats()["restarts"])
"""


def test_an_unguarded_main_joins_its_parents_session(program, read_log, tmp_path, start_method):
    """A child that runs `setup` again when `__main__` is imported joins: one listener, no line twice."""
    done = program(PROGRAM, start_method)
    assert done.err == ""
    assert done.out.split() == ["2", "0"]
    messages = [record["msg"] for record in read_log(tmp_path / "app.json")]
    again = [] if start_method == "fork" else ["imported as __mp_main__"]
    assert messages == ["imported as __main__", *again, "at work"]
