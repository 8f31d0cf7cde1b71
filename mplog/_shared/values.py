"""Python values to JSON text that any decoder, file and terminal can take. Runs in every process."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any

try:  # the package `json` costs a worker more to import than all of this module
    from _json import encode_basestring as _json_string
except ImportError:
    from json.encoder import encode_basestring as _json_string

FIELDS = ("time", "level", "msg", "logger", "process", "pid", "thread", "file", "line", "func", "seq")
"""The names every record starts with, in this order; then come ``exc`` and the record's own fields."""

MAX_DEPTH = 8
MAX_ITEMS = 256
MAX_NODES = 4096
MAX_TEXT = 1 << 20


@cache
def _unsafe() -> re.Pattern[str]:
    """Return what JSON itself does not escape and a terminal, a pager or a line reader may act upon.

    Compiled when first needed, as all patterns that a worker may do without: each takes half a millisecond.
    """
    return re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # A lone surrogate is not a character: written as text, since strict decoders refuse the escape.
    return f"\\\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def quote(text: str, _json: Any = _json_string) -> str:
    r"""Return `text` as a JSON string literal without any byte that a terminal or line reader reacts to.

    Runs in every process, on the path of each record. The result always encodes to UTF-8 and holds no
    NUL and no newline; a lone surrogate becomes the visible text ``\udc80``.
    """
    literal: str = _json(text)
    if literal.isascii():
        return literal.replace("\x7f", "\\u007f") if "\x7f" in literal else literal
    return _unsafe().sub(_escape, literal)


def name_of_type(value: object) -> str:
    """Return the name of the type of `value`; runs no code of the object."""
    try:
        return type.__getattribute__(type(value), "__name__")  # type: ignore[no-any-return]
    except Exception:  # a metaclass may do anything
        return "object"


def safe_str(value: object) -> str:
    """Return ``str(value)`` as an exact `str`, or ``<unprintable TypeName>``; never raises an `Exception`."""
    if type(value) is str:
        return value
    try:
        return str.__str__(str(value))
    except Exception:  # the object's own code; RecursionError and MemoryError included
        return f"<unprintable {name_of_type(value)}>"


def safe_repr(value: object) -> str:
    """Return ``repr(value)`` as an exact `str`, or ``<unprintable TypeName>``; as careful as `safe_str`."""
    try:
        return str.__str__(repr(value))
    except Exception:  # the object's own code; RecursionError and MemoryError included
        return f"<unprintable {name_of_type(value)}>"


def cut(text: str, size: int) -> str:
    """Return `text` with its middle replaced by a note if it is longer than `size` characters."""
    if len(text) <= size:
        return text
    tail = size // 4
    head = size - tail
    return f"{text[:head]}[... {len(text) - head - tail} characters cut ...]{text[len(text) - tail :]}"


