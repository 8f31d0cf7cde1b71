"""Decode a block of whole lines by one call, where few fields of every record are needed. Runs in `mplog`."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

REFUSALS = (msgspec.MsgspecError, UnicodeError, RecursionError)


def decode(block: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[list[T], list[tuple[int, bytes]]]:
    """Return the decoded lines of a block, and the lines that do not decode with their offset in it."""
    try:
        good: list[T] = decoder.decode_lines(block)
    except REFUSALS:
        return _one_by_one(block, decoder)
    # Two objects on one line, or one object on two, decode as well: then the counts differ.
    if len(good) == block.count(b"\n") + (not block.endswith(b"\n")):
        return good, []
    return _one_by_one(block, decoder)


def _one_by_one(block: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[list[T], list[tuple[int, bytes]]]:
    good: list[T] = []
    bad: list[tuple[int, bytes]] = []
    offset = 0
    for line in block.split(b"\n"):
        if line.strip(b" \t\r"):
            try:
                good.append(decoder.decode(line))
            except REFUSALS:
                bad.append((offset, line))
        offset += len(line) + 1
    return good, bad
