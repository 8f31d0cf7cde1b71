"""Exceptions as lines of text, in pytest's words: auto, long, short, line, no.

Runs in the command `mplog`.
"""

from __future__ import annotations

import re
from typing import Any

from mplog.viewer.colours import BOLD, DIM, RESET
from mplog.viewer.escapes import escape, escape_lines
from mplog.viewer.lines import text_of

_LIBRARY = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages)/([^/]+)"
    r"|/lib/python3\.\d+/(?!site-packages|dist-packages)([^/]+)"
    r"|^<frozen ([\w.]+)"
)
_RED = "\x1b[31m"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"
_DEPTH = 20


def render(exc: dict[str, Any], mode: str, *, colour: bool = False) -> list[str]:
    """Return an exception's lines.

    Args:
        exc: the exception as data, as a record holds it.
        mode: `auto` folds frames of libraries, `long` is the recorded text, `short` one place a frame,
            `line` one line, `no` none.
        colour: mark types, places and source lines.
    """
    if mode == "no":
        return []
    paint = _Paint(colour)
    if mode == "line":
        return [_line(exc, paint)]
    if mode == "long" or not exc.get("frames"):
        text = exc.get("text")
        if isinstance(text, str) and text.strip():
            return [paint.text_line(line) for line in escape_lines(text.strip("\n")).split("\n")]
    return "\n".join(_chain(exc, mode, paint, 0)).split("\n")


class _Paint:
    def __init__(self, colour: bool) -> None:
        self.red, self.dim, self.bold, self.reset = (_RED, DIM, BOLD, RESET) if colour else ("", "", "", "")

    def text_line(self, line: str) -> str:
        if not self.reset or not line:
            return line
        if not line.startswith(" "):
            kind, colon, message = line.partition(": ")
            if re.fullmatch(r"[A-Za-z_][\w.]*", kind):
                return f"{self.red}{self.bold}{kind}{self.reset}{self.red}{colon}{message}{self.reset}"
        return f"{self.dim}{line}{self.reset}" if line.lstrip().startswith(("File ", "Traceback")) else line


def _line(exc: dict[str, Any], paint: _Paint) -> str:
    frames = _frames(exc)
    own = [frame for frame in frames if not _library(frame)] or frames
    place = f"{paint.bold}{_place(own[-1])}{paint.reset}: " if own else ""
    return place + _title(exc, paint).replace("\n", "\\n")


def _title(exc: dict[str, Any], paint: _Paint) -> str:
    kind = text_of(exc.get("type"))
    module = text_of(exc.get("module"))
    if module and module not in ("builtins", "__main__"):
        kind = f"{module}.{kind}"
    message = escape_lines(text_of(exc.get("message")))
    colon = ": " if kind and message else ""
    return f"{paint.red}{paint.bold}{escape(kind)}{paint.reset}{paint.red}{colon}{message}{paint.reset}"


def _frames(exc: dict[str, Any]) -> list[dict[str, Any]]:
    frames = exc.get("frames")
    return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []


def _library(frame: dict[str, Any]) -> str | None:
    match = _LIBRARY.search(text_of(frame.get("file")))
    if match is None:
        return None
    return (match[1] or match[2] or match[3]).removesuffix(".py")


def _place(frame: dict[str, Any]) -> str:
    return f"{escape(text_of(frame.get('file')))}:{escape(text_of(frame.get('line')))}"


def _chain(exc: dict[str, Any], mode: str, paint: _Paint, depth: int) -> list[str]:
    lines: list[str] = []
    if depth > _DEPTH:
        return ["…"]
    cause, context = exc.get("cause"), exc.get("context")
    if isinstance(cause, dict):
        lines += [*_chain(cause, mode, paint, depth + 1), f"{paint.dim}{_CAUSE}{paint.reset}"]
    elif isinstance(context, dict) and not exc.get("suppressed"):
        lines += [*_chain(context, mode, paint, depth + 1), f"{paint.dim}{_CONTEXT}{paint.reset}"]
    lines += _stack(_frames(exc), mode, paint)
    lines.append(_title(exc, paint))
    notes = exc.get("notes")
    for note in notes if isinstance(notes, list) else ():
        lines += escape_lines(text_of(note)).split("\n")
    group = exc.get("group")
    members = [member for member in group if isinstance(member, dict)] if isinstance(group, list) else []
    for number, member in enumerate(members, 1):
        inner = _chain(member, mode, paint, depth + 1)
        lines.append(f"  {paint.dim}{number} of {len(members)}{paint.reset}")
        lines += [f"  {line}" for line in inner]
    return lines


def _stack(frames: list[dict[str, Any]], mode: str, paint: _Paint) -> list[str]:
    lines: list[str] = []
    folded: list[str] = []

    def unfold() -> None:
        if folded:
            names = ", ".join(escape(name) for name in dict.fromkeys(folded))
            plural = "frame" if len(folded) == 1 else "frames"
            lines.append(f"{paint.dim}… {len(folded)} {plural} in {names}{paint.reset}")
            folded.clear()

    for number, frame in enumerate(frames):
        library = _library(frame) if mode == "auto" and number < len(frames) - 1 else None
        if library is not None:
            folded.append(library)
            continue
        unfold()
        lines.append(f"{_place(frame)}: {paint.dim}in {escape(text_of(frame.get('func')))}{paint.reset}")
        source = text_of(frame.get("source")).strip()
        if source:
            lines.append(f"    {escape(source)}")
    unfold()
    return lines
