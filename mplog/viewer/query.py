"""The query language of `-q`: level>=warning and dur_ms>500 or exists(exc). Runs in the command `mplog`.

or    := and ("or" and)*          and := not ("and" not)*        not := "not" not | term
term  := "(" or ")" | "exists" "(" FIELD ")" | FIELD op value | FIELD "in" "(" value ("," value)* ")" | FIELD
op    := = == != < <= > >= ~ !~   value := WORD | NUMBER | 'text' | "text" | /regex/
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Any, NamedTuple, NoReturn

from mplog.viewer.comparisons import Compare, level_number
from mplog.viewer.conditions import All, Condition, Either, Exists, Grep, Not
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.fields import canonical

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<op>==|!=|<=|>=|!~|&&|\|\||=|<|>|~|!)
    | (?P<punct>[(),])
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<regex>/(?:[^/\\]|\\.)+/(?=\s|\)|$))
    | (?P<word>[^\s()<>=!~,"'&|]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"and", "or", "not", "in", "exists"}
_DEPTH = 100


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str, *, now: float | None = None, zone: tzinfo | None = None) -> Condition:
    """Return the condition that a query states.

    Args:
        text: the query.
        now: epoch seconds to which times such as `10m` are relative; None takes the clock.
        zone: what a time without a zone is in; None is the local zone.

    Raises:
        ViewerError: the query is wrong; the second and third line show it with a caret under the place.
    """
    return _Parser(text, now, zone).parse()


class _Parser:
    def __init__(self, text: str, now: float | None, zone: tzinfo | None) -> None:
        self.text = text
        self.now, self.zone = now, zone
        self.at = 0
        self.depth = 0
        self.tokens = list(self._tokens())

    def fail(self, sentence: str, at: int) -> NoReturn:
        shown = "".join(char if char.isprintable() else " " for char in self.text)
        raise ViewerError(f"query: {sentence}\n  {shown}\n  {' ' * at}^")

    def _tokens(self) -> list[_Token]:
        found = []
        at = 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                place = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                quote = self.text[place] in "\"'"
                self.fail("the text is not closed" if quote else f"{self.text[place]!r} is not understood", place)
            kind = str(match.lastgroup)
            value = match[kind]
            if kind == "op" and value in ("&&", "||"):
                kind, value = "word", "and" if value == "&&" else "or"
            found.append(_Token(kind, value, match.start(match.lastgroup or 0)))
            at = match.end()
        found.append(_Token("end", "", len(self.text.rstrip())))
        return found

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def is_word(self, word: str) -> bool:
        token = self.peek()
        return token.kind == "word" and token.text.lower() == word

    def parse(self) -> Condition:
        if self.peek().kind == "end":
            self.fail("is empty; write a condition such as level>=warning", 0)
        found = self.either()
        token = self.peek()
        if token.kind != "end":
            self.fail(f"`and`, `or` or the end expected, not {token.text!r}", token.at)
        return found

    def either(self) -> Condition:
        parts = [self.both()]
        while self.is_word("or"):
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(parts)

    def both(self) -> Condition:
        parts = [self.negated()]
        while self.is_word("and"):
            self.take()
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else All(parts)

    def negated(self) -> Condition:
        token = self.peek()
        self.depth += 1
        if self.depth > _DEPTH:
            self.fail(f"is nested deeper than {_DEPTH}", token.at)
        try:
            if self.is_word("not") or (token.kind == "op" and token.text == "!"):
                self.take()
                return Not(self.negated())
            return self.term()
        finally:
            self.depth -= 1

    def term(self) -> Condition:
        token = self.take()
        if token.kind == "punct" and token.text == "(":
            found = self.either()
            self.expect(")")
            return found
        if token.kind == "word" and token.text.lower() == "exists" and self.peek().text == "(":
            self.take()
            name = self.field(self.take())
            self.expect(")")
            return Exists(name)
        name = self.field(token)
        if self.is_word("in"):
            self.take()
            return self.among(name)
        if self.peek().kind == "op" and self.peek().text != "!":
            op = self.take()
            return self.compare(name, op, self.take())
        return Exists(name)

    def expect(self, text: str) -> None:
        token = self.take()
        if token.text != text or token.kind != "punct":
            self.fail(f"`{text}` expected" + (f", not {token.text!r}" if token.text else ""), token.at)

    def field(self, token: _Token) -> str:
        if token.kind == "end":
            self.fail("a condition is missing at the end", token.at)
        if token.kind != "word" or token.text.lower() in _WORDS or token.text[0].isdigit():
            self.fail(f"a field name expected, not {token.text!r}", token.at)
        return token.text

    def among(self, name: str) -> Condition:
        self.expect("(")
        parts = [self.compare(name, _Token("op", "=", 0), self.take())]
        while self.peek().text == ",":
            self.take()
            parts.append(self.compare(name, _Token("op", "=", 0), self.take()))
        self.expect(")")
        return Either(parts)

    def compare(self, name: str, op: _Token, value: _Token) -> Condition:
        if value.kind not in ("word", "quoted", "regex"):
            self.fail(f"a value expected after {op.text!r}", value.at)
        text = value.text
        if value.kind == "quoted":
            text = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        if op.text in ("~", "!~"):
            return self.matches(name, op, value, text)
        operator = "=" if op.text == "==" else op.text
        return Compare(name, operator, self.value(name, text, value))

    def matches(self, name: str, op: _Token, value: _Token, text: str) -> Condition:
        if value.kind == "quoted":
            text = value.text[1:-1]
        elif value.kind == "regex":
            text = text[1:-1]
        try:
            found = Grep(smart_regex(text), name)
        except ViewerError as error:
            self.fail(error.sentence, value.at)
        return Not(found) if op.text == "!~" else found

    def value(self, name: str, text: str, token: _Token) -> Any:
        real = canonical(name)
        if real in ("level", "levelno"):
            try:
                return float(level_number(text))
            except ViewerError as error:
                self.fail(error.sentence, token.at)
        if real == "time":
            from mplog.viewer.timespec import parse_time

            try:
                return parse_time(text, now=self.now, zone=self.zone)
            except ViewerError as error:
                self.fail(error.sentence, token.at)
        return text


def smart_regex(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression; without a capital letter it ignores case.

    Raises:
        ViewerError: it is none; the sentence says where.
    """
    bare = re.sub(r"\\.", "", pattern, flags=re.DOTALL)
    try:
        return re.compile(pattern, 0 if bare != bare.lower() else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        where = f" at position {place}" if place is not None else ""
        raise ViewerError(
            f"the regular expression {pattern!r} is wrong: {getattr(error, 'msg', error)}{where}"
        ) from None
