"""Switch on and off what else becomes records: warnings, uncaught exceptions, output, the dumps of faulthandler.

Runs in a worker (the parent is one, too), for each name in ``setup(capture=...)``. A forked child is armed again, with
files of its own, before its first line of code.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mplog._shared import descriptors as _descriptors
from mplog._shared.owner import identity
from mplog._shared.pending import Board, create_file
from mplog._worker import uncaught
from mplog._worker.output import CapturedDescriptor, CapturedStream, spare_handlers

if TYPE_CHECKING:
    from mplog.worker import Worker


class _Capture:
    """Everything that one process captures for one session."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.wanted = frozenset(worker.config.capture)
        self.pid = os.getpid()
        self.streams: dict[int, CapturedStream] = {}
        self.descriptors: list[CapturedDescriptor] = []
        self.board: Board | None = None
        self.fault_fd = -1
        self.fault_path = ""
        self._faults_before = faulthandler.is_enabled()
        self._spare: Callable[[], None] = lambda: None
        self._reconfigured: list[Any] = []
        self.warn_before: Any = None

    def begin(self) -> None:
        """Set all hooks. What cannot be set is left out, with one line on stderr."""
        wanted = self.wanted
        if "warnings" in wanted:
            self._guard(self._take_warnings)
        if "exceptions" in wanted:
            self._guard(lambda: uncaught.install(stderr_is_log=bool(wanted & {"stderr", "fd"})))
        self.open_files()
        for number, name in ((1, "stdout"), (2, "stderr")):
            replaced = getattr(sys, name, None)
            if name in wanted and replaced is not None and not isinstance(replaced, CapturedStream):
                with contextlib.suppress(Exception):
                    replaced.flush()
                self.streams[number] = CapturedStream(number, replaced, self.board, self._redacted)
                setattr(sys, name, self.streams[number])
        if "fd" in wanted:
            self._spare = spare_handlers()
            self._write_lines_at_once()

    def open_files(self) -> None:
        """Make the files of this process: its own, with its own name in them."""
        wanted = self.wanted
        if not wanted & {"stdout", "stderr", "fd", "faulthandler"}:
            return
        stem = self._guard(lambda: self.worker.claim().path.removesuffix(".owner"))
        if stem is None:
            return
        who = {name: value for name, value in identity().items() if name in ("process", "pid")}
        if wanted & {"stdout", "stderr"}:
            self.board = self._guard(lambda: Board(stem, who))
        if "fd" in wanted:
            for number in (1, 2):
                taken = self._guard(lambda fd=number: CapturedDescriptor(fd, stem, who, self.worker.config.quota))
                if taken is not None:
                    self.descriptors.append(taken)
        if "faulthandler" in wanted:
            self._guard(lambda: self._dump_to(stem + ".fault"))

    def end(self) -> None:
        """Put everything back."""
        self.give_out()
        for number, stream in self.streams.items():
            name = "stdout" if number == 1 else "stderr"
            if getattr(sys, name) is stream:
                setattr(sys, name, stream.replaced)
            stream.forget()
        self._spare()
        for stream in self._reconfigured:
            with contextlib.suppress(Exception):
                stream.reconfigure(line_buffering=False)
        for descriptor in self.descriptors:
            self._guard(descriptor.restore)
        if "exceptions" in self.wanted:
            uncaught.uninstall()
        if self.warn_before is not None and warnings.showwarning is _show_warning:
            warnings.showwarning = self.warn_before
        if self.fault_fd >= 0:
            faulthandler.disable()
            if self._faults_before and sys.__stderr__ is not None:
                self._guard(faulthandler.enable)
            os.close(self.fault_fd)
            with contextlib.suppress(OSError):
                os.unlink(self.fault_path)
        if self.board is not None:
            self.board.close()

    def rearm(self) -> None:
        """Give a forked child its own files; the parent's are the parent's."""
        self.pid = os.getpid()
        board, self.board = self.board, None
        descriptors, self.descriptors = self.descriptors, []
        fault_fd, self.fault_fd = self.fault_fd, -1
        self.open_files()
        for stream in self.streams.values():
            stream.adopt(self.board)
        # Only now: until here a line of C code had to go somewhere.
        for descriptor in descriptors:
            self._guard(descriptor.release)
        if board is not None:
            self._guard(board.close)
        if fault_fd >= 0:
            os.close(fault_fd)

    def give_out(self, *, quiet: bool = False) -> None:
        """Make records of unfinished lines; see `CapturedStream.give_out`."""
        for stream in self.streams.values():
            self._guard(lambda out=stream: out.give_out(quiet=quiet))

    def _guard(self, call: Callable[..., Any]) -> Any:
        try:
            return call()
        except Exception as error:  # capturing is not worth the program
            reason = f"{type(error).__name__}: {error}"
            _descriptors.write_original(2, f"mplog: `capture` could not do all it should ({reason}).\n")
            return None

    def _redacted(self, text: str) -> str:
        redact = self.worker.redact
        return text if redact is None else str(redact(text, {}, None)[0])

    def _take_warnings(self) -> None:
        if warnings.showwarning is getattr(logging, "_showwarning", None):
            return  # `logging.captureWarnings` does it already.
        self.warn_before = warnings.showwarning
        warnings.showwarning = _show_warning

    def _dump_to(self, path: str) -> None:
        fd = create_file(path, {})
        os.ftruncate(fd, 0)
        faulthandler.enable(fd)
        self.fault_fd, self.fault_path = fd, path

    def _write_lines_at_once(self) -> None:
        """Let `print` reach the descriptor with each line, or a segfault takes what Python still holds."""
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name, None)
            with contextlib.suppress(Exception):
                if stream.fileno() == number and not stream.line_buffering:  # type: ignore[union-attr]
                    stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
                    self._reconfigured.append(stream)


