"""Programs started by `subprocess`."""

import json

import pytest

PROGRAM = """
    import logging
    import os
    import subprocess
    import sys

    import mplog

    CHILD = '''
    import logging, mplog
    mplog.attach()
    mplog.attach()
    logging.getLogger("app").info("in the subprocess")
    '''

    if __name__ == "__main__":
        with mplog.setup("app.json", console=False, spool=os.environ.get("WHERE")) as session:
            code = "\\n".join(line.strip() for line in CHILD.splitlines())
            subprocess.run([sys.executable, "-c", code], env=session.env(), check=True)
            own = session.env({"PATH": os.environ["PATH"]})
            assert set(own) == {"PATH", "MPLOG_SESSION"}
            logging.info("parent")
"""


@pytest.mark.parametrize("where", [{}, {"WHERE": "a:b"}, {"RUNTIME_DIRECTORY": "./run"}], ids=["", "colon", "two"])
def test_a_subprocess_attaches_by_its_environment(program, read_log, tmp_path, where):
    """`subprocess` through `session.env()` and `mplog.attach()`; attaching twice does no harm."""
    (tmp_path / "run").mkdir()
    done = program(PROGRAM, env={name: str(tmp_path / value) for name, value in where.items()})
    assert done.err == ""
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log] == ["in the subprocess", "parent"]
    assert log[0]["pid"] != log[1]["pid"]


ENDS = """
    import subprocess
    import sys

    import mplog

    CHILD = "import atexit, logging, os, sys; atexit.register(logging.error, 'at exit'); import mplog; mplog.attach();"
    CHILD += "logging.error('here'); print('multiprocessing.util' in sys.modules); "

    if __name__ == "__main__":
        with mplog.setup("app.json", console=False, level="DEBUG") as session:
            for end in ("", "sys.exit(3)", "os._exit(0)"):
                subprocess.run([sys.executable, "-c", CHILD + end], env=session.env())
"""


def test_a_subprocess_that_ends_in_order_is_not_called_dead(program, tmp_path):
    """Also one that has nothing to do with multiprocessing says goodbye; of one that does not, it is not known how."""
    done = program(ENDS)
    assert (done.out.split(), done.err) == (["False"] * 3, "")
    records = [json.loads(line) for line in (tmp_path / "app.json").read_text().splitlines()]
    assert [record["msg"] for record in records if record["logger"] == "root"] == ["here", "at exit"] * 2 + ["here"]
    ends = [record["msg"].partition("]")[2] for record in records if record.get("event") and record["records"]]
    assert sorted(ends) == [
        " died: how is not known after 1 record; last: here",
        " ended after 2 records",
        " ended after 2 records",
    ]
