"""Taking secrets out of records before anything is written. Runs in the process that logs.

Key names find a secret by what it is called: own fields at any depth, and ``name=value`` or ``name: value``
in the text of messages, exceptions and source lines. Patterns find it by what it looks like. Whatever fails
on the way leaves ``[redaction failed]`` and nothing else.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mplog._shared.values import encode_own, safe_str

__all__ = ["REDACTED", "REDACTION_FAILED", "SECRET_KEYS", "SECRET_PATTERNS", "Redactor", "redactor"]

SECRET_KEYS = (
    "password", "passwd", "passphrase", "secret", "secret_key", "token", "api_key", "authorization", "cookie",
    "cookies", "private_key", "access_key", "credential", "credentials", "session_id", "csrf",
)  # fmt: skip
"""Names under which secrets usually travel; a name that ends in one of them counts too."""

SECRET_PATTERNS = (
    r"://[^/\s:@]*:([^/\s@]+)@",
    r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
)
"""What secrets look like: the password in a URL, a JSON web token, a private key."""

REDACTED = "[redacted]"
REDACTION_FAILED = "[redaction failed]"

Fields = Mapping[str, Any]
Step = Callable[[str], str]


class Redactor:
    """Replace secrets in the parts of a record. Runs in the process that logs; never raises an `Exception`.

    Args:
        keys: Names of fields whose value is a secret. Case, ``-`` and ``_`` do not matter, and ``token``
            covers ``access_token`` and ``X-Auth-Token``.
        patterns: Regular expressions; what they match is replaced, or their groups if they have any.
        functions: Each takes a text and returns it without its secrets.

    Raises:
        re.error: A pattern does not compile.

    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        functions: Iterable[Step] = (),
    ) -> None:
        self._keys = tuple(dict.fromkeys(_plain(key) for key in keys if _plain(key)))
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._functions = tuple(functions)
        self._pairs = _pairs_of(self._keys)

    def __call__(self, msg: str, own: Fields, exc: dict[str, Any] | None) -> tuple[str, Fields, dict[str, Any] | None]:
        """Return message, own fields and exception data without their secrets.

        Own fields come back as plain data, the way the line would hold them: objects cannot hide a secret
        behind their attributes.

        Args:
            msg: The formatted message.
            own: The record's own fields, any objects.
            exc: The exception as data, or None.

        """
        try:
            plain = json.loads("{" + encode_own(own)[1:] + "}") if own else {}
            return self._text(msg), self._data(plain), None if exc is None else self._data(exc)
        except Exception:  # a secret that could not be looked for must not be written
            kept = None
            if exc is not None:
                names = {name: exc.get(name, "") for name in ("type", "module")}
                kept = names | {"message": REDACTION_FAILED, "frames": [], "text": REDACTION_FAILED}
            return REDACTION_FAILED, {}, kept

    def text(self, text: str) -> str:
        """Return a text without its secrets, or ``[redaction failed]``.

        Args:
            text: Any text, such as a captured line of standard output.

        """
        try:
            return self._text(text)
        except Exception:  # a secret that could not be looked for must not be written
            return REDACTION_FAILED

    def _text(self, text: str) -> str:
        """Return a text after each step; a step that returns no text is an error."""
        if self._pairs is not None and ("=" in text or ":" in text):
            text = self._pairs.sub(_replace_value, text)
        for pattern in self._patterns:
            text = pattern.sub(_replace_groups if pattern.groups else REDACTED, text)
        for function in self._functions:
            text = function(text)
            if type(text) is not str:
                raise TypeError(f"a redaction function returned {text!r}; return a string")
        return text

    def _data(self, value: Any) -> Any:
        """Return plain data without its secrets."""
        if type(value) is str:
            return self._text(value)
        if type(value) is dict:
            return {
                self._text(name): REDACTED if self._is_secret(name) else self._data(item)
                for name, item in value.items()
            }
        if type(value) is list:
            return [self._data(item) for item in value]
        if type(value) in (int, float) and (self._patterns or self._functions):
            shown = safe_str(value)
            return value if self._text(shown) == shown else REDACTED
        return value

    def _is_secret(self, name: str) -> bool:
        """Say whether a field's name is one of the keys or ends in one."""
        return bool(self._keys) and _plain(name).endswith(self._keys)


def redactor(
    entries: Iterable[str] = (),
    *,
    keys: Iterable[str] = (),
    patterns: Iterable[str | re.Pattern[str]] = (),
) -> Redactor | None:
    """Return the redactor that a configuration describes, or None if it describes none.

    Runs in the process that logs. A function that cannot be imported there fails closed: all is redacted.

    Args:
        entries: Key names, ``"re:<pattern>"`` and ``"package.module:function"``, as in ``setup(redact=...)``.
        keys: Further key names, such as `SECRET_KEYS`.
        patterns: Further regular expressions.

    Returns:
        A `Redactor`, to be called with the parts of each record.

    Raises:
        re.error: A pattern does not compile.

    """
    all_keys, all_patterns = list(keys), list(patterns)
    functions: list[Step] = []
    for entry in entries:
        if entry.startswith("re:"):
            all_patterns.append(entry[3:])
        elif ":" in entry:
            functions.append(_imported(entry))
        else:
            all_keys.append(entry)
    if not (all_keys or all_patterns or functions):
        return None
    return Redactor(all_keys, all_patterns, functions)


def _imported(dotted: str) -> Step:
    """Return a function by its dotted name, imported at the first record: its module may log itself."""
    found: list[Step] = []

    def call(text: str) -> str:
        if not found:
            module, _, path = dotted.partition(":")
            target: Any = importlib.import_module(module)
            for part in path.split("."):
                target = getattr(target, part)
            found.append(target)
        return found[0](text)

    return call


def _plain(name: str) -> str:
    """Return a name without what its spellings differ in."""
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _pairs_of(keys: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return the pattern of ``name=value``, ``name: value`` and ``"name": "value"`` for some names."""
    if not keys:
        return None
    names = "|".join("[-_ ]?".join(re.escape(letter) for letter in key) for key in keys)
    quoted = r"""b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?"""
    boxed = r"\[[^\]]*\]?|\{[^}]*\}?|\([^)]*\)?"
    bare = r"""(?:(?:bearer|basic|digest|token|negotiate)\s+)?[^\s,;&"')\]}]+"""
    before = rf"""(?:{names})\b\\?["']?\s*(?:=>|[=:])\s*\\?"""
    return re.compile(f"({before})({quoted}|{boxed}|{bare})", re.IGNORECASE)


def _replace_value(match: re.Match[str]) -> str:
    """Return the pair with its value replaced and its quotes kept."""
    value = match[2]
    mark = value[0] if value[0] in "\"'" else ""
    return f"{match[1]}{mark}{REDACTED}{mark}"


def _replace_groups(match: re.Match[str]) -> str:
    """Return the match with the parts that its groups caught replaced."""
    text, start, parts, end = match[0], match.start(), [], 0
    for index in range(1, match.re.groups + 1):
        begin, stop = match.span(index)
        if begin >= start + end and stop > begin:
            parts += [text[end : begin - start], REDACTED]
            end = stop - start
    return "".join([*parts, text[end:]])
