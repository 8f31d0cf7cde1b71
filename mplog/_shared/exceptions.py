"""Exceptions as data: type, message, frames, notes, chain, groups, text. Runs in the calling process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from mplog._shared.values import cut, encode_value, name_of_type, quote, safe_repr, safe_str

MAX_FRAMES = 200
MAX_LINKS = 32
MAX_TEXT = 1 << 16

_REMOTE = {"RemoteTraceback", "_RemoteTraceback"}  # multiprocessing.pool, concurrent.futures, loky, billiard
_REMOTE_LINK = (
    r"\n\n(The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):\n\n"
)
_REMOTE_FRAME = r'  File "(.*)", line (\d+)(?:, in (.*))?'


def encode_exception(value: object, *, locals: bool = False) -> str:  # noqa: A002 - traceback calls it so
    """Return ``,"exc":{...}`` for an exception or a ``sys.exc_info()`` tuple, or ``""`` if there is none.

    Runs in the calling process. Frames, chain and text are bounded, so the cost is too; whatever the
    exception's own code raises becomes text. Never raises an `Exception`.

    Args:
        value: An exception, or a tuple whose second item is one.
        locals: Add the representation of each frame's local variables. They may hold secrets.
    """
    try:
        data = exception_data(value, locals=locals)
        return f',"exc":{dump(data)}' if data else ""
    except Exception:  # the recursion limit may be as near as this very call
        return ',"exc":{"type":"Exception","module":"builtins","message":"<unprintable>","frames":[]}'


def exception_data(value: object, *, locals: bool = False) -> dict[str, Any] | None:  # noqa: A002
    """Return the same as a dict, or None if there is no exception."""
    error = _exception_of(value)
    if error is None:
        return None
    given = value[2] if type(value) is tuple and len(value) == 3 else None
    trace = given if isinstance(given, TracebackType) else _slot(error, "__traceback__")
    try:
        data = _Walk(locals).link(error, trace)
    except Exception:  # an exception class that interferes with its own attributes
        message = cut(safe_str(error), MAX_TEXT)
        data = {"type": name_of_type(error), "module": "", "message": message, "frames": []}
    data["text"] = _text(error, trace, data)
    return data


def text_data(text: str) -> dict[str, Any]:
    """Return exception data for a traceback that is only known as text."""
    data = _parse(text)
    data["text"] = cut(text, MAX_TEXT)
    return data


def _exception_of(value: object) -> BaseException | None:
    """Return the exception in any form that `logging` takes as ``exc_info``."""
    if type(value) is tuple and len(value) > 1:
        value = value[1]
    elif value is True:
        value = sys.exc_info()[1]
    return value if isinstance(value, BaseException) else None


def dump(data: Any) -> str:
    """Return the JSON of plain data whose depth and length are bounded already."""
    if type(data) is str:
        return quote(data)
    if type(data) is dict:
        return "{" + ",".join([f"{quote(key)}:{dump(item)}" for key, item in data.items()]) + "}"
    if type(data) is list:
        return "[" + ",".join([dump(item) for item in data]) + "]"
    return encode_value(data)


class _Walk:
    """One walk over an exception, its chain and its groups, each exception once and few overall."""

    def __init__(self, show_locals: bool) -> None:
        self.locals = show_locals
        self.seen: set[int] = set()

    def link(self, error: BaseException, trace: TracebackType | None) -> dict[str, Any]:
        """Return the data of one exception and of what it points to."""
        self.seen.add(id(error))
        kind = type(error)
        data: dict[str, Any] = {
            "type": safe_str(getattr(kind, "__qualname__", "")) or name_of_type(error),
            "module": safe_str(getattr(kind, "__module__", "")),
            "message": cut(safe_str(error), MAX_TEXT),
            "frames": list(self.frames(trace)),
        }
        if notes := _notes(error):
            data["notes"] = notes
        cause, context = _slot(error, "__cause__"), _slot(error, "__context__")
        if cause is not None:
            data["cause"] = self.next(cause)
        elif context is not None:
            data["context"] = self.next(context)
        if _slot(error, "__suppress_context__") and cause is None:
            data["suppressed"] = True
        if issubclass(kind, BaseExceptionGroup):
            assert isinstance(error, BaseExceptionGroup)
            data["group"] = [self.next(member) for member in error.exceptions[:MAX_LINKS]]
            if len(error.exceptions) > MAX_LINKS:
                data["group_elided"] = len(error.exceptions) - MAX_LINKS
        return data

    def next(self, error: BaseException) -> dict[str, Any]:
        """Return a linked exception; only its name if it was met before or there are too many."""
        kind = type(error)
        if id(error) in self.seen or len(self.seen) >= MAX_LINKS:
            reason = "cycle" if id(error) in self.seen else "chain too long"
            module = safe_str(kind.__module__)
            return {"type": name_of_type(error), "module": module, "message": f"<{reason}>", "frames": []}
        if name_of_type(error) in _REMOTE and type(tb := getattr(error, "tb", None)) is str:
            self.seen.add(id(error))
            return _parse(tb) | {"remote": True}
        return self.link(error, _slot(error, "__traceback__"))

    def frames(self, trace: TracebackType | None) -> Iterator[dict[str, Any]]:
        """Yield the frames, oldest first; the middle of a long traceback as one entry with its count."""
        total = _length(trace)
        start = MAX_FRAMES // 2
        elided = max(0, total - MAX_FRAMES)
        index = 0
        while trace is not None:
            if elided and index == start:
                note = f"[... {elided} frames elided ...]"
                yield {"file": "", "line": 0, "func": "", "source": note, "elided": elided}
            if not start <= index < start + elided:
                yield self.frame(trace.tb_frame, trace.tb_lineno)
            trace = trace.tb_next
            index += 1

    def frame(self, frame: FrameType, line: int | None) -> dict[str, Any]:
        """Return file, line, function and source line of one frame."""
        code = frame.f_code
        file, line = code.co_filename, line or 0
        source = _source(file, line, frame)
        data: dict[str, Any] = {"file": file, "line": line, "func": code.co_name, "source": source}
        if self.locals:
            try:
                data["locals"] = {k: cut(safe_repr(v), 256) for k, v in list(frame.f_locals.items())[:64]}
            except Exception:  # a frame being changed by another thread
                data["locals"] = {}
        return data


def _slot(error: BaseException, name: str) -> Any:
    """Return what the interpreter has stored in an exception, past anything its class may do."""
    return getattr(BaseException, name).__get__(error)


def _notes(error: BaseException) -> list[str]:
    """Return the notes, which may be anything."""
    try:
        return [cut(safe_str(note), 4096) for note in list(getattr(error, "__notes__", ()))[:32]]
    except Exception:  # the exception's own code
        return []


def _source(file: str, line: int, frame: FrameType) -> str:
    """Return the source line, or ``""`` if it cannot be had."""
    try:
        import linecache  # the first one may fail while the interpreter shuts down

        return cut(linecache.getline(file, line, frame.f_globals).strip(), 512)
    except Exception:  # a loader's own code, an unreadable file
        return ""


def _length(trace: TracebackType | None) -> int:
    """Return the number of frames of a traceback."""
    total = 0
    while trace is not None:
        total += 1
        trace = trace.tb_next
    return total


def _text(error: BaseException, trace: TracebackType | None, data: dict[str, Any]) -> str:
    """Return the text a reader of tracebacks expects: Python's own, or ours when that would be huge."""
    if not _is_large(data):
        try:
            return cut(_python_text(error, trace), MAX_TEXT)
        except Exception:  # the exception's own code, which ours below does without
            data["text"] = ""
    return cut("\n".join(_render(data)), MAX_TEXT)


