"""The record that says what was dropped: written by the worker itself, or by the listener for a dead one."""

from __future__ import annotations

import logging
import time
from typing import Any

from mplog._shared.account import Drops
from mplog._shared.record import encode_record, timestamp


def drop_fields(drops: Drops) -> dict[str, Any]:
    """Return message and fields of the record that says what was dropped."""
    first, last = timestamp(drops.first / 1e9), timestamp(drops.last / 1e9)
    noun = "record" if drops.count == 1 else "records"
    return {
        "msg": f"dropped {drops.count} {noun} between {first} and {last}: {drops.reason}",
        "event": "dropped",
        "dropped": drops.count,
        "first": first,
        "last": last,
        "reason": drops.reason,
        "seq_first": drops.seq_first,
        "seq_last": drops.seq_last,
    }


def drop_line(drops: Drops) -> tuple[bytes, bytes]:
    """Return the two halves of the line by which a process reports its own drops. Runs in a worker."""
    fields = drop_fields(drops)
    record = logging.LogRecord("mplog", logging.WARNING, "", 0, fields.pop("msg"), None, None)
    record.__dict__.update(fields)
    return encode_record(record, time.monotonic_ns())
