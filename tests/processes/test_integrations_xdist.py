"""One log for all processes of pytest-xdist."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_one_log_for_the_whole_run(tmp_path, read_log, options):
    """With the plugin all processes of a run write into one log, under the names that xdist gives them."""
    if options:
        pytest.importorskip("xdist")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["mplog.integrations.xdist"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nmplog_file = tests.jsonl\n")
    (tmp_path / "test_it.py").write_text(
        "import logging, pytest\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test_it(number, caplog):\n"
        "    logging.getLogger('app').warning('number %d', number)\n"
        "    assert caplog.messages == [f'number {number}']\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    log = [record for record in read_log(tmp_path / "tests.jsonl") if record["logger"] == "app"]
    assert sorted(record["msg"] for record in log) == [f"number {n}" for n in range(6)]
    assert {record["process"] for record in log} <= ({"gw0", "gw1"} if options else {"MainProcess"})