def cut_quoted(text: str, size: int) -> str:
    """Return the JSON literal of `text`, cut so that it has at most `size` bytes in UTF-8 (2 at least)."""
    keep = min(len(text), max(size, 0))
    while True:
        literal = quote(cut(text, keep))
        used = len(literal.encode())
        if used <= size:
            return literal
        if keep == 0:
            return '""'
        keep = max(0, min(keep * 9 // 10, keep * size // used - 40))


def encode_int(value: int) -> str:
    """Return an integer as a JSON number, or as a string where a 64-bit reader would lose it."""
    if -0x8000000000000000 <= value <= 0xFFFFFFFFFFFFFFFF:
        return int.__repr__(value)
    if value.bit_length() <= 13000:  # under the interpreter's limit of 4,300 digits
        return f'"{int.__repr__(value)}"'
    return quote(cut(int.__format__(value, "#x"), MAX_TEXT // 4))


def encode_float(value: float) -> str:
    """Return a float as a JSON number; not-a-number and the infinities as strings."""
    if -_INF < value < _INF:
        return float.__repr__(value)
    return '"Infinity"' if value > 0 else '"-Infinity"' if value < 0 else '"NaN"'


_INF = float("inf")
_DATES = {("datetime", "datetime"), ("datetime", "date"), ("datetime", "time")}
_PRINTABLE = {"datetime", "uuid", "decimal", "_decimal", "_pydecimal", "fractions", "ipaddress"}
_SIMPLE: dict[type, Any] = {
    str: quote,
    int: encode_int,
    float: encode_float,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
}


class _Encoder:
    """One bounded walk over a value: depth, items of each container, values and characters overall."""

    __slots__ = ("chars", "nodes", "path")

    def __init__(self, chars: int = MAX_TEXT) -> None:
        self.chars = chars
        self.nodes = MAX_NODES
        self.path: set[int] = set()

    def encode(self, value: object, depth: int) -> str:
        """Return the JSON of `value`; whatever its own code raises becomes text."""
        simple = _SIMPLE.get(type(value))
        if simple is not None and type(value) is not str:
            self.nodes -= 1
            return simple(value)  # type: ignore[no-any-return]
        try:
            return self.text(value) if type(value) is str else self.compound(value, depth)
        except Exception:  # the object's own code, at any depth
            return self.text(safe_repr(value))

    def text(self, text: str) -> str:
        """Return a string, cut to what is left of the allowance."""
        self.nodes -= 1
        if len(text) > self.chars:
            text = cut(text, max(self.chars, 64))
        self.chars -= len(text)
        return quote(text)

    def compound(self, value: Any, depth: int) -> str:
        """Return any other object: containers, subclasses, well-known types, else its text."""
        if isinstance(value, Mapping):
            return self.container(value, depth, self.mapping)
        if isinstance(value, (list, tuple)):
            if hasattr(value, "_fields") and hasattr(value, "_asdict"):
                return self.container(value._asdict(), depth, self.mapping, value)
            return self.container(value, depth, self.sequence)
        if isinstance(value, (set, frozenset)):
            return self.container(value, depth, self.unordered)
        return self.scalar(value, depth)

    def scalar(self, value: Any, depth: int) -> str:
        """Return an object that is no container."""
        enum = sys.modules.get("enum")
        is_number_or_text = isinstance(value, (int, str))
        if enum is not None and isinstance(value, enum.Enum):
            return self.encode(value.value, depth) if is_number_or_text else self.text(str(value))
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            return encode_int(int.__int__(value))
        if isinstance(value, float):
            return encode_float(float.__float__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            raw = bytes(value[: max(self.chars, 64)])
            return self.text(raw.decode("utf-8", "backslashreplace"))
        if isinstance(value, type):
            return self.text(f"{value.__module__}.{value.__qualname__}")
        dataclass_fields = getattr(type(value), "__dataclass_fields__", None)
        if dataclass_fields is not None:
            shown = {name: getattr(value, name) for name, f in dataclass_fields.items() if f.repr}
            return self.container(shown, depth, self.mapping, value)
        return self.known(value, depth)

    def known(self, value: Any, depth: int) -> str:
        """Return dates, paths, numbers of other libraries; anything else as its representation."""
        kind = type(value)
        for base in kind.__mro__:
            if (base.__module__, base.__name__) in _DATES:
                return self.text(value.isoformat())
            if base.__module__ in _PRINTABLE:
                return self.text(safe_str(value))
        if isinstance(value, BaseException):
            return self.text(f"{kind.__qualname__}: {safe_str(value)}")
        if hasattr(kind, "__fspath__"):
            return self.text(safe_str(value))
        if hasattr(kind, "item") and hasattr(kind, "dtype") and value.ndim == 0 and depth < MAX_DEPTH:
            return self.encode(value.item(), depth + 1)
        return self.text(safe_repr(value))

    def container(self, value: Any, depth: int, write: Any, owner: Any = None) -> str:
        """Return a container through `write`, unless it is too deep, too much, or inside itself."""
        identity = id(value if owner is None else owner)
        kind = name_of_type(value if owner is None else owner)
        if identity in self.path:
            return quote(f"<cycle: {kind}>")
        if depth >= MAX_DEPTH or self.nodes <= 0 or self.chars <= 0:
            return quote(f"<{kind} of {len(value)}>")
        self.nodes -= 1
        self.path.add(identity)
        try:
            return write(value, depth + 1)  # type: ignore[no-any-return]
        finally:
            self.path.discard(identity)

    def mapping(self, value: Mapping[Any, Any], depth: int) -> str:
        """Return a mapping as an object; keys that are not strings by their text."""
        parts: dict[str, str] = {}
        # One call that runs no Python code for a dict: another thread may be changing it.
        for key, item in list(islice(value.items(), MAX_ITEMS + 1)):
            if len(parts) >= MAX_ITEMS or self.nodes <= 0 or self.chars <= 0:
                parts['"..."'] = quote(f"{len(value) - len(parts)} more")
                break
            name = self.text(cut(key if type(key) is str else safe_str(key), 1024))
            while name in parts:
                name = f'{name[:-1]}_"'
            parts[name] = self.encode(item, depth)
        return "{" + ",".join([f"{name}:{text}" for name, text in parts.items()]) + "}"

    def sequence(self, value: Any, depth: int) -> str:
        """Return an array; what is above the limit as one string that says how much."""
        return "[" + ",".join(self.items(value, depth)) + "]"

    def unordered(self, value: Any, depth: int) -> str:
        """Return a set as an array in a stable order."""
        return "[" + ",".join(sorted(self.items(value, depth))) + "]"

    def items(self, value: Any, depth: int) -> list[str]:
        """Return the JSON of the items of `value`, as many as the limits allow."""
        parts: list[str] = []
        for item in list(islice(value, MAX_ITEMS + 1)):
            if len(parts) >= MAX_ITEMS or self.nodes <= 0 or self.chars <= 0:
                parts.append(quote(f"... {len(value) - len(parts)} more"))
                break
            parts.append(self.encode(item, depth))
        return parts


def encode_value(value: object, *, max_text: int = MAX_TEXT) -> str:
    """Return the JSON of any object, bounded in depth, items and length; never raises an `Exception`.

    Runs in the calling process. Not-a-number and infinities, integers beyond 64 bits and bytes become
    strings, sets become arrays, keys become strings, cycles are marked; what has no JSON form is
    written by its `repr`, and what has no `repr` as ``<unprintable TypeName>``.

    Args:
        value: Anything.
        max_text: Characters of all strings in the value together.
    """
    kind = type(value)
    if kind is str:
        return quote(value if len(value) <= max_text else cut(value, max_text))  # type: ignore[arg-type]
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(value)  # type: ignore[no-any-return]
    try:
        return _Encoder(max_text).encode(value, 0)
    except Exception:  # the recursion limit may be as near as this very call
        return '"<unprintable>"'


_RESERVED = frozenset(FIELDS) | {"exc"}
_MAX_LABELS = 1024
_labels: dict[str, str] = {}


def encode_own(fields: Mapping[str, object], _is_small: Any = range(-(1 << 53), 1 << 53).__contains__) -> str:
    """Return ``,"key":value,...`` for a record's own fields, or ``""``.

    Runs in the calling process. A name of the schema gets a trailing ``_``. Never raises an `Exception`.
    """
    if not fields:
        return ""
    parts = []
    try:
        for key, value in fields.items():
            kind = type(value)
            if kind is str and len(value) <= MAX_TEXT:  # type: ignore[arg-type]
                text = quote(value)  # type: ignore[arg-type]
            elif kind is int and _is_small(value):
                text = repr(value)
            else:
                simple = _SIMPLE.get(kind)
                text = encode_value(value) if simple is None or kind is str else simple(value)
            label = _labels.get(key)
            parts.append((_label(key, fields) if label is None else label) + text)
    except Exception:  # a mapping with code of its own, or one that another thread changes
        parts.append(f',"fields":{quote(f"<unprintable {name_of_type(fields)}>")}')
    return "".join(parts)


def _label(key: str, fields: Mapping[str, object]) -> str:
    """Return ``,"key":`` under a name that clashes with nothing, and remember it if that is always so."""
    name = key if type(key) is str else safe_str(key)
    if name in _RESERVED:
        name += "_"
        while name in fields:
            name += "_"
        return f",{quote(name)}:"
    label = f",{quote(cut(name, MAX_TEXT))}:"
    if len(_labels) < _MAX_LABELS and name is key and len(label) <= 64:
        _labels[key] = label
    return label
