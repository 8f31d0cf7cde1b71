"""Message templates: messages that differ only in numbers, ids, paths or words. Runs in `mplog`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence

_MASK = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<path>(?<![\w.<>)\]])(?:[A-Za-z]:)?(?:[/\\][\w.@%+~-]+){2,}/?)"
    r"|(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b)"
    r"|(?P<n>(?:(?<![\w.])-)?\d+(?:[.,]\d+)*)"
)
_ANY = "<*>"
_LIKE = 0.6  # share of equal words from which two messages are one template
_LONGEST = 500


class _Masks(dict[str, str]):
    """Keep what messages became under their shape: `_MASK` tells no digit from another but the 0 of `0x`."""

    def __missing__(self, shape: str) -> str:
        if len(self) >= _KEPT:
            self.clear()
        found = self[shape] = _masked(shape)
        return found


_DIGITS = str.maketrans("023456789", "111111111")
_KEPT = 10_000
_masks = _Masks()


def mask(message: str) -> str:
    """Return the first line of a message; ids, times, paths, addresses, numbers replaced by their kind."""
    line = _first_line(message)
    return _masked(line) if "0x" in line or "0X" in line else _masks[line.translate(_DIGITS)]


def masks(messages: Sequence[str]) -> list[str]:
    """Return the masks of many messages."""
    shapes = "\n".join(messages)
    longest = max(map(len, messages), default=0)
    if not messages or longest > _LONGEST or shapes.count("\n") >= len(messages) or "0x" in shapes or "0X" in shapes:
        return [mask(message) for message in messages]
    return list(map(_masks.__getitem__, shapes.translate(_DIGITS).split("\n")))


def _first_line(message: str) -> str:
    end = message.find("\n", 0, _LONGEST)
    return message[: end if end >= 0 else _LONGEST]


def _masked(line: str) -> str:
    return _MASK.sub(lambda match: f"<{match.lastgroup}>", line)


class Template:
    """Count the messages of one template; `sample` is the first of them."""

    __slots__ = ("count", "level", "sample", "words")

    def __init__(self, words: list[str], sample: str, level: str) -> None:
        self.words = words
        self.sample = sample
        self.level = level
        self.count = 0

    def text(self) -> str:
        """Return the template as one line."""
        return " ".join(self.words)

    def likeness(self, words: list[str]) -> float:
        """Return the share of words that are the same."""
        same = sum(a in (b, _ANY) for a, b in zip(self.words, words, strict=True))
        return same / len(words)

    def widen(self, words: list[str]) -> None:
        """Replace the words that differ by a wildcard."""
        self.words = [a if a == b else _ANY for a, b in zip(self.words, words, strict=True)]


class Templates:
    """Mine templates in one pass and bounded memory.

    Messages of one place (call site, else logger) and level with the same number of words are one template
    when most of their words agree: the idea of Drain (He et al., ICWS 2017), with the call site in place of
    its prefix tree.
    """

    def __init__(self, limit: int = 5000) -> None:
        self._limit = limit
        self._known: dict[tuple[Hashable, str, str], Template] = {}
        self._groups: dict[tuple[Hashable, str, int], list[Template]] = {}
        self._size = 0
        self.others = 0

    def add(self, message: str, place: Hashable, level: str) -> None:
        """Count a message under its template; every level has its own."""
        self.add_masked(mask(message), message, place, level)

    def add_masked(self, masked: str, message: str, place: Hashable, level: str, count: int = 1) -> None:
        """Count messages of the same mask, the first of which is given."""
        key = (place, level, masked)
        template = self._known.get(key)
        if template is None:
            template = self._find(masked, message, place, level)
            if template is None:
                self.others += count
                return
            if len(self._known) > 4 * self._limit:
                self._known.clear()
            self._known[key] = template
        template.count += count

    def has_room(self, keys: Iterable[tuple[Hashable, str, str]]) -> bool:
        """Say whether all of these masks fit: then the order in which messages come again does not matter."""
        new = sum(key not in self._known for key in keys)
        return self._size + new <= self._limit and len(self._known) + new <= 4 * self._limit

    def _find(self, masked: str, message: str, place: Hashable, level: str) -> Template | None:
        words = masked.split()
        group = self._groups.setdefault((place, level, len(words)), [])
        if words:
            best = max(group, key=lambda template: template.likeness(words), default=None)
            if best is not None and best.likeness(words) >= _LIKE:
                best.widen(words)
                return best
        elif group:
            return group[0]
        if self._size >= self._limit:
            return None
        self._size += 1
        template = Template(words, message[:_LONGEST], level)
        group.append(template)
        return template

    def top(self, count: int) -> list[Template]:
        """Return the templates that were used most."""
        every = [template for group in self._groups.values() for template in group]
        return sorted(every, key=lambda template: -template.count)[:count]

    def __len__(self) -> int:
        return self._size
