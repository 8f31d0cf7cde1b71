"""Say how a process ended: death certificates, ordinary ends, and what it dropped. Runs in the listener."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from mplog._journal import Drops
from mplog._record import encode_record, timestamp

if TYPE_CHECKING:
    from mplog._intake import Journal
    from mplog._owner import OwnerState
    from mplog._spool import Spool


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
    """Return the two halves of the line by which a process reports its own drops. Runs in a worker, too."""
    fields = drop_fields(drops)
    record = logging.LogRecord("mplog", logging.WARNING, "", 0, fields.pop("msg"), None, None)
    record.__dict__.update(fields)
    return encode_record(record, time.monotonic_ns())


def prepare(journal: Journal, state: OwnerState, spool: Spool) -> None:
    """Look at once at what will soon be gone: how the process ended."""


def issue(journal: Journal) -> tuple[int, str, dict[str, Any]] | None:
    """Return level, message and fields of the record about a process that ended, or None."""
    return None
