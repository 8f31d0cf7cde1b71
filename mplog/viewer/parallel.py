"""Large files on all cores: blocks in turn to forked processes, their output in order.

Runs in the command `mplog`.
"""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from mplog.viewer import layouts
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.formats import Renderer, renderer
from mplog.viewer.pretty import Pretty, date_line, measure
from mplog.viewer.reading import is_compressed
from mplog.viewer.scan import Damage, Plan, Scanner
from mplog.viewer.walk import pread, span

if TYPE_CHECKING:
    from mplog.viewer.look import Look
    from mplog.viewer.output import Output, Progress
    from mplog.viewer.view import View

LARGE = 16 << 20
_BLOCK = 1 << 20
_PIECES = 8
_PIECE = 1 << 16
_HEADER = struct.Struct("<QQQQq10sQ10s")


def workers() -> int:
    """Return how many processes read: one a core, MPLOG_JOBS if it is set."""
    wanted = os.environ.get("MPLOG_JOBS", "")
    if wanted.isascii() and wanted.isdigit():
        return max(1, min(64, int(wanted)))
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
            team = _Team(stream.fileno(), path, begin, end, plan, look, view.fail_on is not None)
            try:
                for header, payload in team.results():
                    done += _BLOCK
                    if payload:
                        progress.clear()
                        first, last = (text.rstrip(b"\0").decode() for text in header[5:8:2])
                        rest = memoryview(payload)
                        if first and first != date:
                            output.write_bytes(rest[: header[6]])
                            output.write(date_line(first, look))
                            rest = rest[header[6] :]
                        date = last or date
                        output.write_bytes(rest)
                    view.shown += header[1]
                    _add_damage(plan.damage, path, header[2], header[3])
                    view.worst = max(view.worst, header[4])
                    progress.at(done)
            finally:
                team.end()
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


class _Team:
    """A few forked processes; number i takes the blocks i, i + n, i + 2n, and answers through its own pipe.

    A process waits in `write` while its pipe is full, so memory is bounded and the order is the file's.
    """

    def __init__(self, fd: int, path: str, begin: int, end: int, plan: Plan, look: Look, levels: bool) -> None:
        self._fd, self._path, self._begin, self._end = fd, path, begin, end
        self._plan, self._look, self._levels = plan, look, levels
        self.blocks = -(-(end - begin) // _BLOCK)
        self._text = layouts.sniff(_from_record(pread(fd, _PIECE, begin))) == layouts.TEXT
        count = max(1, min(workers(), self.blocks))
        self._pipes: list[int] = []
        self._pids: list[int] = []
        for number in range(count):
            reading, writing = os.pipe()
            with suppress(OSError, AttributeError, ImportError):
                import fcntl

                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
            pid = os.fork()
            if pid == 0:
                self._work(number, count, reading, writing)
            os.close(writing)
            self._pipes.append(reading)
            self._pids.append(pid)

    def _work(self, number: int, count: int, reading: int, writing: int) -> NoReturn:
        """Answer for the blocks of one process. Runs in the forked process and never returns."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for pipe in (*self._pipes, reading):
                os.close(pipe)
            scanner = Scanner(self._path, self._plan, whole=True)
            render = renderer(self._look)
            if isinstance(render, Pretty):
                render.muted = True
            for block in range(number, self.blocks, count):
                self._answer(block, scanner, render, writing)
            code = 0
        except BrokenPipeError:
            code = 0
        except BaseException as error:  # A forked process must end here, whatever happens in it.
            with suppress(BaseException):
                os.write(2, f"mplog: a reading process failed: {error!r}\n".encode("utf-8", "backslashreplace"))
        finally:
            os._exit(code)

    def _answer(self, number: int, scanner: Scanner, render: Renderer, writing: int) -> None:
        damage = self._plan.damage
        damage.count = damage.offset = 0
        begin, end = self._line_start(number), self._line_start(number + 1)
        records = scanner.block(pread(self._fd, end - begin, begin), begin) if end > begin else []
        records += scanner.finish()
        payload = render.render(records).encode("utf-8", "backslashreplace") if records else b""
        first, at, last = render.take_dates() if isinstance(render, Pretty) else ("", 0, "")
        worst = max((record.levelno for record in records), default=-1) if self._levels else -1
        counts = (len(payload), len(records), damage.count, damage.offset, worst)
        header = _HEADER.pack(*counts, first.encode()[:10], at, last.encode()[:10])
        for part in (header, payload):
            view = memoryview(part)
            while view:
                view = view[os.write(writing, view) :]

    def _line_start(self, number: int) -> int:
        """Return where the first record begins that starts in a block or behind it."""
        at = self._begin + number * _BLOCK
        if number == 0 or at >= self._end:
            return self._begin if number == 0 else self._end
        at -= 1
        while at < self._end:
            piece = pread(self._fd, 1 << 14, at)
            newline = piece.find(b"\n")
            while newline >= 0 and self._text and not layouts.begins(piece, newline + 1):
                newline = piece.find(b"\n", newline + 1)
            if newline >= 0:
                return min(self._end, at + newline + 1)
            # A header that lies across two pieces must be seen whole.
            at += max(1, len(piece) - 32) if self._text else len(piece)
            if not piece or len(piece) < 64:
                break
        return self._end

    def results(self) -> Iterator[tuple[tuple[Any, ...], bytes]]:
        """Yield (header, payload) of each block in the order of the file."""
        for block in range(self.blocks):
            pipe = self._pipes[block % len(self._pipes)]
            header = _HEADER.unpack(self._exactly(pipe, _HEADER.size))
            yield header, self._exactly(pipe, header[0])

    def _exactly(self, pipe: int, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(pipe, min(size, 1 << 20))
            if not part:
                raise ViewerError(f"{self._path}: a process that read it died; MPLOG_JOBS=1 reads in one")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def end(self) -> None:
        """Close the pipes and wait for the processes."""
        for pipe in self._pipes:
            os.close(pipe)
        for pid in self._pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
