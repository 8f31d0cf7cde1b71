"""A forkserver that is older than the session."""

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work(number):
        logging.getLogger("app").info("session %d", number)

    def start(number):
        child = multiprocessing.Process(target=work, args=(number,))
        child.start()
        child.join()

    if __name__ == "__main__":
        multiprocessing.set_start_method("forkserver")
        multiprocessing.set_forkserver_preload(["mplog.session"])
        start(0)
        for number in (1, 2):
            with mplog.setup(f"app{number}.json", console=False):
                start(number)
        start(3)
"""


def test_children_of_a_running_forkserver_take_the_session_of_their_parent(program, read_log, tmp_path):
    """A forkserver already running, one that served another session: each child attaches to its parent's."""
    done = program(PROGRAM)
    assert done.err == ""
    for number in (1, 2):
        log = read_log(tmp_path / f"app{number}.json")
        assert [record["msg"] for record in log] == [f"session {number}"]
