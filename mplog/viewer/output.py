"""Where the output goes: standard output, a pager, a file; and what ends it. Runs in the command `mplog`."""

from __future__ import annotations

import os
import select
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from mplog.viewer.escapes import escape_lines
from mplog.viewer.exceptions import ViewerError

if TYPE_CHECKING:
    import subprocess


class Output:
    """Write text to standard output, to a pager, or to a file.

    Args:
        path: a file to write, or None.
        pager: start a pager if standard output is a terminal.

    Raises:
        ViewerError: the file cannot be written.
    """

    def __init__(self, path: str | None = None, *, pager: bool = False) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._opened = False
        self.terminal = path is None and is_terminal(1)
        if path is not None:
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ViewerError(f"{path}: cannot be written: {error.strerror}") from None
            self._opened = True
        else:
            self._fd = 1
            if pager and self.terminal:
                self._start_pager()

    def _start_pager(self) -> None:
        import shlex
        import shutil
        import subprocess

        command = os.environ.get("MPLOG_PAGER", os.environ.get("PAGER", "less"))
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ViewerError(f"the pager {command!r} is no command: {error}; -P does without") from None
        if not words or words == ["cat"] or shutil.which(words[0]) is None:
            return
        environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)
        assert self._process.stdin is not None
        self._fd = self._process.stdin.fileno()

    @property
    def paged(self) -> bool:
        """Say whether a pager shows the output."""
        return self._process is not None

    def write(self, text: str) -> None:
        """Write text.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        self.write_bytes(text.encode("utf-8", "backslashreplace"))

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Write bytes, all of them."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def pause(self, seconds: float) -> None:
        """Wait, while there is nothing to write.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if not hasattr(select, "poll"):
            time.sleep(seconds)
            return
        poller = select.poll()
        poller.register(self._fd, 0)
        if poller.poll(seconds * 1000):  # nothing but errors was asked for
            raise BrokenPipeError

    def stream(self) -> TextIO:
        """Return a buffered text stream to the same place; close it before the output."""
        return open(self._fd, "w", encoding="utf-8", errors="backslashreplace", newline="\n", closefd=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened:
            os.close(self._fd)
        if self._process is not None:
            try:
                assert self._process.stdin is not None
                self._process.stdin.close()
            except OSError:
                pass
            while True:
                try:
                    self._process.wait()
                    break
                except KeyboardInterrupt:
                    continue


def say(sentence: str) -> None:
    """Say a sentence of our own on stderr, whatever the names in it hold."""
    print(f"mplog: {escape_lines(sentence)}", file=sys.stderr)


def is_terminal(fd: int) -> bool:
    """Say whether a descriptor is a terminal; a closed one is none."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def terminal_width() -> int:
    """Return the columns of the terminal, or of COLUMNS, or 100."""
    import shutil

    try:
        return max(20, shutil.get_terminal_size((100, 24)).columns)
    except (ValueError, OSError):
        return 100


class Progress:
    """Show on a stderr terminal how far a scan is, once it takes over a second; erased before anything else.

    Args:
        total: bytes to read.
        shown: whether to show anything at all.
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = max(1, total)
        self._shown = shown and is_terminal(2) and os.environ.get("TERM") != "dumb"
        self._beside = is_terminal(1)
        self._start = time.monotonic()
        self._next = self._start + 1.0
        self._visible = False

    def at(self, done: int) -> None:
        """Note that so many bytes are read."""
        if not self._shown:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        global _on_screen
        self._visible = _on_screen = True
        share = min(1.0, done / self._total)
        rate = done / (now - self._start) / 1e6
        left = (self._total - done) / max(1.0, done) * (now - self._start)
        facts = f"{share:4.0%}  {rate:,.0f} MB/s  {left:.0f} s left"
        room = min(24, terminal_width() - len(facts) - 2)
        full = int(share * room)
        bar = "█" * full + "░" * (room - full) + " " if room > 4 else ""
        print(
            f"\r{(bar + facts)[: terminal_width() - 1]}\x1b[K",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def make_way(self) -> None:
        """Erase the line if output is about to come on the same terminal."""
        if self._beside:
            self.clear()

    def clear(self) -> None:
        """Erase the line."""
        if self._visible:
            self._visible = False
            clear_progress()


_on_screen = False


def clear_progress() -> None:
    """Erase the line that shows how far a scan is, whoever shows it."""
    global _on_screen
    if _on_screen:
        _on_screen = False
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
