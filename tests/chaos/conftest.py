"""What the rig changes in this process is put back after each test."""

import pytest

from mplog._shared import launch


@pytest.fixture(autouse=True)
def own_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sessions of later tests start listeners again: a rig starts its own."""
    monkeypatch.setattr(launch, "launch", launch.launch)
