"""pytest-xdist: one log for all its processes. Runs in pytest's controller and in its workers.

In ``conftest.py``: ``pytest_plugins = ["mplog.integrations.xdist"]``, and in ``pytest.ini``::

    mplog_file = tests.jsonl

Without xdist it is the log of the one process.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

import mplog

_KEY = "mplog_session"
_sessions: list[Any] = []


def pytest_addoption(parser: Any) -> None:
    """Add what `pytest.ini` may say."""
    parser.addini("mplog_file", "log file of the whole run, all processes of pytest-xdist included", default="")


def pytest_configure(config: Any) -> None:
    """Set up the session in the controller, attach to it in a worker."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        if given.get(_KEY):
            from multiprocessing import current_process

            current_process().name = str(given["workerid"])
            os.environ["MPLOG_SESSION"] = given[_KEY]
            mplog.attach()
        return
    file = config.getini("mplog_file")
    if file:
        path = os.path.join(config.rootpath, file)
        # The console is pytest's.
        _sessions.append(mplog.setup(path, console=False, listener="process"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the session is: a hook of xdist, called in the controller."""
    if _sessions:
        node.workerinput[_KEY] = _sessions[-1].env({})["MPLOG_SESSION"]


def pytest_unconfigure(config: Any) -> None:
    """Close the session of this run."""
    if getattr(config, "workerinput", None) is None and _sessions:
        _sessions.pop().close()
