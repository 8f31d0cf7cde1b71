"""Programs started by `subprocess`."""

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
