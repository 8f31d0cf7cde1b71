"""A logging call that fails inside mplog: out of memory, out of stack."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos_rig import Rig, wait

from mplog._worker import attached

pytestmark = pytest.mark.chaos


def test_a_record_that_could_not_be_made_is_counted(tmp_path: Path):
    """produced == written + dropped, also when a call fails."""
    rig = Rig(tmp_path / "rig")

    def work(number: int, log: Callable[[int, int], None]) -> None:
        real, failing = attached.encode_record, [False]

        def encode(*args: object, **kwargs: object) -> object:
            if failing[0]:
                raise MemoryError
            return real(*args, **kwargs)

        attached.encode_record = encode
        for k in range(1, 31):
            failing[0] = k % 10 == 0
            # With a stack the record goes the long way.
            logging.getLogger("chaos").info("n %d %d ", number, k, stack_info=True)
            rig.acknowledged.store(number, k)

    assert wait(rig.work(work, bye=True)) == 0
    rig.finish()
    verdict = rig.verdict()
    assert verdict["dropped"] == 3, verdict
    assert verdict["records"] == 27, verdict
    assert verdict.holds, verdict
