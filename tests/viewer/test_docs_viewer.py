"""The transcripts of docs/viewer.md are real: MPLOG_GOLDEN=write runs them and writes them anew."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from viewer_command import GOLDEN, mplog

PAGE = Path(__file__).parents[2] / "docs" / "viewer.md"
BLOCK = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)


def rewritten(match: re.Match[str]) -> str:
    words = shlex.split(match["command"])
    assert words[0] == "mplog"
    result = mplog(*words[1:], cwd=GOLDEN)
    return f"```console\n$ {match['command']}\n{result.out}{result.err}```"


def test_every_transcript_of_the_page_is_a_real_run() -> None:
    """A page `docs/viewer.md` with a terminal transcript for each main use."""
    page = PAGE.read_text()
    found = BLOCK.sub(rewritten, page)
    assert len(BLOCK.findall(page)) >= 15
    if os.environ.get("MPLOG_GOLDEN") == "write":
        PAGE.write_text(found)
    else:
        assert found == page


def test_every_image_is_shown_and_small() -> None:
    """A screenshot for what a transcript cannot show; the page refers to every image, and none is large."""
    images = {path.name: path.stat().st_size for path in (PAGE.parent / "images").iterdir()}
    assert images
    assert set(re.findall(r"\(images/([^)]+)\)", PAGE.read_text())) == set(images)
    assert max(images.values()) < 60_000
