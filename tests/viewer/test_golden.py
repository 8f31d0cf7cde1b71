"""Transcripts: each file in golden/ that ends in .txt holds a command line and, byte for byte, what it prints.

MPLOG_GOLDEN=write writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from viewer_command import GOLDEN, mplog

TRANSCRIPTS = sorted(GOLDEN.glob("*.txt"))


def transcript(command: str) -> bytes:
    words = shlex.split(command)
    env = dict(word.split("=", 1) for word in words[: words.index("mplog")])
    result = mplog(*words[words.index("mplog") + 1 :], cwd=GOLDEN, env=env)
    return f"$ {command}\n{result.out}--- stderr\n{result.err}--- exit code {result.code}\n".encode()


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_output_is_byte_for_byte_the_transcript(path: Path) -> None:
    """Golden transcripts in the tests (compare bytes, colours too)."""
    expected = path.read_bytes()
    command = expected.split(b"\n", 1)[0].decode().removeprefix("$ ")
    found = transcript(command)
    if os.environ.get("MPLOG_GOLDEN") == "write":
        path.write_bytes(found)
    else:
        assert found == expected


def test_there_are_transcripts() -> None:
    """A directory that moved would make the test above pass on nothing."""
    assert len(TRANSCRIPTS) >= 30
