"""Lines to records: finds out the format, joins continuation lines, survives damage.

Runs in the command `mplog`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mplog.viewer import jsonlines, textlines
from mplog.viewer.lines import Record, damaged_record, decode_object, decode_own, own_record

MAX_JOINED = 2 << 20
_NONE, _FRAMES, _TITLE, _JOINT = range(4)  # how far a traceback among plain lines has come
_JOINTS = (b"The above exception was the direct cause", b"During handling of the above exception")


class Parser:
    """Turn the lines of one source into records; feed it in file order, flush it at the end.

    A text record is complete when the next one begins, so `feed` returns what became complete; JSON lines
    at once.

    Args:
        source: the path, for the records.
        input_format: `auto`, `json`, `text`, or a `logging` format string.
    """

    def __init__(self, source: str, input_format: str = "auto") -> None:
        self.source = source
        self._text = textlines.header_parser(input_format, source)
        self._json = input_format in ("auto", "json")
        self._only_json = input_format == "json"
        self._json_seen = False
        self._held: Record | None = None
        self._held_size = 0
        self._further: list[bytes] = []
        self._trace = _NONE

    def feed(self, raw: bytes, offset: int) -> Sequence[Record]:
        """Return the records that this line (without its newline) completes."""
        if raw[-1:] == b"\r":
            raw = raw[:-1]
        if self._json and raw[:1] == b"{" and self._held is None:
            own = decode_own(raw, offset, self.source)
            if own is not None:
                self._json_seen = True
                return (own,)
            data = decode_object(raw)
            if data is not None:
                self._json_seen = True
                record = own_record(data, raw, offset, self.source)
                return (record,) if record else jsonlines.foreign_records(data, raw, offset, self.source)
        return self._slow(raw, offset)

    def pass_json(self) -> Sequence[Record]:
        """Note that lines of JSON were read elsewhere, and return the record that they complete."""
        self._json_seen = True
        return self.flush()

    def begins(self, raw: bytes) -> bool:
        """Say whether a line begins a record, rather than continuing the one above it."""
        if self._json and raw[:1] == b"{":
            return True
        return self._only_json or self._text(raw, 0, self.source) is not None

    def _slow(self, raw: bytes, offset: int) -> Sequence[Record]:
        stripped = raw.lstrip()
        if not stripped:
            return self._continue(raw, offset) if self._held is not None else ()
        if self._json and (stripped[:1] == b"{" or (self._json_seen and b'{"time":"' in stripped)):
            found = self._json_line(stripped, offset + len(raw) - len(stripped))
            if found is not None:
                self._json_seen = True
                return (*self.flush(), *found)
        header = None if self._only_json else self._text(raw, offset, self.source)
        if header is not None:
            done = self.flush()
            self._held, self._held_size = header, len(raw)
            return done
        if self._json_seen or self._only_json:
            return (*self.flush(), damaged_record(raw, offset, self.source))
        return self._continue(raw, offset)

    def _json_line(self, raw: bytes, offset: int) -> list[Record] | None:
        data = decode_object(raw)
        if data is not None:
            record = own_record(data, raw, offset, self.source)
            return [record] if record else jsonlines.foreign_records(data, raw, offset, self.source)
        if not (self._json_seen or self._only_json) and b'":' not in raw:
            return None
        return jsonlines.salvage(raw, offset, self.source)

    def _continue(self, raw: bytes, offset: int) -> Sequence[Record]:
        held = self._held
        if held is None or self._alone(held, raw) or self._held_size + len(raw) > MAX_JOINED:
            done = self.flush()
            self._held, self._held_size = textlines.plain_record(raw, offset, self.source), len(raw)
            self._trace = _FRAMES if raw.startswith(b"Traceback ") else _NONE
            return done
        self._further.append(raw)
        self._held_size += len(raw) + 1
        return ()

    def _alone(self, held: Record, raw: bytes) -> bool:
        """Say whether a line stands for itself: not below a header, not indented, not of a traceback."""
        if held.format == "damaged" or b"\0" in raw:
            return True
        if held.format != "plain" or raw[:1] in (b" ", b"\t", b""):
            return False
        if self._trace == _FRAMES:
            self._trace = _TITLE
        elif self._trace == _TITLE and raw.startswith(_JOINTS):
            self._trace = _JOINT
        elif self._trace in (_NONE, _JOINT) and raw.startswith(b"Traceback "):
            self._trace = _FRAMES
        else:
            return True
        return False

    def flush(self) -> Sequence[Record]:
        """Return the record still held back for continuation lines, if any."""
        held, self._held = self._held, None
        if held is None:
            return ()
        if self._further:
            textlines.finish(held, self._further)
            self._further = []
        return (held,)
