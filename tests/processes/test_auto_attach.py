"""The switch that keeps children from attaching by themselves."""

import pytest

PROGRAM = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work(number):
        logging.getLogger("app").info("task %d", number)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        options = {"auto_attach": False} if sys.argv[2] == "argument" else {}
        with mplog.setup("app.json", console=False, **options) as session:
            logging.info("parent")
            with multiprocessing.Pool(1) as pool:
                pool.map(work, [1])
            with multiprocessing.Pool(1, initializer=session.attach) as pool:
                pool.map(work, [2])
            logging.info("parent again")
"""


@pytest.mark.parametrize("switch", ["argument", "environment"])
def test_children_attach_only_when_told(program, read_log, tmp_path, start_method, switch):
    """`auto_attach=False` and `MPLOG_AUTO=0`: only the initializer attaches."""
    done = program(PROGRAM, start_method, switch, env={"MPLOG_AUTO": "0"} if switch == "environment" else {})
    assert done.err == ""
    messages = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert messages == ["parent", "task 2", "parent again"]
