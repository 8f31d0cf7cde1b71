"""A file of a journal that cannot be deleted at the first try."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos_points import template
from chaos_rig import Rig, wait

pytestmark = pytest.mark.chaos


def refusing(suffix: str) -> Callable[[], None]:
    """Return what makes the first try to delete each file of this kind fail."""

    def prepare() -> None:
        real, refused = os.unlink, set()

        def unlink(path: str, **kwargs: object) -> None:
            if str(path).endswith(suffix) and path not in refused:
                refused.add(path)
                raise OSError(5, "Input/output error", path)
            real(path, **kwargs)

        os.unlink = unlink

    return prepare


@pytest.mark.parametrize("suffix", [".mapped", ".owner"])
def test_what_cannot_be_deleted_is_not_written_again(tmp_path: Path, suffix: str):
    """A journal stays known until its files are gone: nothing comes twice, and the session ends at once."""
    rig: Rig = template(tmp_path / "rig", workers=2, records=40)
    assert wait(rig.listen(refusing(suffix)), 10) == 0
    assert not os.path.exists(rig.spool.path)
    rig.finish()
    verdict = rig.verdict()
    assert verdict.holds, verdict
    assert verdict["records"] == 80
