"""The process that starts the command for the viewer's tests."""

from collections.abc import Iterator

import pytest
import viewer_command


@pytest.fixture(scope="session", autouse=True)
def _starter() -> Iterator[None]:
    """Begin it before the first test looks around, and end it after the last one."""
    viewer_command.starter = viewer_command.Starter()
    yield
    viewer_command.starter.end()
    viewer_command.starter = None
