"""What a record looks like in a file, on the console and under a format string. Runs in the listener.

Every formatter has two ways in: `format_line` takes the decoded fields of a line and is the fast one;
`format` takes a `logging.LogRecord`, so that each suits any handler. A record is one block: its first
line starts in the first column, every further line with four spaces; no character drives a terminal.
"""

from __future__ import annotations

import logging
import os
import re
import string
import time
import zlib
from collections.abc import Mapping
from typing import IO, Any, Literal

from mplog._shared.decode import decode, epoch, to_log_record
from mplog._shared.record import encode_record
from mplog._shared.values import FIELDS, encode_value, quote

__all__ = ["ConsoleFormatter", "JsonFormatter", "PatternFormatter", "TextFormatter", "escape", "wants_color"]

Style = Literal["%", "{", "$"]

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r"[\s\"=]|^$")
_SCHEMA = frozenset(FIELDS)
_HIDDEN = _SCHEMA | {"exc", "stack", "levelno"}
_STANDARD = {*to_log_record(dict.fromkeys(FIELDS, "") | {"line": 0}).__dict__, "message", "asctime"}
_MAX_HEADS = 4096
_INDENT = "\n    "


def escape(text: str) -> str:
    r"""Return `text` with every character that a terminal may act upon made visible; tab and newline stay.

    Runs in the listener. C0, DEL and C1 become ``\x1b``; the bidirectional marks, line separators, the byte
    order mark and lone surrogates become ``\u202e``.

    Args:
        text: Anything.

    Returns:
        The same text, if all of it can be printed.
    """
    return text if text.isprintable() else _UNSAFE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _block(text: str) -> str:
    """Return escaped text whose further lines cannot be taken for the first line of a record."""
    return escape(text.rstrip("\r\n")).replace("\n", _INDENT)


def _exception_text(exc: Any) -> str:
    """Return the traceback of a decoded ``exc``, or what can be said without it."""
    if not isinstance(exc, dict):
        return str(exc)
    text = exc.get("text")
    return text if isinstance(text, str) and text else f"{exc.get('type')}: {exc.get('message')}"


def _extras(fields: Mapping[str, Any]) -> str:
    """Return `` key=value`` for each own field, quoted where a reader could not tell the end."""
    parts = []
    for key, value in fields.items():
        if key in _HIDDEN:
            continue
        if isinstance(value, str):
            shown = value if value.isalnum() or not _NEEDS_QUOTES.search(value) else quote(value)
        else:
            shown = encode_value(value)
        parts.append(f" {key if key.isidentifier() or not _NEEDS_QUOTES.search(key) else quote(key)}={shown}")
    return "".join(parts)


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record that came from `logging` and not from a journal."""
    head, tail = encode_record(record, 0)
    fields = decode(head + b"0" + tail)
    del fields["seq"]
    return {name: fields.get(name, 0) for name in FIELDS} | fields


_PLAIN_NAMES = [b"time", b"level", b"msg", b"logger", b"process", b"pid"]
_PLAIN_PARTS = 39
"""How many parts a line without own fields has between its quotes; every fourth of the first is a name."""


class TextFormatter(logging.Formatter):
    """Format records as ``2026-11-22 11:11:11.123 INFO     Worker-3[12345] app.jobs: message key=value``.

    Runs in the listener. The time is local; what records have in common is kept from one to the next, so one
    formatter belongs to one thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = ""
        self._local = ""
        self._heads: dict[tuple[str, str, int, str], str] = {}
        self._local_bytes = b""
        self._second_bytes = b""
        self._plain_heads: dict[tuple[bytes, bytes, bytes, bytes], bytes] = {}

    def format_line(self, fields: Mapping[str, Any]) -> str:
        """Return the block of one record, without a newline at its end.

        Args:
            fields: What `decode` returned.

        """
        stamp, msg = fields["time"], fields["msg"]
        if stamp[:19] != self._second:
            self._tick(stamp[:19])
        origin = (fields["level"], fields["process"], fields["pid"], fields["logger"])
        head = self._heads.get(origin)
        if head is None:
            head = self._remember(origin)
        millis = stamp[20:23]
        if len(fields) == len(FIELDS) and msg.isprintable() and millis.isdigit():
            return f"{self._local}.{millis} {head}{msg}"
        return self._whole(f"{self._local}.{_block(millis)} {head}", fields)

    def format_plain(self, line: bytes) -> bytes | None:
        """Return the block of a line as the journal has it, if it is a plain one; None: decode it for `format_line`.

        Plain is what nearly all lines are: no own fields, nothing escaped, ASCII. Such a line falls into its parts at
        its quotes, which is three times as fast as decoding it.

        Args:
            line: a JSON object of our own encoder, without control characters.
        """
        if b"\\" in line or not line.isascii():
            return None
        parts = line.split(b'"')
        if len(parts) != _PLAIN_PARTS or parts[1:22:4] != _PLAIN_NAMES:
            return None
        stamp = parts[3]
        if stamp[:19] != self._second_bytes:
            if len(stamp) != 27 or not stamp[20:26].isdigit():
                return None
            self._second_bytes = stamp[:19]
            self._tick(stamp[:19].decode())
            self._local_bytes = self._local.encode()
        origin = (parts[7], parts[19], parts[22], parts[15])
        head = self._plain_heads.get(origin)
        if head is None:
            level, process, pid, logger = (part.decode() for part in origin)
            if not pid[1:-1].isdigit():
                return None
            if len(self._plain_heads) >= _MAX_HEADS:
                self._plain_heads.clear()
            head = self._plain_heads[origin] = self._head(level, process, int(pid[1:-1]), logger).encode()
        return b"%b.%b %b%b" % (self._local_bytes, stamp[20:23], head, parts[11])

    def format(self, record: logging.LogRecord) -> str:
        """Return the block of a record that did not come from a journal."""
        return self.format_line(_fields_of(record))

    def _head(self, level: str, process: str, pid: int, logger: str) -> str:
        """Return what stands between time and message, from escaped texts."""
        return f"{level:<8} {process}[{pid}] {logger}: "

    def _remember(self, origin: tuple[str, str, int, str]) -> str:
        """Keep the head of an origin; forget them all now and then, as processes come and go."""
        level, process, pid, logger = origin
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        head = self._head(_block(level), _block(process), pid, _block(logger))
        self._heads[origin] = head
        return head

    def _whole(self, head: str, fields: Mapping[str, Any]) -> str:
        """Return head, message, own fields, and the lines that follow."""
        first, newline, rest = _block(fields["msg"]).partition("\n")
        extras = escape(_extras(fields)) if len(fields) > len(FIELDS) else ""
        text = f"{head}{first}{extras}{newline}{rest}"
        if "exc" in fields:
            text += _INDENT + _block(_exception_text(fields["exc"]))
        if "stack" in fields:
            text += _INDENT + _block(str(fields["stack"]))
        return text

    def _tick(self, second: str) -> None:
        """Compute the local time of a second; what is no time is shown as it is."""
        moment = epoch(second + "Z")
        local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else _block(second)
        self._second, self._local = second, local


