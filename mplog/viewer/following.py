"""`-f`: what is appended to logs, as it comes, through rotations and truncation.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mplog.viewer.context import Context, Immediate
from mplog.viewer.cursors import load, save
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.formats import Renderer, renderer
from mplog.viewer.lines import Record
from mplog.viewer.output import Output
from mplog.viewer.pretty import measure
from mplog.viewer.reading import expand
from mplog.viewer.scan import Plan
from mplog.viewer.tailing import Tail

if TYPE_CHECKING:
    from mplog.viewer.view import View

FIRST = 10
_ACTIVE, _IDLE = 0.008, 0.025
_LOOK_FOR_FILES = 1.0


def follow(view: View) -> int:
    """Show the end of the logs, then what is appended, until interrupted; return the exit code."""
    if any(source.path == "-" for source in view.sources):
        raise ViewerError("--follow needs a file; standard input is followed anyway, leave --follow out")
    for source in view.sources:
        if os.path.exists(source.path) and not os.path.isfile(source.path):
            raise ViewerError(f"{source.path}: --follow needs a regular file; a pipe is read to its end without it")
    plan = view.plan()
    with Output(view.args.out) as output:
        shown = Shown(view, output)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            for batch in _batches(view, plan, output.pause):
                if shown.add(batch):
                    break
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            return 0
    return view.exit_code() if view.shown or view.damage.count else 0


class Shown:
    """Render and write each batch as it comes."""

    def __init__(self, view: View, output: Output) -> None:
        self._view, self._output = view, output
        self._look = view.look(output)
        self._render: Renderer | None = None
        self._left = view.args.max_count

    def add(self, records: list[Record]) -> bool:
        """Show records and say whether -m is reached."""
        if self._left is not None:
            records = records[: self._left]
            self._left -= len(records)
        if self._render is None and records:
            measure(self._look, records)
            self._render = renderer(self._look, grow=True)
            self._output.write(self._render.begin())
        if self._render is not None and records:
            self._output.write(self._render.render(records))
            self._view.count(records)
        return self._left == 0

    def end(self) -> None:
        """Write what comes after the last record."""
        if self._render is not None:
            self._output.write(self._render.end())


def _batches(view: View, plan: Plan, pause: Callable[[float], None]) -> Iterator[list[Record]]:
    """Yield batches for ever; an interrupted one saves the cursor."""
    cursor = os.path.abspath(view.args.cursor_file) if view.args.cursor_file else ""
    places = load(cursor) if cursor else {}
    timed = view.selection.since is not None
    last = view.last if view.args.lines is not None else None if timed else FIRST
    tails = {source.path: Tail(source.path, plan) for source in view.sources}
    alone = len(tails) == 1  # several are merged by time, for which all of it has to be there
    first = [tail.start(last, places.get(os.path.realpath(path)), later=alone) for path, tail in tails.items()]
    records = _by_time(first)
    pick = _picker(view)
    yield pick(records[-last:] if last else records if last is None else [])
    try:
        for found in _poll(view, plan, tails, pause):
            yield pick(found)
    finally:
        if cursor:
            for path, tail in tails.items():
                place = tail.place()
                if place is not None:
                    places[os.path.realpath(path)] = place
            save(cursor, places)


def _picker(view: View) -> Callable[[list[Record]], list[Record]]:
    if not (view.before or view.after):
        return lambda records: records
    match = view.selection.predicate() or (lambda _record: True)
    return Immediate(Context(view.before, view.after, view.args.context_by, match)).pick


def _poll(view: View, plan: Plan, tails: dict[str, Tail], pause: Callable[[float], None]) -> Iterator[list[Record]]:
    active = looked = time.monotonic()
    while True:
        now = time.monotonic()
        found = [records for tail in list(tails.values()) if (records := tail.poll(now))]
        if found:
            active = now
            yield _by_time(found)
            continue
        if any(tail.behind for tail in tails.values()):
            continue
        if now - looked > _LOOK_FOR_FILES:
            looked = now
            for path in _new_files(view, tails):
                tails[path] = Tail(path, plan)
        pause(_ACTIVE if now - active < 1.0 else _IDLE)


def _by_time(batches: list[list[Record]]) -> list[Record]:
    if len(batches) == 1:
        return batches[0]
    keyed = []
    for records in batches:
        last = 0.0
        for record in records:
            last = max(last, record.time or last)
            keyed.append((last, record))
    keyed.sort(key=lambda pair: pair[0])
    return [record for _, record in keyed]


def _new_files(view: View, tails: dict[str, Tail]) -> list[str]:
    from mplog.viewer.selection import is_condition

    paths = [path for path in view.args.paths if not is_condition(path)]
    try:
        return [source.path for source in expand(paths) if source.path not in tails] if paths else []
    except ViewerError:
        return []
