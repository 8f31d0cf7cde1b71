"""A umask that takes away more than it should."""

import stat
import textwrap

import pytest

BOUND_BY_MODES = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, linux/capability.h
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: root, too, is bound by modes after the next `exec`
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
PROGRAM = """
    import logging
    import os
    import sys
    from multiprocessing import get_context

    import mplog

    def work(number):
        logging.getLogger("app").info("in %d", number)

    if __name__ == "__main__":
        os.umask(int(sys.argv[1], 8))
        kind = {"listener": sys.argv[2], "mode": int(sys.argv[3], 8), "capture": ["fd"]}
        with mplog.setup("logs/app.json", console=False, max_bytes=4000, **kind) as session:
            with get_context("fork").Pool(2) as pool:
                pool.map(work, range(100))
            session.flush()
            assert session.stats()["dropped"] == 0
"""


@pytest.mark.parametrize(
    ("umask", "mode", "around"), [("000", 0o640, 0o750), ("177", 0o600, 0o700), ("777", 0o644, 0o755)]
)
@pytest.mark.parametrize("listener", ["process", "thread"])
def test_files_and_directories_have_their_modes_whatever_the_umask(program, tmp_path, umask, mode, around, listener):
    """Files 0600 and directories 0700 whatever the umask; `mode` widens both."""
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM))
    done = program(BOUND_BY_MODES, "app.py", umask, listener, f"{mode:o}")
    assert done.err == ""
    logs = tmp_path / "logs"
    assert stat.S_IMODE(logs.stat().st_mode) == around
    found = list(logs.iterdir())
    assert len(found) > 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {mode}
    assert sum(path.read_text().count('"msg":"in ') for path in found) == 100
