"""The format string of a running session, from its spool. Runs in the command `mplog`; reads files only."""

from __future__ import annotations

import hashlib
import json
import os
import re

_NO_PATTERN = ("auto", "text", "json")


def format_of(path: str) -> str | None:
    """Return the `logging` format string with which a running session writes a log; None without one.

    The spool is found from the log's real path, as the session itself finds it.
    """
    real = os.path.realpath(path)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(real))[:40]
    name = f"{stem}-{hashlib.blake2b(os.fsencode(real), digest_size=8).hexdigest()}"
    for root in _roots(real):
        try:
            with open(os.path.join(root, name, "session.json"), "rb") as file:
                layout = json.loads(file.read(1 << 20))["config"]["format"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        return layout if isinstance(layout, str) and layout not in _NO_PATTERN else None
    return None


def _roots(real: str) -> list[str]:
    named = [os.environ.get("MPLOG_SPOOL", "")]
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    named.append(os.path.join(runtime, "mplog") if runtime else "")
    named += [f"/dev/shm/mplog-{os.getuid()}", os.path.join(os.path.dirname(real), ".mplog")]
    return [root for root in named if root]
