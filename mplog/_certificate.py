"""Say how a process ended: death certificates and ordinary ends. Runs in the listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mplog._intake import Journal
    from mplog._owner import OwnerState
    from mplog._spool import Spool


def prepare(journal: Journal, state: OwnerState, spool: Spool) -> None:
    """Look at once at what will soon be gone: how the process ended."""


def issue(journal: Journal) -> tuple[int, str, dict[str, Any]] | None:
    """Return level, message and fields of the record about a process that ended, or None."""
    return None
