"""Large files on all cores: blocks in turn to forked processes, their output in order.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mplog.viewer import layouts
from mplog.viewer.archives import is_compressed
from mplog.viewer.forks import LARGE, Team, workers
from mplog.viewer.formats import renderer
from mplog.viewer.pretty import Pretty, date_line, measure
from mplog.viewer.scan import Damage, Plan, Scanner
from mplog.viewer.walk import pieces_of, pread, span

if TYPE_CHECKING:
    from mplog.viewer.look import Look
    from mplog.viewer.output import Output, Progress
    from mplog.viewer.view import View

_BLOCK = 1 << 20
_PIECES = 8
_PIECE = 1 << 16
_HEADER = struct.Struct("<QQQQqQQ10sQ10s")


def fits(view: View, look: Look) -> bool:
    """Say whether a call can be divided: a large file of mplog's JSON, each record shown by itself."""
    args = view.args
    if not look.stateless or args.output in ("json", "html", "trace") or len(view.sources) != 1:
        return False
    if view.last is not None or args.reverse or args.max_count is not None or args.cursor_file:
        return False
    if workers() < 2 or not hasattr(os, "fork") or args.input_format not in ("auto", "json"):
        return False
    files = view.sources[0].files
    if any(path == "-" or is_compressed(path) or not os.path.isfile(path) for path in files):
        return False
    return (
        _to_read(view, files) >= LARGE and None not in (kinds := {_layout(path) for path in files}) and len(kinds) == 1
    )


def _to_read(view: View, files: tuple[str, ...]) -> int:
    """Return how many bytes the time asked for spans."""
    if sum(map(os.path.getsize, files)) < LARGE:
        return 0
    total = 0
    for path in files:
        with open(path, "rb", buffering=0) as stream:
            begin, end = span(stream, path, view.plan())
            total += (os.fstat(stream.fileno()).st_size if end is None else end) - begin
    return total


def _layout(path: str) -> str | None:
    """Return the layout that samples from all over a file share, or None."""
    with open(path, "rb", buffering=0) as stream:
        fd = stream.fileno()
        pieces = _pieces(fd, 0, os.fstat(fd).st_size)
    found = {layouts.sniff(_from_record(piece)) for piece in pieces if piece.count(b"\n") > 1}
    return found.pop() if len(found) == 1 else None


def _from_record(piece: bytes) -> bytes:
    """Cut off the rest of a text record at the beginning of a sample."""
    at = 0
    while piece[at : at + 1] != b"{" and not layouts.begins(piece, at):
        at = piece.find(b"\n", at) + 1
        if not at:
            return piece
    return piece[at:]


def _pieces(fd: int, begin: int, end: int) -> list[bytes]:
    """Return samples from all over a file, of whole lines."""
    step = max(_PIECE, (end - begin) // _PIECES)
    found = []
    for at in range(begin, end, step):
        piece = pread(fd, min(_PIECE, end - at), at)
        found.append(piece[piece.find(b"\n") + 1 if at else 0 :])
    return found


def show(view: View, plan: Plan, look: Look, output: Output, progress: Progress) -> None:
    """Read, select, render and write one log, all cores working.

    Raises:
        ViewerError: a process died or a file cannot be read.
        BrokenPipeError: nobody reads any more.
    """
    date, done = "", 0
    _measure(view, look)
    output.write(renderer(look).begin())
    for path in view.sources[0].files:
        with open(path, "rb", buffering=0) as stream:
            begin, end = span(stream, path, plan)
            end = os.fstat(stream.fileno()).st_size if end is None else end
            team = _Team(stream.fileno(), path, begin, end, plan, look, view.fail_on is not None).start()
            try:
                for header, payload in team.results():
                    done += _BLOCK
                    if payload:
                        progress.make_way()
                        first, last = (text.rstrip(b"\0").decode() for text in header[7:10:2])
                        rest = memoryview(payload)
                        if first and first != date:
                            output.write_bytes(rest[: header[8]])
                            output.write(date_line(first, look))
                            rest = rest[header[8] :]
                        date = last or date
                        output.write_bytes(rest)
                    view.shown += header[1]
                    _add_damage(plan.damage, path, header[2], header[3])
                    plan.damage.add_cut(path, header[6], header[5])
                    view.worst = max(view.worst, header[4])
                    progress.at(done)
            finally:
                team.dismiss()
    progress.clear()
    output.write(renderer(look).end())


def _add_damage(damage: Damage, path: str, count: int, offset: int) -> None:
    if count and not damage.count:
        damage.path, damage.offset = path, offset
    damage.count += count


def _measure(view: View, look: Look) -> None:
    """Find the names' width from samples of the file: the processes cannot agree on one later."""
    from mplog.viewer.comparisons import Compare
    from mplog.viewer.conditions import All, Glob, Not
    from mplog.viewer.selection import Selection

    parts = [
        part
        for part in view.selection.condition.parts
        if getattr(part.part if isinstance(part, Not) else part, "field", None) in ("process", "pid")
        and isinstance(part.part if isinstance(part, Not) else part, (Glob, Compare))
    ]
    plan = Plan(Selection(All(tuple(parts))), show_damaged=False, damage=Damage("skip"))
    records = []
    for path in view.sources[0].files:
        with open(path, "rb", buffering=0) as stream:
            begin, end = span(stream, path, view.plan())
            size = os.fstat(stream.fileno()).st_size if end is None else end
            for piece in _pieces(stream.fileno(), begin, size):
                records += Scanner(path, plan).block(piece, 0)
    measure(look, records)


class _Team(Team):
    """Render the blocks of one file."""

    def __init__(self, fd: int, path: str, begin: int, end: int, plan: Plan, look: Look, levels: bool) -> None:
        super().__init__(fd, path, begin, end, _BLOCK)
        self._plan, self._look, self._levels = plan, look, levels
        self.text = layouts.sniff(_from_record(pread(fd, _PIECE, begin))) == layouts.TEXT

    def prepare(self) -> None:
        """Make what selects and what renders."""
        self._scanner = Scanner(self.path, self._plan, whole=True)
        self._render = renderer(self._look)
        if isinstance(self._render, Pretty):
            self._render.muted = True

    def answer(self, number: int) -> tuple[bytes, bytes]:
        """Return a header, and the records of a block as they are shown."""
        damage, scanner, render = self._plan.damage, self._scanner, self._render
        damage.count = damage.offset = damage.cut = damage.cut_offset = 0
        begin, end = self.bounds(number)
        records = []
        if end - begin <= 2 * _BLOCK:
            records += scanner.block(pread(self.fd, end - begin, begin), begin) if end > begin else []
        else:  # a very long line is cut, as it is by one process
            for at, data, limit in pieces_of(self.fd, begin, end, self._plan.longest, records=self.text):
                records += scanner.block(data, at, limit)
        records += scanner.finish()
        payload = render.render(records).encode("utf-8", "backslashreplace") if records else b""
        first, at, last = render.take_dates() if isinstance(render, Pretty) else ("", 0, "")
        worst = max((record.levelno for record in records), default=-1) if self._levels else -1
        damage.note_cut(records)
        counts = (len(payload), len(records), damage.count, damage.offset, worst, damage.cut, damage.cut_offset)
        return _HEADER.pack(*counts, first.encode()[:10], at, last.encode()[:10]), payload

    def results(self) -> Iterator[tuple[tuple[Any, ...], bytes]]:
        """Yield (header, payload) of each block in the order of the file."""
        for block in range(self.blocks):
            header = _HEADER.unpack(self.receive(block, _HEADER.size))
            yield header, self.receive(block, header[0])
