"""Tracebacks in text back to data: frames, type, message, the chain. Runs in the command `mplog`."""

from __future__ import annotations

import re
from typing import Any

_BEGIN = re.compile(r"^[ \t|+]*(?:Traceback|Exception Group Traceback) \(most recent call last\):", re.MULTILINE)
_JOINT = re.compile(
    r"\n(?:[ \t|]*\n)?[ \t|]*(The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n"
)
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d{1,9}), in ([^\n]+)$')
_TITLE = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?$", re.DOTALL)
_MOST = 1000
_CHAIN = 50


def begins_at(text: str) -> int | None:
    """Return where the first traceback in a text begins, or None."""
    match = _BEGIN.search(text)
    return None if match is None else match.start()


def parse(text: str) -> dict[str, Any]:
    """Return an exception as data from the text of its traceback; `text` holds the text itself."""
    clean = _dedented(text.rstrip("\n"))
    parts = _JOINT.split(clean)
    exc: dict[str, Any] = {}
    for at in range(0, min(len(parts), 2 * _CHAIN), 2):
        one = _single(parts[at])
        if at:
            one["cause" if parts[at - 1].startswith("The above") else "context"] = exc
        exc = one
    exc["text"] = clean
    return exc


def _dedented(text: str) -> str:
    lines = text.split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip(" "))
    if not indent:
        return text
    return "\n".join(line[indent:] if line[:indent].isspace() else line for line in lines)


def _single(text: str) -> dict[str, Any]:
    """Return one exception of a chain."""
    frames: list[dict[str, Any]] = []
    title: list[str] = []
    for line in text.split("\n"):
        match = _FRAME.match(line)
        if match is not None and not title:
            if len(frames) < _MOST:
                frames.append({"file": match[1], "line": int(match[2]), "func": match[3], "source": ""})
        elif title or (line and not line.startswith((" ", "\t")) and _BEGIN.match(line) is None):
            title.append(line)
        elif frames and not frames[-1]["source"] and line.strip(" \t^~"):
            frames[-1]["source"] = line.strip()
    match = _TITLE.match("\n".join(title))
    kind, message = (match[1], match[2] or "") if match else ("", "\n".join(title))
    module, _, name = kind.rpartition(".")
    exc: dict[str, Any] = {"type": name, "message": message}
    if module:
        exc["module"] = module
    if frames:
        exc["frames"] = frames
    return exc
