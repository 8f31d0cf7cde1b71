"""Console lines that appear above the progress bars of this process. Runs in the parent.

    listener --FIFO `terminal`--> thread here --> tqdm's or rich's own way to write above bars --> terminal

While a bar is up, this process alone writes to its terminal: two that do tear each other's lines. The thread lives
only as long as there are bars (see `bars`).
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
import weakref
from typing import Any

from mplog._shared.spool import Spool

FIFO = "terminal"
LOOK_EVERY = 0.05
"""Seconds between two looks whether the bars are gone."""
DRAIN = 2.0
"""Seconds to wait for what the listener is just handing over."""


class Router:
    """Write on this process's terminal what the listener hands over, while there are bars.

    Args:
        spool: the session's directory.
        fd: the terminal.
    """

    def __init__(self, spool: Spool, fd: int) -> None:
        self._path = spool.file(FIFO)
        self._fd = fd
        self._bars: dict[int, weakref.ref[Any]] = {}
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends: list[int] = []
        self._pid = os.getpid()
        self._closing = False

    def begin(self, bar: Any) -> None:
        """Note that a bar is up; from now on lines go through this process."""
        if os.getpid() != self._pid or self._closing:
            return
        with self._changing:
            self._bars[id(bar)] = weakref.ref(bar)
            if self._thread is not None:
                return
            try:
                os.mkfifo(self._path, 0o600)
                os.chmod(self._path, 0o600)  # whatever the umask
            except FileExistsError:
                pass
            except OSError:
                return  # No session any more: nothing comes.
            reader = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            # Our own writer keeps the pipe from being at its end whenever the listener is not writing.
            self._ends = [reader, os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)]
            self._thread = threading.Thread(target=self._run, name="mplog-terminal", daemon=True)
            self._thread.start()

    def end(self, bar: Any) -> None:
        """Note that a bar is gone. Never waits: it may be called while a bar is collected."""
        self._bars.pop(id(bar), None)

    def close(self) -> None:
        """Write what is on its way, and write no more."""
        self._closing = True
        thread = self._thread
        if thread is not None and os.getpid() == self._pid:
            thread.join(DRAIN + 1.0)

    def forget(self) -> None:
        """Leave the pipe to the parent. Runs in a forked child."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                os.close(end)
        self._ends = []
        self._thread = None
        self._bars.clear()

    def up(self) -> list[Any]:
        """Return the bars that are up."""
        return [bar for bar in (ref() for ref in list(self._bars.values())) if bar is not None]

    def _run(self) -> None:
        reader = self._ends[0]
        rest = b""
        while True:
            while self.up() and not self._closing:
                if select.select([reader], [], [], LOOK_EVERY)[0]:
                    rest = self._write(rest + os.read(reader, 1 << 16))
            with self._changing:
                if self.up() and not self._closing:
                    continue
                self._thread = None
                rest = self._drain(rest)
                if rest:
                    self._write(rest + b"\n")
                return

    def _drain(self, rest: bytes) -> bytes:
        """Close the way and take what is on it: whoever has opened it already may still write."""
        reader, writer = self._ends
        self._ends = []
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(writer)
        deadline = time.monotonic() + DRAIN
        while time.monotonic() < deadline:
            try:
                data = os.read(reader, 1 << 16)
            except BlockingIOError:
                select.select([reader], [], [], LOOK_EVERY)
                continue
            if not data:
                break
            rest = self._write(rest + data)
        os.close(reader)
        return rest

    def _write(self, data: bytes) -> bytes:
        """Write the whole lines above the bars; return the rest."""
        end = data.rfind(b"\n") + 1
        if end:
            try:
                _above(self.up(), self._fd, data[:end])
            except Exception:  # a bar in the midst of its end: the line must come all the same
                _write_all(self._fd, b"\r\x1b[K" + data[:end])
        return data[end:]


def _above(bars: list[Any], fd: int, data: bytes) -> None:
    """Write whole lines above the bars, as their library does it."""
    lives = [bar for bar in bars if hasattr(bar, "console")]
    if lives:
        from rich.text import Text

        text = Text.from_ansi(data.decode("utf-8", "replace").rstrip("\n"))
        lives[-1].console.print(text, soft_wrap=True, highlight=False)
        return
    tqdm: Any = sys.modules.get("tqdm.std")
    if tqdm is None:
        _write_all(fd, data)
        return
    with tqdm.tqdm.get_lock():
        shown = [bar for bar in list(getattr(tqdm.tqdm, "_instances", ())) if is_up(bar)]
        for bar in shown:
            bar.clear(nolock=True)
            bar.fp.flush()
        # A bar that is just being closed is no instance any more, but still to be seen.
        _write_all(fd, b"\r\x1b[J" + data)
        for bar in shown:
            bar.refresh(nolock=True)


def is_up(bar: Any) -> bool:
    """Tell whether a tqdm bar has been drawn on a terminal."""
    with contextlib.suppress(Exception):  # files that are none
        return hasattr(bar, "start_t") and os.isatty(bar.fp.fileno())
    return False


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