def _python_text(error: BaseException, trace: TracebackType | None) -> str:
    """Return the text of the `traceback` module, imported at the first exception."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, trace)).rstrip("\n")


def _is_large(data: dict[str, Any]) -> bool:
    """Say whether a traceback is long enough to have been cut somewhere."""
    if any("elided" in frame for frame in data["frames"]) or len(data["message"]) >= MAX_TEXT:
        return True
    if data["message"] == "<chain too long>" or "group_elided" in data:
        return True
    linked = [data[name] for name in ("cause", "context") if name in data] + data.get("group", [])
    return any(_is_large(link) for link in linked)


def _render(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a traceback from its data."""
    if "cause" in data:
        yield from _render(data["cause"])
        yield "\nThe above exception was the direct cause of the following exception:\n"
    elif "context" in data and not data.get("suppressed"):
        yield from _render(data["context"])
        yield "\nDuring handling of the above exception, another exception occurred:\n"
    if data["frames"]:
        yield "Traceback (most recent call last):"
    for frame in data["frames"]:
        if "elided" not in frame:
            yield f'  File "{frame["file"]}", line {frame["line"]}, in {frame["func"]}'
        if frame["source"]:
            yield f"    {frame['source']}"
    module = data["module"]
    name = data["type"] if module in ("builtins", "__main__", "") else f"{module}.{data['type']}"
    yield f"{name}: {data['message']}" if data["message"] else name
    yield from data.get("notes", [])
    for number, member in enumerate(data.get("group", []), 1):
        yield f"  +---------------- {number} ----------------"
        yield from ("  | " + line for text in _render(member) for line in text.split("\n"))


def _parse(text: str) -> dict[str, Any]:
    """Return the data of a traceback that another process sent as text, with what it was caused by."""
    text = cut(text.strip().removeprefix('"""').removesuffix('"""').strip("\n"), MAX_TEXT)
    blocks = re.split(_REMOTE_LINK, text)[-2 * MAX_LINKS - 1 :]  # block, how it is linked, block ..
    data = _parse_block(blocks[0])
    for link, block in zip(blocks[1::2], blocks[2::2], strict=True):
        data = _parse_block(block) | {"cause" if link.startswith("The above") else "context": data}
    return data


def _parse_block(text: str) -> dict[str, Any]:
    """Return the data of one exception of such a text."""
    lines = text.removesuffix('"""').split("\n")
    start = max((n for n, line in enumerate(lines) if line.startswith("Traceback (most recent")), default=-1)
    frames: list[dict[str, Any]] = []
    rest = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if match := re.fullmatch(_REMOTE_FRAME, line):
            frames.append({"file": match[1], "line": int(match[2][:9]), "func": match[3] or "", "source": ""})
        elif frames and line.startswith("    "):
            frames[-1]["source"] = frames[-1]["source"] or line.strip()
        elif line and not line.startswith(" "):
            rest = number
            break
        rest = number + 1
    name, _, message = "\n".join(lines[rest:]).partition(": ")
    module, _, kind = name.strip().rpartition(".")
    message = message.rstrip("\n")
    return {"type": kind, "module": module or "builtins", "message": message, "frames": frames[:MAX_FRAMES]}
