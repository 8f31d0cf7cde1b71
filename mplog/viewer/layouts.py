"""The two layouts that mplog itself writes, recognised in bytes. Runs in the command `mplog`.

Where every record is in one of them, records can be found in blocks of bytes without a look at the lines between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mplog.viewer.lines import decode_object
from mplog.viewer.needles import Hits

JSON, TEXT = "json", "text"
_LINES = 200
_STAMP = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "
_HEADER = re.compile(_STAMP + rb"\S+(?: \d+)? +[^\[\]\n]*\[\d+\] [^:\n]*:")
_BEGIN = re.compile(_STAMP)
_NEXT = re.compile(rb"\n" + _STAMP)


def sniff(sample: bytes) -> str | None:
    """Return the layout of a sample that begins with a line: JSON, TEXT, or None for anything else."""
    lines = sample.split(b"\n")[:-1][:_LINES]
    if _all_json(lines):
        return JSON
    return TEXT if _all_text(lines) else None


def _all_json(lines: list[bytes]) -> bool:
    """Say whether the lines are mplog's own JSON, in its own spelling; a tenth of them may be damaged."""
    seen = 0
    for line in lines:
        if not line.startswith(b"{"):
            continue
        if not line.startswith(b'{"time":"') or line[36:47] != b'","level":"':
            if decode_object(line) is not None:
                return False
            continue
        seen += 1
    return seen > 0 and seen * 10 >= len(lines) * 9


def _all_text(lines: list[bytes]) -> bool:
    """Say whether every line is a header in mplog's layout or indented below one."""
    seen = 0
    for line in lines:
        if _HEADER.match(line) is not None:
            seen += 1
        elif line[:4] != b"    " and (line or not seen):
            return False
    return seen > 0


def begins(block: bytes, at: int) -> bool:
    """Say whether a text record begins there."""
    return _BEGIN.match(block, at) is not None


def whole_records(block: bytes) -> int:
    """Return where the last text record of a block begins: what lies before it is whole."""
    at = block.rfind(b"\n") + 1
    while at:
        at = block.rfind(b"\n", 0, at - 1) + 1
        if begins(block, at):
            return at
    return 0


def record_hits(lines: Hits) -> Hits:
    """Return the hits of lines in text, widened to the records these lines belong to; each record once."""

    def hits(block: bytes, limit: int) -> Iterator[tuple[int, int]]:
        done = 0
        for begin, end in lines(block, limit):
            if begin < done:
                continue
            while begin > done and not begins(block, begin):
                begin = block.rfind(b"\n", done, begin - 1) + 1 or done
            match = _NEXT.search(block, end, limit)
            done = limit if match is None else match.start() + 1
            yield begin, done - 1 if block[done - 1 : done] == b"\n" else done

    return hits
