"""Check format strings and redaction rules. Runs in the parent; imports nothing."""

import logging
import re
import string
from collections.abc import Iterator, Mapping

from mplog._parent.parse import nearest, parse_choice
from mplog.exceptions import ConfigError

__all__ = ["auto_format", "check_format", "check_redact", "check_style"]

_FORMATS = ("auto", "text", "json")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_EXAMPLES = {"%": "%(message)s", "{": "{message}", "$": "${message}"}
_PERCENT = r"%\((\w+)\)[#0+ -]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[diouxXeEfFgGcrsa]"


class _Sample:
    """Stand in for a field that only the application knows, whatever conversion is asked of it."""

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __str__(self) -> str:
        return "0"

    def __format__(self, spec: str) -> str:
        for sample in ("", 0):
            try:
                return format(sample, spec)
            except ValueError:
                continue
        return format(0.0, spec)


class _SampleFields(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return _Sample()


def auto_format(file: str | None) -> str:
    """Return what the format `"auto"` means for this file: `"json"` by its suffix, else `"text"`."""
    return "json" if file is not None and file.lower().endswith(_JSON_SUFFIXES) else "text"


def check_style(value: object, name: str = "style") -> str:
    """Return `"%"`, `"{"` or `"$"`: how a format string marks its fields."""
    return parse_choice(value, name, tuple(_EXAMPLES))


def check_format(value: object, file: str | None, style: str = "%", name: str = "format") -> str:
    """Return `"text"`, `"json"` or a format string that was tried; `"auto"` is decided by the suffix.

    Raises `ConfigError` for a format string that does not compile or holds no field of a LogRecord.
    """
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _FORMATS:
        return auto_format(file) if word == "auto" else word
    if not isinstance(value, str) or not any(sign in value for sign in "%{$"):
        hint = nearest(word, _FORMATS) if word else ""
        raise ConfigError(
            f"`{name}` is {value!r}; use 'auto', 'text', 'json' or a logging format string such as "
            f"'%(asctime)s %(message)s'.{hint}"
        )
    known = _known_fields()
    try:
        fields = set(_fields(value, style))
        _try_format(value, style, _SampleFields(known))
    except Exception as error:  # a format string fails in every way that its conversions can
        raise ConfigError(
            f"`{name}` is {value!r}, which does not work as a format string in style {style!r} ({error}); "
            "use fields "
            f"such as {_EXAMPLES[style]!r}, or another `style`."
        ) from error
    if known.keys().isdisjoint(fields):
        hint = next(filter(None, (nearest(field, known) for field in sorted(fields))), "")
        raise ConfigError(
            f"`{name}` is {value!r}, which holds no field of a record in style {style!r}; use at least one "
            "such as "
            f"{_EXAMPLES[style]!r}, or another `style`.{hint}"
        )
    return value


def _known_fields() -> dict[str, object]:
    record = logging.LogRecord("name", logging.INFO, "/path.py", 1, "message", (), None, "function")
    return {**record.__dict__, "message": "message", "asctime": "2026-11-22 11:11:11.123", "seq": 1}


def _fields(template: str, style: str) -> Iterator[str]:
    if style == "%":
        yield from re.findall(_PERCENT, template)
    elif style == "{":
        for _, field, _, _ in string.Formatter().parse(template):
            if field:
                yield re.split(r"[.\[]", field, maxsplit=1)[0]
    else:
        for match in string.Template.pattern.finditer(template):
            yield match["named"] or match["braced"] or ""


def _try_format(template: str, style: str, fields: Mapping[str, object]) -> str:
    if style == "%":
        return template % fields
    if style == "{":
        return string.Formatter().vformat(template, (), fields)
    return string.Template(template).substitute(fields)


def check_redact(value: object, name: str = "redact") -> tuple[str, ...]:
    """Return what is to be redacted: key names, `"re:<pattern>"`, and `"package.module:function"`.

    True stands for the usual key names; a mapping may hold `keys` and `patterns`; a function must be one that
    every process can import. Raises `ConfigError`, also for a pattern that does not compile.
    """
    if value is True:
        from mplog.redaction import SECRET_KEYS, SECRET_PATTERNS

        return (*SECRET_KEYS, *(f"re:{pattern}" for pattern in SECRET_PATTERNS))
    if value is None or value is False:
        return ()
    if isinstance(value, str) and not value.startswith("re:"):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Mapping):
        for key in value:
            if key not in ("keys", "patterns"):
                raise ConfigError(f"`{name}` holds the key {key!r}; use 'keys' and 'patterns', two lists.")
        patterns = [f"re:{rule}" if isinstance(rule, str) else rule for rule in value.get("patterns", ())]
        value = [*value.get("keys", ()), *patterns]
    rules = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return tuple(dict.fromkeys(_redaction(rule, name) for rule in rules))


def _redaction(rule: object, name: str) -> str:
    if isinstance(rule, re.Pattern) and isinstance(rule.pattern, str):
        flags = "".join(letter for letter in "imsx" if rule.flags & re.RegexFlag[letter.upper()])
        return f"re:(?{flags}){rule.pattern}" if flags else f"re:{rule.pattern}"
    if isinstance(rule, str) and rule.startswith("re:"):
        try:
            re.compile(rule[3:])
        except re.error as error:
            raise ConfigError(f"`{name}` holds {rule!r}, which is no pattern ({error}); correct it.") from error
        return rule
    if isinstance(rule, str) and rule.strip() and ":" not in rule:
        return rule
    from mplog._parent.dotted import check_call, dotted_name  # `ast`: 3 ms that only names are worth

    if isinstance(rule, str) and rule.strip():
        return check_call(rule, name)
    dotted = dotted_name(rule)
    if dotted is None:
        raise ConfigError(
            f"`{name}` holds {rule!r}; use names of keys, 're:' and a pattern, or a function of a module "
            "that every "
            "process can import."
        )
    return dotted
