"""Control characters, escaped on the way out, always. Runs in the command `mplog`."""

from __future__ import annotations

import re

# C0 but tab, DEL, C1, bidi embeddings and isolates, line and paragraph separator, BOM, surrogates.
_ABOVE = "\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_BAD = re.compile(f"[\x00-\x08\x0a-\x1f{_ABOVE}]")
_BAD_BUT_NEWLINE = re.compile(f"[\x00-\x08\x0b-\x1f{_ABOVE}]")
_BAD_OR_TAB = re.compile(f"[\x00-\x1f{_ABOVE}]")


def escape(text: str) -> str:
    r"""Return text on one line that drives no terminal: `\x1b`, `\n`, `\u202e`. A tab stays."""
    if text.isprintable():
        return text
    return _BAD.sub(_visible, text)


def escape_lines(text: str) -> str:
    """Return text of several lines, its newlines kept, everything else escaped as in `escape`."""
    if text.isprintable():
        return text
    return _BAD_BUT_NEWLINE.sub(_visible, text.replace("\r\n", "\n"))


def escape_json(text: str) -> str:
    """Return JSON text with dangerous characters as JSON escapes: the value stays the same."""
    if text.isprintable():
        return text
    return _BAD_OR_TAB.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0A:
        return "\\n"
    if code == 0x0D:
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
