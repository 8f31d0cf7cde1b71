"""Colours: which are used, and which process gets which. Runs in the command `mplog`."""

from __future__ import annotations

import os
import re
import zlib

from mplog.viewer import levels

RESET = "\x1b[0m"
DIM = "\x1b[2m"
BOLD = "\x1b[1m"
NORMAL = "\x1b[22m"

# Families of the 256-colour palette: one hue a name, one shade a number. Light enough for dark ground, dark
# enough for light ground; no dark blue, and no plain red or yellow, which mean levels.
FAMILIES = (
    (38, 74, 45, 80, 31, 117),
    (71, 114, 35, 78, 107, 150),
    (133, 176, 97, 140, 170, 183),
    (173, 216, 137, 180, 208, 223),
    (73, 115, 37, 79, 30, 152),
    (68, 110, 75, 111, 104, 146),
    (169, 212, 132, 175, 205, 218),
    (142, 185, 143, 186, 106, 149),
    (131, 174, 167, 210, 138, 217),
    (67, 109, 103, 147, 66, 153),
)

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
    family = FAMILIES[zlib.crc32(base.encode("utf-8", "replace")) % len(FAMILIES)]
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
