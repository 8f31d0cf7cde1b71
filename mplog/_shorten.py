"""Cutting a record that is longer than `max_record`. Runs in the calling process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mplog._exceptions import dump
from mplog._values import cut, cut_quoted, encode_own, encode_value, safe_str


def shorten(
    room: int,
    whole: int,
    msg: str,
    own: Mapping[str, Any],
    own_text: str,
    exc: dict[str, Any] | None,
    exc_text: str,
) -> tuple[str, str]:
    """Return the message's JSON literal and the record's tail, together at most `room` bytes.

    Own fields get a quarter and the exception a half, the message what these leave. A text that is cut
    keeps the first three quarters and the last quarter of what it may keep.

    Args:
        room: Bytes for message, exception, own fields and the end of the line; a few dozen at least.
        whole: Characters of the message as it was logged.
        msg: The message, perhaps without its secrets.
        own: The record's own fields.
        own_text: The same as `encode_own` wrote them.
        exc: The exception as data.
        exc_text: The same as JSON.

    """
    name = "truncated"
    while name in own:
        name += "_"
    note = f',"{name}":{whole + len(exc_text) + len(own_text)}}}\n'
    room -= len(note)
    if exc is not None:
        exc_text = _short_exception(exc, exc_text, room // 2)
    own_text = _short_own(own, own_text, room // 4)
    used = len(exc_text.encode()) + len(own_text.encode())
    return cut_quoted(msg, room - used), f"{exc_text}{own_text}{note}"


def _short_exception(exc: dict[str, Any], text: str, room: int) -> str:
    """Return an exception's JSON in at most `room` bytes: without its chain, then with fewer frames."""
    if len(text.encode()) <= room:
        return text
    frames = exc.get("frames") or []
    for ends in (8, 2, 0):
        kept = frames if len(frames) <= 2 * ends else frames[:ends] + frames[len(frames) - ends :]
        names = dump({name: cut(safe_str(exc.get(name)), 128) for name in ("type", "module")})[:-1]
        rest = f',"frames":{dump(kept)}'
        left = room - len(names.encode()) - len(rest.encode()) - 64
        if left >= room // 3:
            message = cut_quoted(safe_str(exc.get("message")), left // 3)
            whole = cut_quoted(safe_str(exc.get("text")), left - len(message.encode()))
            return f',"exc":{names},"message":{message}{rest},"text":{whole}}}'
    return ""


def _short_own(own: Mapping[str, Any], text: str, room: int) -> str:
    """Return own fields in at most `room` bytes: each that fits, else cut as text, else not at all."""
    if len(text.encode()) <= room:
        return text
    parts = []
    for name, value in own.items():
        part = encode_own({name: value})
        if len(part.encode()) > room // 2:
            label = encode_own({cut(safe_str(name), 64): 0})[:-1]
            shown = value if type(value) is str else encode_value(value)
            part = label + cut_quoted(shown, room // 2 - len(label.encode()))
        used = len(part.encode())
        if used <= room:
            parts.append(part)
            room -= used
    return "".join(parts)
