"""A terminal for tests: a program on a pseudo-terminal, and what a person would see of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable

_PART = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[78=>]|([\r\n\b])|([^\x1b\r\n\b]+)", re.S)


class Screen:
    """Understand what tqdm, rich and mplog write; everything that scrolled out of sight is kept."""

    def __init__(self, columns: int = 160) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Take what a program has written."""
        for part in _PART.finditer(text):
            numbers, letter, control, plain = part.groups()
            if plain:
                for char in plain:
                    self._put(char)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self.row += 1
                self.column = 0
                while len(self.lines) <= self.row:
                    self.lines.append("")
            elif letter is not None:
                self._sequence(numbers, letter)

    def _put(self, char: str) -> None:
        if self.column >= self.columns:
            self.feed("\n")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def _sequence(self, numbers: str, letter: str) -> None:
        first = numbers.split(";")[0]
        number = int(first) if first.isdigit() else None
        line = self.lines[self.row]
        if letter == "A":
            self.row = max(0, self.row - (number or 1))
        elif letter == "B":
            self.feed("\n" * (number or 1))
        elif letter == "K":
            self.lines[self.row] = "" if number == 2 else line[: self.column]
        elif letter == "J":
            self.lines[self.row] = line[: self.column]
            del self.lines[self.row + 1 :]
        elif letter not in "mhl":
            raise AssertionError(f"unknown sequence {numbers!r} {letter!r}")


class Gate:
    """Let a program's processes go on when the terminal has shown what they wait for.

    Each of them waits by reading a byte from the FIFO `path`.
    """

    def __init__(self, path: str, is_shown: Callable[[str], object]) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR)  # and kept open: what nobody holds open is empty
        self._is_shown = is_shown
        self.is_open = False

    def look(self, text: str) -> None:
        """Open the gate if it is time."""
        if not self.is_open and self._is_shown(text):
            os.write(self._fd, b"x" * 100)
            self.is_open = True

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._fd)


def on_a_terminal(
    path: str, *args: str, gates: Iterable[Callable[[str], object]] = (), timeout: float = 40.0, columns: int = 160
) -> tuple[Screen, str]:
    """Run a Python program on a terminal of its own; return what is to be seen at its end, and all it wrote.

    For each of `gates`, which is asked about what was written so far, there is a FIFO `gate<n>` beside the program,
    see `Gate`.
    """
    waiting = [Gate(f"{os.path.dirname(path)}/gate{number}", gate) for number, gate in enumerate(gates)]
    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "30"}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, path, *args],
        cwd=os.path.dirname(path),
        stdin=child,
        stdout=child,
        stderr=child,
        env=environment,
        start_new_session=True,
    )
    os.close(child)
    data = b""
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    data += os.read(main, 65536)
                except OSError:  # everybody has closed it
                    break
                for gate in waiting:
                    gate.look(data.decode(errors="replace"))
        else:
            raise AssertionError(f"the program did not end\n{data.decode(errors='replace')}")
        assert process.wait(timeout=10) == 0, data.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(main)
        for gate in waiting:
            gate.close()
    screen = Screen(columns)
    text = data.decode()
    screen.feed(text)
    return screen, text
