"""A console that is a terminal: lines above, bars below, each write a whole.

Runs in the listener.

    lines and bars --one write--> terminal
    lines --FIFO `terminal`--> the process that draws bars of its own --> terminal      see `router`
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
import unicodedata

from mplog._shared.slots import BARS, Progress, read_slots
from mplog._shared.spool import Spool
from mplog.formatters import escape

FIFO = "terminal"
REDRAW_EVERY = 0.1
LOOK_EVERY = 0.5
"""Seconds between two looks for bars while there are none."""
PATIENCE = 2.0
"""Seconds that the other process may take to read before the line is written past it."""
_BLOCKS = " ▏▎▍▌▋▊▉"
_BAR = 20
_ASCII = str.maketrans({**dict.fromkeys(_BLOCKS, " "), "█": "#", "▕": "[", "▏": "]"})


class Terminal:
    """Write lines to a terminal and keep the bars of `track` below them.

    Args:
        spool: the session's directory.
        fd: the terminal.
        encoding: of what is written.
    """

    def __init__(self, spool: Spool, fd: int, encoding: str = "utf-8") -> None:
        self._spool = spool
        self._fd = fd
        self._encoding = encoding
        self._fifo = spool.file(FIFO)
        self._shown = 0
        self._looked_at = 0.0
        self._bars: list[str] = []
        with contextlib.suppress(OSError):
            spool.write_file(BARS, b"")

    def write(self, text: str) -> None:
        """Write whole lines.

        Raises:
            OSError: the terminal is gone.
        """
        if time.monotonic() - self._looked_at >= REDRAW_EVERY:
            self._bars = self._render()
        # Nothing between this look and the writing: a bar of the other process may begin at any moment.
        if (fd := self._open_fifo()) >= 0:
            self._draw("", [])
            text = self._hand_over(fd, text.encode(self._encoding, "backslashreplace"))
            if not text:
                return
        self._draw(text, self._bars)

    def pause(self) -> float:
        """Return after how many seconds the bars are to be looked at again."""
        return REDRAW_EVERY if self._shown else LOOK_EVERY

    def settle(self, *, final: bool = False) -> None:
        """Draw the bars; at the end take them away."""
        bars = [] if final else self._render()
        if bars and (fd := self._open_fifo()) >= 0:
            os.close(fd)
            bars = []
        if bars or self._shown:
            self._bars = bars
            self._draw("", bars)

    def _draw(self, text: str, bars: list[str]) -> None:
        if not (text or bars or self._shown):
            return
        erase = "\r" + "\x1b[A" * (self._shown - 1) + "\x1b[J" if self._shown else ""
        self._shown = len(bars)
        data = (erase + text + "\n".join(bars)).encode(self._encoding, "backslashreplace")
        while data:
            data = data[os.write(self._fd, data) :]

    def _render(self) -> list[str]:
        self._looked_at = time.monotonic()
        loops = read_slots(self._spool)
        if not loops:
            return []
        try:
            columns, rows = os.get_terminal_size(self._fd)
        except OSError:
            columns, rows = 80, 24
        most = max(1, (rows or 24) // 2 - 1)
        now = time.monotonic_ns()
        lines = [fit(line(loop, (now - loop.started) / 1e9), (columns or 80) - 1) for loop in loops[:most]]
        if len(loops) > most:
            lines.append(f"and {len(loops) - most} more")
        return lines if self._encoding.lower().startswith("utf") else [text.translate(_ASCII) for text in lines]

    def _open_fifo(self) -> int:
        """Return the way to a process that has bars on this terminal, or -1."""
        try:
            return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return -1

    def _hand_over(self, fd: int, data: bytes) -> str:
        """Let the other process write; return what it would not take, from the beginning of a line."""
        deadline = time.monotonic() + PATIENCE
        begin = 0
        try:
            while begin < len(data):
                try:
                    begin += os.write(fd, data[begin : begin + 4096])
                except BlockingIOError:
                    left = deadline - time.monotonic()
                    if left <= 0 or not select.select([], [fd], [], left)[1]:
                        break
                except OSError as error:
                    if error.errno != errno.EPIPE:
                        raise
                    break
        finally:
            os.close(fd)
        begin = len(data) if begin == len(data) else data.rfind(b"\n", 0, begin) + 1
        return data[begin:].decode(self._encoding, "replace")


def line(loop: Progress, seconds: float) -> str:
    """Return one bar: process, description, how far, how quick, how long still."""
    rate = loop.done / seconds if seconds > 0 else 0.0
    parts = [" ".join(escape(str(text)).split()) for text in (loop.process, loop.description)]
    if isinstance(loop.total, int) and loop.total > 0:
        share = min(1.0, max(0.0, loop.done / loop.total))
        eighths = int(share * _BAR * 8)
        bar = "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths < _BAR * 8 else "")
        parts += [f"{100 * share:3.0f}%", f"▕{bar.ljust(_BAR)}▏", f"{loop.done:,}/{loop.total:,}"]
        left = f"{_clock((loop.total - loop.done) / rate)} left" if rate and loop.done < loop.total else ""
    else:
        parts.append(f"{loop.done:,}")
        left = ""
    parts += [f"{rate:,.1f}/s" if seconds >= 0.5 else "", _clock(seconds), left]
    return " ".join(part for part in parts if part)


def fit(text: str, columns: int) -> str:
    """Cut a text to a number of columns; wide characters take two."""
    width = 0
    for at, char in enumerate(text):
        width += 2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char)
        if width > columns:
            return text[:at]
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