class JsonFormatter(logging.Formatter):
    """Format records as the JSON object that a journal holds, one line each. Runs in the listener."""

    def format_line(self, fields: Mapping[str, Any]) -> str:
        """Return one JSON object, without a newline at its end.

        Args:
            fields: What `decode` returned.

        """
        pairs = [f"{quote(name)}:{encode_value(value)}" for name, value in fields.items()]
        return "{" + ",".join(pairs) + "}"

    def format(self, record: logging.LogRecord) -> str:
        """Return the object of a record that did not come from a journal; its ``seq`` is 0."""
        head, tail = encode_record(record, 0)
        return f"{head[17:].decode()}0{tail[:-1].decode()}"


class PatternFormatter(logging.Formatter):
    """Format records by a `logging` format string.

    Runs in the listener. The format string comes from the configuration; nothing in a record is ever used as
    one. An own field that a record does not have is shown as ``-``; a record that the format string does not
    fit gets the default layout, rather than none.

    Args:
        fmt: The format string.
        datefmt: For `time.strftime`, or None for ``2026-11-22 11:11:11.123``.
        style: How the format string marks its fields.

    """

    default_msec_format = "%s.%03d"

    def __init__(self, fmt: str, datefmt: str | None = None, style: Style = "%") -> None:
        super().__init__(fmt, datefmt, style, defaults=_defaults(fmt, style))
        self._otherwise = TextFormatter()

    def format_line(self, fields: Mapping[str, Any]) -> str:
        """Return the block of one record, without a newline at its end.

        Args:
            fields: What `decode` returned.

        """
        try:
            return _block(super().format(to_log_record(dict(fields))))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
            return self._otherwise.format_line(fields)

    def format(self, record: logging.LogRecord) -> str:
        """Return the block of a record that did not come from a journal."""
        return self.format_line(_fields_of(record))


def _defaults(fmt: str, style: Style) -> dict[str, str]:
    """Return ``-`` for each field of a format string that not every record has."""
    if style == "%":
        names = re.findall(r"%\((.*?)\)", fmt)
    elif style == "{":
        names = [re.split(r"[.\[]", name)[0] for _, name, _, _ in string.Formatter().parse(fmt) if name]
    else:
        names = re.findall(r"\$\{?(\w+)", fmt)
    return {name: "-" for name in names if name not in _STANDARD}


