"""Colours: which are used, and which process gets which. Runs in the command `mplog`."""

from __future__ import annotations

import os
import re
import zlib

from mplog.viewer import levels

RESET = "\x1b[0m"
DIM = "\x1b[2m"
BOLD = "\x1b[1m"

# Families of the 256-colour palette: one hue a name, one shade a number. Each is at least 5:1 against black and
# 2.2:1 against white (WCAG contrast), so there is no dark blue; red and yellow are left to the levels.
FAMILIES = (
    (172, 137, 208, 173, 202, 166),
    (142, 100, 143, 136, 106),
    (71, 34, 107, 70, 35, 72),
    (38, 73, 31, 37, 36),
    (75, 68, 39, 110, 33, 67),
    (105, 69, 104, 99),
    (141, 134, 140, 135, 177),
    (170, 133, 206, 176),
    (175, 169, 205, 168, 211),
)

# With this start value the names that multiprocessing gives (MainProcess, Process-, ForkPoolWorker-, ...) differ.
_START = 91_144

LEVELS = ((50, "\x1b[1;97;41m"), (40, "\x1b[1;31m"), (30, "\x1b[33m"), (25, "\x1b[36m"), (20, "\x1b[32m"))
_NUMBER = re.compile(r"^(.*?)(\d+)(\D*)$")


def wanted(choice: str, stream_is_terminal: bool) -> bool:
    """Return whether to colour: the option, NO_COLOR, FORCE_COLOR, TERM=dumb, then the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream_is_terminal and os.environ.get("TERM") != "dumb"


def of_name(name: str) -> str:
    """Return the colour of a process, thread or logger; a number in the name varies the shade."""
    match = _NUMBER.match(name)
    base, number = (match[1] + match[3], int(match[2][-9:])) if match else (name, 0)
    family = FAMILIES[zlib.crc32(base.encode("utf-8", "replace"), _START) % len(FAMILIES)]
    return f"\x1b[38;5;{family[number % len(family)]}m"


def of_level(levelno: int) -> str:
    """Return the colour of a level."""
    for least, colour in LEVELS:
        if levelno >= least:
            return colour
    return "\x1b[90m" if levelno else ""


def of_message(levelno: int) -> str:
    """Return how the message itself is shown: errors bold, debugging grey."""
    if levelno >= levels.ERROR:
        return BOLD
    return "\x1b[90m" if 0 < levelno < levels.INFO else ""
