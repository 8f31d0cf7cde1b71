"""`-f`: what is appended to logs, as it comes, through rotations and truncation.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mplog.viewer.cursors import HEAD, fingerprint, load, same_file, save
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.formats import Renderer, renderer
from mplog.viewer.lines import Record
from mplog.viewer.output import Output
from mplog.viewer.parsing import Parser
from mplog.viewer.reading import expand, is_compressed, open_source, rotations
from mplog.viewer.scan import Plan, Scanner
from mplog.viewer.walk import blocks_back, pread, span

if TYPE_CHECKING:
    from mplog.viewer.view import View

FIRST = 10
_READ = 1 << 19
_ACTIVE, _IDLE = 0.008, 0.025
_HOLD = 0.1
_LATE = 5.0
_LOOK_FOR_FILES = 1.0


class Tail:
    """Follow one log by name.

    Reads the file it has open to its end before it turns to what has taken its name; files that were
    rotated in
    between are found among `app.log.1`, `app.log.2.gz` and read in their order; a file cut short is read
    anew.

    Args:
        path: of the log; it may not exist yet, or for a while.
        plan: what to find.
    """

    def __init__(self, path: str, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self.offset = 0
        self._fd = -1
        self._rest = b""
        self._scanner = Scanner(path, plan)
        self._fed = 0.0
        self._held = False
        self._late: list[tuple[int, int, float]] = []

    def start(self, last: int | None, place: dict[str, object] | None = None) -> list[Record]:
        """Return the records to show at once: the last ones (None: all), or those in the time asked for."""
        if not self._open():
            return []
        size = os.fstat(self._fd).st_size
        if place is not None:
            mark = [int(str(number)) for number in place["head"]]  # type: ignore[attr-defined]
            offset = int(str(place["offset"]))
            if same_file(self._fd, mark) and offset <= size:
                self.offset = offset
            return self._poll_all()
        if last is None:
            if self.plan.selection.since is not None:
                with open(self.path, "rb", buffering=0) as stream:
                    self.offset = span(stream, self.path, self.plan)[0]
            return self._poll_all()
        self.offset = self._last_newline(size)
        return self._last(last)

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1
        return self._fd >= 0

    def _last_newline(self, size: int) -> int:
        end = size
        while end > 0:
            begin = max(0, end - (1 << 16))
            newline = pread(self._fd, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
        return 0

    def _last(self, count: int) -> list[Record]:
        found: list[Record] = []
        if not count:
            return found
        begins = Parser(self.path, self.plan.input_format).begins
        chosen = Scanner(self.path, self.plan)
        for at, block in blocks_back(self._fd, 0, self.offset, begins):
            scanner = Scanner(self.path, self.plan)
            scanner.adopt(chosen, block)
            found = [*scanner.block(block, at), *scanner.finish(), *found]
            if len(found) >= count:
                break
        return found[-count:]

    def _poll_all(self) -> list[Record]:
        found: list[Record] = []
        while records := self._read():
            found += records
        return found

    def poll(self, now: float) -> list[Record]:
        """Return what has become readable since the last call."""
        found = self._read_late(now)
        if self._fd < 0:
            if self._open():
                self._begin_file()
            return found
        while True:
            before = self.offset
            found += self._read()
            if self.offset == before:
                break
        found += self._changed(now)
        if self._held and now - self._fed > _HOLD:
            found += self._scanner.finish()
            self._held = False
        return found

    def _begin_file(self) -> None:
        self.offset, self._rest = 0, b""

    def _read(self) -> list[Record]:
        data = os.pread(self._fd, _READ, self.offset + len(self._rest))
        if not data:
            return []
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._rest += data
            return []
        block = self._rest + data[:cut]
        found = self._scanner.block(block, self.offset)
        self.offset += len(block)
        self._rest = data[cut:]
        self._fed, self._held = time.monotonic(), True
        return found

    def _finish_file(self) -> list[Record]:
        """Return what is left of a file that is complete now."""
        found: list[Record] = []
        while True:
            before = self.offset + len(self._rest)
            found += self._read()
            if self.offset + len(self._rest) == before:
                break
        if self._rest:
            found += self._scanner.block(self._rest, self.offset)
            self.offset += len(self._rest)
            self._rest = b""
        return [*found, *self._scanner.finish()]

    def _changed(self, now: float) -> list[Record]:
        """Notice rotation and truncation."""
        try:
            there = os.stat(self.path)
        except OSError:
            return []
        here = os.fstat(self._fd)
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            if here.st_size < self.offset + len(self._rest):
                print(f"mplog: {self.path} was truncated; reading it anew", file=sys.stderr)
                found = self._scanner.finish()
                self._begin_file()
                return found
            return []
        found = self._finish_file()
        between = self._rotated_between()
        self._late.append((self._fd, self.offset, now + _LATE))
        for path in between:
            found += self._whole(path)
        if self._open():
            self._begin_file()
        return found

    def _rotated_between(self) -> list[str]:
        """Return the files that came and went since the last look, oldest first."""
        names = [name for _, name in rotations(self.path)]
        here = os.fstat(self._fd)
        mark = fingerprint(self._fd, max(1, min(here.st_size, HEAD)))
        younger: list[str] = []
        for name in names:
            try:
                there = os.stat(name)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return younger[::-1]
                if is_compressed(name) and self._begins_with(name, mark):
                    return younger[::-1]
            except (OSError, EOFError):
                continue
            if there.st_mtime >= here.st_mtime:
                younger.append(name)
        return younger[::-1]

    @staticmethod
    def _begins_with(name: str, mark: list[int]) -> bool:
        import zlib

        with open_source(name) as stream:
            head = stream.read(mark[0])
        return len(head) == mark[0] and zlib.crc32(head) == mark[1]

    def _whole(self, path: str) -> list[Record]:
        from mplog.viewer.reading import blocks

        scanner = Scanner(path, self.plan)
        found: list[Record] = []
        with open_source(path) as stream:
            for at, block in blocks(stream):
                found += scanner.block(block, at)
        return [*found, *scanner.finish()]

    def _read_late(self, now: float) -> list[Record]:
        """Return what a slow writer still put into a file after its rotation."""
        found: list[Record] = []
        kept = []
        for fd, offset, until in self._late:
            data = os.pread(fd, _READ, offset)
            cut = data.rfind(b"\n") + 1
            if cut:
                scanner = Scanner(self.path, self.plan)
                found += [*scanner.block(data[:cut], offset), *scanner.finish()]
                offset += cut
            if now < until:
                kept.append((fd, offset, until))
            else:
                os.close(fd)
        self._late = kept
        return found

    def place(self) -> dict[str, object] | None:
        """Return where a later call goes on."""
        if self._fd < 0:
            return None
        return {"head": fingerprint(self._fd, self.offset), "offset": self.offset}


def follow(view: View) -> int:
    """Show the end of the logs, then what is appended, until interrupted; return the exit code."""
    if any(source.path == "-" for source in view.sources):
        raise ViewerError("--follow needs a file; standard input is followed anyway, leave --follow out")
    if view.before or view.after:
        raise ViewerError("--follow and context lines do not go together yet; use view without -f")
    plan = view.plan()
    with Output(view.args.out) as output:
        shown = Shown(view, output)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            for batch in _batches(view, plan):
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
        from mplog.viewer.view import measure

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


def _batches(view: View, plan: Plan) -> Iterator[list[Record]]:
    """Yield batches for ever; an interrupted one saves the cursor."""
    cursor = os.path.abspath(view.args.cursor_file) if view.args.cursor_file else ""
    places = load(cursor) if cursor else {}
    timed = view.selection.since is not None
    last = view.last if view.args.lines is not None else None if timed else FIRST
    tails = {source.path: Tail(source.path, plan) for source in view.sources}
    first = [tail.start(last, places.get(os.path.realpath(path))) for path, tail in tails.items()]
    records = _by_time(first)
    yield records[-last:] if last else records if last is None else []
    try:
        yield from _poll(view, plan, tails)
    finally:
        if cursor:
            for path, tail in tails.items():
                place = tail.place()
                if place is not None:
                    places[os.path.realpath(path)] = place
            save(cursor, places)


def _poll(view: View, plan: Plan, tails: dict[str, Tail]) -> Iterator[list[Record]]:
    active = looked = time.monotonic()
    while True:
        now = time.monotonic()
        found = [records for tail in list(tails.values()) if (records := tail.poll(now))]
        if found:
            active = now
            yield _by_time(found)
            continue
        if now - looked > _LOOK_FOR_FILES:
            looked = now
            for path in _new_files(view, tails):
                tails[path] = Tail(path, plan)
        time.sleep(_ACTIVE if now - active < 1.0 else _IDLE)


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
