"""Children in which mplog cannot be imported."""

import pytest

PROGRAM = """
    import logging
    import multiprocessing
    import os
    import sys

    if os.environ.get("FORBIDDEN"):
        sys.modules["mplog"] = None  # importing it raises ImportError

    def grandchild():
        logging.getLogger("app").info("grandchild")

    def child():
        print("the child runs", flush=True)
        logging.getLogger("app").info("child")
        os.environ.pop("FORBIDDEN")
        process = multiprocessing.Process(target=grandchild)
        process.start()
        process.join()
        sys.exit(process.exitcode)

    if __name__ == "__main__":
        import mplog

        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False):
            os.environ["FORBIDDEN"] = "1"
            process = multiprocessing.Process(target=child)
            process.start()
            process.join()
        sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("start_method", ["spawn"])
def test_a_child_without_mplog_survives_and_its_children_attach(program, read_log, tmp_path, start_method):
    """A child in which mplog cannot be imported runs on without it, and grandchildren still inherit the session."""
    done = program(PROGRAM, start_method)
    assert done.out == "the child runs\n"
    assert done.err == ""
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["grandchild"]
