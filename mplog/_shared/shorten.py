"""Cutting a record that is longer than `max_record`. Runs in the calling process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mplog._shared.exceptions import dump
from mplog._shared.values import cut, cut_quoted, encode_own, encode_value, safe_str

_LEAST_VALUE = 16


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

    Own fields may have a quarter and the exception a half, or more if the message does not need it. A text
    that is cut keeps the first three quarters and the last quarter of what it may keep.

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
    literal = cut_quoted(msg, room)
    wanted = len(literal.encode())
    own_text = _short_own(own, own_text, max(room // 4, room - wanted - len(exc_text.encode())))
    used = len(own_text.encode())
    if exc is not None:
        exc_text = _short_exception(exc, exc_text, max(room // 2, room - wanted - used))
        used += len(exc_text.encode())
    if wanted > room - used:
        literal = cut_quoted(msg, room - used)
    return literal, f"{exc_text}{own_text}{note}"


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
    """Return own fields in at most `room` bytes: the small ones whole, the large ones cut as text."""
    if len(text.encode()) <= room:
        return text
    parts = {name: encode_own({name: value}) for name, value in own.items()}
    sizes = {name: len(part.encode()) for name, part in parts.items()}
    for left, name in zip(range(len(parts), 0, -1), sorted(parts, key=sizes.__getitem__), strict=True):
        share = room // left
        if sizes[name] > share:
            parts[name] = _cut_field(name, own[name], share)
        room -= len(parts[name].encode())
    return "".join(parts.values())


def _cut_field(name: str, value: object, room: int) -> str:
    """Return an own field cut as text to at most `room` bytes, or nothing."""
    label = encode_own({cut(safe_str(name), 64): 0})[:-1]
    left = room - len(label.encode())
    if left < _LEAST_VALUE:
        return ""
    return label + cut_quoted(value if type(value) is str else encode_value(value), left)
