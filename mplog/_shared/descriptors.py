"""The standard descriptors as they were before output was captured. Runs in every process."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

saved: dict[int, int] = {}
"""Captured descriptor (1 or 2) -> a duplicate of what it was before."""

_busy = threading.local()


def original(fd: int) -> int:
    """Return where the original of descriptor 1 or 2 is found now; without capture that is the descriptor itself."""
    return saved.get(fd, fd)


def write_original(fd: int, text: str) -> None:
    """Write text where descriptor 1 or 2 led before it was captured; what cannot be written is left out."""
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(original(fd), data) :]


def say(text: str) -> None:
    """Write one line about mplog itself to stderr, uncaptured; what cannot be written is left out."""
    if 2 in saved:
        write_original(2, f"mplog: {text}\n")
        return
    with contextlib.suppress(Exception), Exempt():
        sys.stderr.write(f"mplog: {text}\n")
        sys.stderr.flush()


def is_exempt() -> bool:
    """Tell whether this thread's output is not to be captured now: it is about a record itself."""
    return getattr(_busy, "depth", 0) > 0


class Exempt:
    """Leave what this thread writes to `sys.stdout` and `sys.stderr` uncaptured inside a `with` block."""

    def __enter__(self) -> None:
        """Begin."""
        _busy.depth = getattr(_busy, "depth", 0) + 1

    def __exit__(self, *args: object) -> None:
        """End."""
        _busy.depth -= 1