def wants_color(stream: IO[str] | None, option: str = "auto", environ: Mapping[str, str] | None = None) -> bool:
    """Decide about colours: option, ``NO_COLOR``, ``FORCE_COLOR``, ``TERM=dumb``, then the stream itself.

    Runs in the listener.

    Args:
        stream: Where the text will go; it is asked whether it is a terminal.
        option: ``"always"``, ``"never"`` or ``"auto"``.
        environ: The environment, for tests.

    Returns:
        True if colours are to be written. An empty variable counts as not set (no-color.org).
    """
    environ = os.environ if environ is None else environ
    if option != "auto":
        return option == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    if environ.get("TERM") == "dumb" or stream is None:
        return False
    try:
        return stream.isatty()
    except (ValueError, OSError, AttributeError):  # closed, or no real stream
        return False


_PROCESS_COLORS = [f"{shade}{hue}" for shade in ("", "light_") for hue in ("cyan", "green", "yellow", "blue", "purple")]


class ConsoleFormatter(logging.Formatter):
    """Format records for a terminal in the colours of `colorlog`: one for the level, one for the process.

    Runs in the listener. Own fields of mplog's own records are left out: the message says them already.

    Args:
        stream: Where the text will go.
        color: ``"auto"``, ``"always"`` or ``"never"``; see `wants_color`.
        fmt: A `logging` format string, which may name ``%(log_color)s``, ``%(reset)s``, ``%(process_color)s``
            and the other colours of colorlog; None for the layout of `TextFormatter`.
        datefmt: For `time.strftime`, or None.
        style: How the format string marks its fields.

    """

    def __init__(
        self,
        stream: IO[str] | None = None,
        *,
        color: str = "auto",
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Style = "%",
    ) -> None:
        super().__init__()
        self.color = wants_color(stream, color)
        self._text = _ColoredText() if self.color else TextFormatter()
        self._pattern = None if fmt is None else _colored(stream, self.color, fmt, datefmt, style)

    def format_line(self, fields: Mapping[str, Any]) -> str:
        """Return the block of one record, without a newline at its end.

        Args:
            fields: What `decode` returned.

        """
        if self._pattern is not None:
            try:
                return self._by_pattern(self._pattern, fields)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
                return self._text.format_line(fields)
        if fields["logger"] == "mplog" and "event" in fields:
            fields = {name: value for name, value in fields.items() if name in _SCHEMA}
        return self._text.format_line(fields)

    def format(self, record: logging.LogRecord) -> str:
        """Return the block of a record that did not come from a journal."""
        return self.format_line(_fields_of(record))

    def _by_pattern(self, pattern: logging.Formatter, fields: Mapping[str, Any]) -> str:
        """Return a record under the user's format string."""
        plain = {escape(name): _escape_all(value) for name, value in fields.items()}
        if "exc" in plain:
            plain["exc"] = {"text": _exception_text(plain["exc"])}
        record = to_log_record(plain)
        record.process_color = _process_color(plain["process"]) if self.color else ""
        return pattern.format(record).replace("\n", _INDENT)


class _ColoredText(TextFormatter):
    """The default layout with the colours of `colorlog`, whose own formatter takes thirty times as long."""

    def _head(self, level: str, process: str, pid: int, logger: str) -> str:
        from colorlog import default_log_colors
        from colorlog.escape_codes import parse_colors

        color, reset = parse_colors(default_log_colors.get(level, "")), parse_colors("reset")
        return f"{color}{level:<8}{reset} {_process_color(process)}{process}[{pid}]{reset} {logger}: "


def _process_color(name: str) -> str:
    """Return the escape sequence of a process: the same in every run, as far as its name is."""
    from colorlog.escape_codes import parse_colors

    return parse_colors(_PROCESS_COLORS[zlib.crc32(name.encode("utf-8", "replace")) % len(_PROCESS_COLORS)])


def _escape_all(value: Any) -> Any:
    """Return decoded data with all its text escaped: the colours added later are the only sequences."""
    if isinstance(value, str):
        return escape(value.rstrip("\r\n"))
    if isinstance(value, dict):
        return {escape(name): _escape_all(item) for name, item in value.items()}
    return [_escape_all(item) for item in value] if isinstance(value, list) else value


def _colored(stream: IO[str] | None, color: bool, fmt: str, datefmt: str | None, style: Style) -> logging.Formatter:
    """Return a colorlog formatter that follows our decision; its own differs on empty variables."""
    import colorlog

    class Colored(colorlog.ColoredFormatter):
        default_msec_format = "%s.%03d"

        def _colorize(self) -> bool:
            return color

        def _blank_escape_codes(self) -> bool:  # the same question in earlier releases of colorlog
            return not color

    return Colored(fmt, datefmt, style, stream=stream, defaults=_defaults(fmt, style))
