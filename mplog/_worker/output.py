"""What a process writes to its standard streams: by `sys.stdout` and `sys.stderr`, and by descriptor.

Runs in a worker. A stream makes records of its lines itself. What C code and child programs write to the descriptors
goes to a raw file in the spool, of which the listener makes records: a segfault takes nothing with it, and whoever
writes there never waits.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from mplog._shared import descriptors
from mplog._shared.pending import QUIET, QUIET_BAR, Board, create_file, read_header

NAMES = {1: "stdout", 2: "stderr"}
LEVELS = {1: logging.INFO, 2: logging.WARNING}
_EMIT = logging.StreamHandler.emit.__code__
"""What handlers of `logging` write is log already; as output it would be in the log twice."""
LONGEST = 1 << 20
"""Characters of an unfinished line above which it becomes a record as it is."""


class _Line:
    """A line that a thread has begun."""

    __slots__ = ("moment", "number", "text")

    def __init__(self) -> None:
        self.text = ""
        self.moment = 0
        self.number = 0


def last_state(line: str) -> str:
    """Return what a terminal would show of a line in the end: a progress bar's last state."""
    if "\r" not in line:
        return line
    return next((state for state in reversed(line.split("\r")) if state), "")


class CapturedStream(io.TextIOBase):
    """Stand in for `sys.stdout` or `sys.stderr`: each line becomes a record of logger ``stdout`` or ``stderr``.

    Any thread may write; each has lines of its own. What is written while a record is handled goes to the original.

    Args:
        number: 1 or 2.
        replaced: the stream that stood there; its descriptor, name and encoding are kept.
        board: where unfinished lines lie.
        redact: takes the secrets out of a text.
    """

    def __init__(self, number: int, replaced: Any, board: Board | None, redact: Callable[[str], str]) -> None:
        self.replaced = replaced
        self.line_buffering, self.write_through = True, False
        self.mode = "w"
        self.name = getattr(replaced, "name", f"<{NAMES[number]}>")
        self.buffer = _Bytes(self)
        self._number = number
        self._board = board
        self._redact = redact
        self._logger = logging.getLogger(NAMES[number])
        self._lock = threading.RLock()
        self._lines: dict[int, _Line] = {}
        self._shown: _Line | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream that stood there, which programs look at before they write."""
        return getattr(self.replaced, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters that cannot be encoded are treated: escaped."""
        return "backslashreplace"

    def fileno(self) -> int:
        """Return the descriptor, for child programs and C code. It is captured by `"fd"` only."""
        return int(self.replaced.fileno())

    def isatty(self) -> bool:
        """Return False: a log is no terminal, so colours and cursor movements are left out by those who ask."""
        return False

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def reconfigure(self, **options: Any) -> None:
        """Accept what a program wants of its standard stream; a log needs none of it."""

    def close(self) -> None:
        """Give out what is unfinished; the stream stays usable, as somebody always prints once more."""
        self.give_out()

    def flush(self) -> None:
        """Do nothing: complete lines are records already, and of an unfinished one the rest may follow."""

    def write(self, text: str) -> int:
        """Make records of the lines that this text completes."""
        if type(text) is not str:
            if not isinstance(text, str):
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            text = str(text)
        frame = sys._getframe(1)
        if frame.f_code is _EMIT or descriptors.is_exempt():
            return self._pass_on(text)
        ready = self._take(text)
        if ready:
            self._log(ready, (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each of the texts."""
        for line in lines:
            self.write(line)

    def give_out(self, *, quiet: bool = False) -> None:
        """Make records of unfinished lines, in any thread; with `quiet` of those that nobody continued for a while."""
        now = time.monotonic_ns()
        ready = []
        with self._lock:
            for thread, line in list(self._lines.items()):
                wait = QUIET_BAR if "\r" in line.text else QUIET
                if not quiet or now - line.moment >= wait:
                    del self._lines[thread]
                    ready.append(self._rest(line))
        self._log([text for text in ready if text], ("", 0, ""))

    def forget(self) -> None:
        """Leave unfinished lines to the parent. Runs in a forked child."""
        self._lock = threading.RLock()
        self._lines, self._shown, self._board = {}, None, None

    def adopt(self, board: Board | None) -> None:
        """Put unfinished lines there from now on."""
        self._board = board

    def _take(self, text: str) -> list[str]:
        """Add a text to this thread's line; return the lines that are complete."""
        thread = threading.get_ident()
        with self._lock:
            line = self._lines.get(thread)
            if line is None:
                if text.endswith("\n") and text.count("\n") == 1 and "\r" not in text:
                    return [text[:-1]]
                line = self._lines[thread] = _Line()
            begun = self._rest(line) + text
            *ready, line.text = begun.split("\n")
            if len(line.text) > LONGEST:
                ready.append(line.text)
                line.text = ""
            if "\r" in line.text:
                # One mark that it is a bar is enough; the states before are gone.
                line.text = "\r" + last_state(line.text) + ("\r" if line.text.endswith("\r") else "")
            # Not `del`: a signal handler or finalizer that prints may have been here.
            if line.text:
                self._lines[thread] = line
                self._show(line)
            else:
                self._lines.pop(thread, None)
            return ready

    def _show(self, line: _Line) -> None:
        line.moment = time.monotonic_ns()
        if self._board is None or self._shown not in (None, line):
            return
        bar = "\r" in line.text
        text = self._redact(last_state(line.text))
        line.number = self._board.show(
            self._number, text.encode("utf-8", "backslashreplace"), line.moment, time.time_ns(), bar=bar
        )
        self._shown = line

    def _rest(self, line: _Line) -> str:
        """Take a line down; return what of it the listener has not made a record of."""
        text, number = line.text, line.number
        board = self._board
        line.text, line.number = "", 0
        if line is not self._shown or board is None:
            return text
        self._shown = None
        # Taken down first, then the clock: from here on the listener does not find it.
        board.clear(self._number)
        age = time.monotonic_ns() - line.moment
        if age < (QUIET_BAR if "\r" in text else QUIET) or board.keep(self._number, number):
            return text
        shown = self._redact(last_state(text))
        return shown[Board.room(shown) :]

    def _log(self, lines: list[str], place: tuple[str, int, str]) -> None:
        logger, level = self._logger, LEVELS[self._number]
        with descriptors.Exempt():
            for line in lines:
                try:
                    shown = last_state(line)
                    if shown and logger.isEnabledFor(level):
                        file, lineno, func = place
                        logger.handle(logging.LogRecord(logger.name, level, file, lineno, shown, None, None, func))
                except Exception:  # a filter of the application; its output must not be lost with it
                    self._pass_on(line + "\n")

    def _pass_on(self, text: str) -> int:
        try:
            fd = self.replaced.fileno()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(Exception):
                self.replaced.write(text)
            return len(text)
        if fd in descriptors.saved:
            descriptors.write_original(fd, text)
            return len(text)
        with contextlib.suppress(Exception):
            self.replaced.write(text)
            self.replaced.flush()
        return len(text)


class _Bytes(io.BufferedIOBase):
    """The `buffer` of a captured stream: bytes become text, what is no UTF-8 becomes escapes."""

    def __init__(self, stream: CapturedStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Any) -> int:
        """Write the text that the bytes stand for."""
        view = bytes(data)
        self._stream.write(self._decoder.decode(view))
        return len(view)

    def writable(self) -> bool:
        """Return True."""
        return True

    def flush(self) -> None:
        """Do nothing, like the stream."""

    def close(self) -> None:
        """Do nothing: a standard stream stays open."""

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    @property
    def raw(self) -> _Bytes:
        """Return itself: nothing lies beneath."""
        return self


class CapturedDescriptor:
    """Descriptor 1 or 2, led into a raw file of this process.

    Args:
        number: 1 or 2.
        stem: path of the journal without a suffix.
        identity: who this process is; the first line of the raw file.
        quota: bytes of unread output above which it is left out until the listener has caught up.
    """

    def __init__(self, number: int, stem: str, identity: dict[str, Any], quota: int) -> None:
        self.number = number
        self._quota = quota
        self._full = False
        saved = descriptors.saved.get(number, -1)
        if saved < 0:
            _flush(number)
            saved = _duplicate(number)
        try:
            self._raw = create_file(f"{stem}.fd{number}", {**identity, "fd": number, "saved": saved})
        except OSError:
            if number not in descriptors.saved:
                os.close(saved)
            raise
        descriptors.saved[number] = saved
        os.dup2(self._raw, number)

    def restore(self) -> None:
        """Lead the descriptor back to where it led before."""
        _flush(self.number)
        before = descriptors.saved.pop(self.number, -1)
        if before >= 0:
            os.dup2(before, self.number)
            os.close(before)
        self.release()

    def release(self) -> None:
        """Give back the raw file, which stays for the listener."""
        os.close(self._raw)

    def check(self) -> str:
        """Leave output out while the raw file holds more than the quota; return a sentence when that changes."""
        held = os.fstat(self._raw).st_blocks * 512
        if not self._full and held > self._quota:
            self._full = True
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(null, self.number)
            os.close(null)
            return f"the listener is behind; output to descriptor {self.number} is left out from now on"
        if self._full and held < self._quota // 2:
            self._full = False
            os.dup2(self._raw, self.number)
            return f"output to descriptor {self.number} is captured again"
        return ""


def _duplicate(number: int) -> int:
    """Return a duplicate of a standard descriptor, numbered 10 or more; where it is closed, of the null device."""
    for find in (_of_parent, os.dup, _null):
        with contextlib.suppress(OSError, ValueError, TypeError):
            fd = find(number)
            try:
                return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
            finally:
                os.close(fd)
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _null(_: int) -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def _of_parent(number: int) -> int:
    """Return what the parent's descriptor was before it was captured, if this process was started with the raw file.

    Under spawn that is so: what goes to the original here would be output of the parent.
    """
    path = os.readlink(f"/proc/self/fd/{number}")
    if not path.endswith((".fd1", ".fd2")):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    with open(path, "rb", buffering=0) as file:
        owner, _ = read_header(file.fileno())
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(f"/proc/{int(owner.get('pid', 0))}/fd/{int(owner.get('saved', -1))}", flags)


def _flush(number: int) -> None:
    """Write out what Python and C hold for a descriptor, before it leads elsewhere."""
    for stream in (getattr(sys, NAMES[number], None), getattr(sys, f"__{NAMES[number]}__", None)):
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]


def spare_handlers() -> Callable[[], None]:
    """Let handlers of `logging` that write to a captured descriptor write to the original: what they write is log.

    Returns:
        What puts them back.
    """
    changed: list[tuple[logging.StreamHandler[Any], Any, Any]] = []
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
            continue
        with contextlib.suppress(Exception):
            stream = handler.stream
            fd = stream.fileno()
            if fd not in descriptors.saved or isinstance(stream, CapturedStream):
                continue
            spare = open(
                descriptors.saved[fd], "w", encoding=stream.encoding, errors="backslashreplace", closefd=False,
                buffering=1,
            )  # fmt: skip
            handler.setStream(spare)
            changed.append((handler, stream, spare))

    def undo() -> None:
        for handler, stream, spare in changed:
            if handler.stream is spare:
                handler.setStream(stream)

    return undo
