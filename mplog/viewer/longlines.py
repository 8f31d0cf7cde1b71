"""Lines longer than anybody reads: cut to both their ends, and never held whole. Runs in the command `mplog`."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_LINE = 2 << 20
"""The longest line that people and summaries get whole: twice what a record has at most unless `max_record` is set."""
MAX_WHOLE = 16 << 20
"""The same where the output is for programs, which cannot guess what is missing."""
END = 1 << 16
"""How much of each end of a longer line is kept."""
_SLACK = 64
_ESCAPE = 12  # bytes of the longest escape in JSON, a pair of surrogates
_LEFT_OUT = re.compile(rb"\xe2\x80\xa6 \[([\d,]{1,26}) bytes left out\] \xe2\x80\xa6")


def shortened(head: bytes, tail: bytes, size: int) -> bytes:
    """Return a line's two ends with a note between them of how much is left out.

    Where the middle of one JSON string is left out, which is the usual case, the result is JSON again: neither a
    character nor an escape is cut in two.

    Args:
        head: the first `END` bytes or more.
        tail: the last ones.
        size: bytes of the whole line.
    """
    begin = _whole_end(head, END)
    end = _whole_begin(tail, max(1, len(tail) - END))
    kept = head[:begin], tail[end:]
    note = f"… [{size - sum(map(len, kept)):,} bytes left out] …".encode()
    return kept[0] + note + kept[1]


def _whole_end(head: bytes, at: int) -> int:
    """Return a place at or before `at` where neither a character nor an escape is cut."""
    escape = head.rfind(b"\\", at - _ESCAPE, at)
    if escape >= 0:
        at = escape
        while at > 0 and head[at - 1] == 0x5C:
            at -= 1
    while at > 0 and head[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _whole_begin(tail: bytes, at: int) -> int:
    """Return a place at or behind `at` where neither a character nor an escape is cut."""
    while at < len(tail) and (tail[at - 1] == 0x5C or tail[at] & 0xC0 == 0x80):
        at += 1
    return at


def from_file(read: Callable[[int, int], bytes], at: int, end: int) -> bytes:
    """Return the shortened line of a file that begins at `at` and ends before `end`; `read` takes size and offset."""
    return shortened(read(END + _SLACK, at), read(END + _SLACK, end - END - _SLACK), end - at)


def left_out(raw: bytes) -> int:
    """Return how much longer a line was, in bytes; 0 for a line that is whole."""
    if len(raw) <= END:
        return 0
    match = _LEFT_OUT.search(raw, END - 2 * _SLACK)
    return 0 if match is None else int(match[1].replace(b",", b"")) - len(match[0])


class Lines:
    """Cut a stream of bytes into whole lines; of a line that is too long only its ends are kept meanwhile.

    Args:
        offset: where the stream begins.
        longest: how long a line may be that is kept whole.
    """

    def __init__(self, offset: int = 0, longest: int = MAX_LINE) -> None:
        self.offset = offset
        """Where the line begins whose end has not come yet."""
        self.waiting = 0
        """How many bytes of it have come."""
        self._longest = longest
        self._parts: list[bytes] = []
        self._head = b""

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Take more bytes and return (offset, whole lines), each with its newline, as far as they are complete."""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._hold(chunk)
            return []
        found = []
        first = chunk.find(b"\n") + 1
        if self.waiting + first > self._longest:
            self._hold(chunk[: first - 1])
            found.append((self.offset, self._taken() + b"\n"))
            self.offset += self.waiting + 1
            chunk, cut, self.waiting = chunk[first:], cut - first, 0
        if cut:
            block = self._taken() + chunk[:cut] if self.waiting else chunk[:cut]
            found.append((self.offset, block))
            self.offset += len(block)
            self.waiting = 0
        if chunk[cut:]:
            self._hold(chunk[cut:])
        return found

    def rest(self) -> list[tuple[int, bytes]]:
        """Return the last line, which has no newline, if there is one."""
        if not self.waiting:
            return []
        found = [(self.offset, self._taken())]
        self.offset += self.waiting
        self.waiting = 0
        return found

    def _hold(self, chunk: bytes) -> None:
        self.waiting += len(chunk)
        self._parts.append(chunk)
        if self.waiting > self._longest:
            held = b"".join(self._parts)
            self._head = self._head or held[: END + _SLACK]
            self._parts = [held[-END - _SLACK :]]

    def _taken(self) -> bytes:
        """Return what came of the line, and forget it."""
        held = b"".join(self._parts)
        line = shortened(self._head, held, self.waiting) if self._head else held
        self._parts, self._head = [], b""
        return line