class _Bootstrapped:
    """Called by multiprocessing in its children, when their name is set and old exit hooks are gone."""


_current: _Capture | None = None
_token = _Bootstrapped()
_registered = False


def install(worker: Worker) -> None:
    """Capture what `worker.config.capture` names, from now on. Never raises."""
    global _current, _registered
    if _current is not None or not worker.config.capture:
        return
    from multiprocessing import util

    if not _registered:
        util.register_after_fork(_token, _bootstrapped)
        _registered = True
    _current = _Capture(worker)
    _current.begin()


def uninstall() -> None:
    """Give out unfinished lines and put everything back as it was. Never raises."""
    global _current
    capture, _current = _current, None
    if capture is not None:
        if capture.pid != os.getpid():
            capture.board, capture.descriptors, capture.fault_fd = None, [], -1
        capture.end()


def flush() -> None:
    """Make records of unfinished lines: the process, or its session, ends."""
    if _current is not None and _current.pid == os.getpid():
        _current.give_out()


def check() -> None:
    """Look after unfinished lines and full raw files; called with a record, every half second at most."""
    capture = _current
    if capture is None or capture.pid != os.getpid():
        return
    capture.give_out(quiet=True)
    for descriptor in capture.descriptors:
        if sentence := descriptor.check():
            logging.getLogger("mplog.capture").warning(sentence)


def after_fork() -> None:
    """Leave the parent's files to the parent. Runs in the forked child, before any code of the application.

    A child of multiprocessing is armed a little later, when it has its name; every other one at once.
    """
    capture = _current
    if capture is None or capture.pid == os.getpid():
        return
    for stream in capture.streams.values():
        stream.forget()
    if not _is_multiprocessing():
        capture.rearm()


def _bootstrapped(_: _Bootstrapped) -> None:
    capture = _current
    if capture is None:
        return
    if capture.pid != os.getpid():
        capture.rearm()
    else:
        # What was registered while the process object was unpickled has just been cleared.
        capture.worker.register_end()


def _is_multiprocessing() -> bool:
    """Tell whether this process was forked by multiprocessing, which goes on in `_bootstrap`."""
    frame: Any = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("mplog."):
        frame = frame.f_back
    name = frame.f_globals.get("__name__") if frame is not None else ""
    return name in ("multiprocessing.popen_fork", "multiprocessing.forkserver")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Be `warnings.showwarning`: a record of logger ``py.warnings`` at the place the warning is about."""
    capture = _current
    before = capture.warn_before if capture is not None else None
    if file is not None or capture is None:
        _shown_before(before, message, category, filename, lineno, file, line)
        return
    try:
        logger = logging.getLogger("py.warnings")
        if logger.isEnabledFor(logging.WARNING):
            text = f"{category.__name__}: {message}"
            fields = {"category": category.__name__}
            logger.handle(logger.makeRecord(logger.name, logging.WARNING, filename, lineno, text, (), None, "", fields))
    except Exception:  # a warning whose text raises, a filter of the application
        _shown_before(before, message, category, filename, lineno, file, line)
        return
    if before is not None and before is not getattr(warnings, "_showwarning_orig", before):
        with contextlib.suppress(Exception), _descriptors.Exempt():
            before(message, category, filename, lineno, file, line)


def _shown_before(before: Any, *args: Any) -> None:
    original = before or getattr(warnings, "_showwarning_orig", None)
    if original is not None:
        original(*args)
