"""How records are to be shown: the options of the renderers, in one place. Runs in the command `mplog`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from datetime import tzinfo

import msgspec

from mplog.viewer.fields import canonical

FORMATS = ("pretty", "short", "raw", "json", "jsonl", "logfmt", "csv", "html", "trace")
FOR_PROGRAMS = ("json", "jsonl", "logfmt", "csv")


class Look(msgspec.Struct):
    """Hold what the options under "Look" say.

    `width` is the terminal's, in columns; `names` the common width of the process names; `shared` the process
    names that several pids have, which are shown with the pid.
    """

    output: str = "pretty"
    colour: bool = False
    colour_by: str = "process"
    zone: tzinfo | None = None
    tb: str = "auto"
    delta: str | None = None
    lanes: str | None = None
    keys: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    skip_unchanged: bool = False
    template: str | None = None
    width: int = 100
    names: int = 0
    lane_count: int = 0
    shared: set[str] = set()
    sources: dict[str, str] = {}
    context: bool = False

    @property
    def stateless(self) -> bool:
        """Say whether each record looks the same whatever came before it (the date line aside)."""
        return self.delta is None and self.lanes is None and not self.skip_unchanged and not self.context

    def shows(self) -> Callable[[str], bool] | None:
        """Return the function that tells whether an own field is shown; None when all are."""
        if not self.keys and not self.hide:
            return None
        keep = _any_glob((*self.keys, *map(canonical, self.keys))) if self.keys else None
        drop = _any_glob(self.hide) if self.hide else None
        seen: dict[str, bool] = {}

        def shows(name: str) -> bool:
            known = seen.get(name)
            if known is None:
                known = seen[name] = (keep is None or keep(name)) and (drop is None or not drop(name))
            return known

        return shows


def _any_glob(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    regex = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
    return lambda name: regex.match(name) is not None
