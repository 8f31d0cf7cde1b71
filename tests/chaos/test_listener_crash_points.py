"""K4 in full: the listener is killed at every call that changes a file, once and twice in a row.

The normal run takes every seventh point, see `chaos_rows`.
"""

import random
from pathlib import Path

import pytest
from chaos_points import MODES, copy_of, crash, template

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize("mode", MODES)
def test_exactly_once_at_every_crash_point(tmp_path: Path, mode: str):
    """A listener killed before, in, or after any of its file calls loses nothing and writes nothing twice."""
    first = template(tmp_path / "first", max_bytes=20_000)
    at = 0
    while True:
        at += 1
        rig = copy_of(first, tmp_path / "trial")
        if not crash(rig, at, mode):
            break
        rig.finish()
        verdict = rig.verdict()
        assert verdict.holds, (at, mode, verdict)
    assert at > 40


def test_exactly_once_when_recovery_is_killed_too(tmp_path: Path):
    """The same with a second kill during the recovery from the first."""
    first = template(tmp_path / "first", max_bytes=20_000)
    generator = random.Random(5)
    for _ in range(60):
        rig = copy_of(first, tmp_path / "trial")
        points = [(generator.randint(1, most), generator.choice(MODES)) for most in (70, 40)]
        for at, mode in points:
            if not crash(rig, at, mode):
                break
        else:
            rig.finish()
        verdict = rig.verdict()
        assert verdict.holds, (points, verdict)
