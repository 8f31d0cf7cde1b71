"""Secrets are taken out in the worker, before anything is written."""

import dataclasses
import json
import logging
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mplog._shared.record import encode_record
from mplog.redaction import REDACTED, REDACTION_FAILED, SECRET_KEYS, SECRET_PATTERNS, Redactor, redactor

SECRET = "hunter2-0451"


def line_of(record, redact):
    return b"1".join(encode_record(record, 1, redact=redact))


def make(msg="hello", *args, **own):
    record = logging.LogRecord("app", logging.INFO, "/f.py", 1, msg, args, None, "f")
    record.__dict__.update(own)
    return record


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Bare:
    def __init__(self, password):
        self.password = password

    def __repr__(self):
        return f"Bare(password={self.password!r})"


def unhelpful(text):
    return None


def upper(text):
    return text.upper()


def fails(text):
    raise RuntimeError(text)


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2-0451 x",
        "PASSWORD: hunter2-0451",
        "Authorization: Bearer hunter2-0451, x",
        "{'api_key': 'hunter2-0451 and more', 'b': 1}",
        '{"access_token":"a\\"hunter2-0451","u":2}',
        '{\\"access_token\\":\\"hunter2-0451\\"}',
        "GET /?x=1&token=hunter2-0451&u=1",
        "login(password='hunter2-0451')",
        "X-Auth-Token: hunter2-0451",
        "api-key => hunter2-0451",
        "secret=['hunter2-0451', 'b']",
        'client_secret={"a": "hunter2-0451"}',
        "aws_secret_access_key = hunter2-0451",
        "postgres://me:hunter2-0451@db/x",
        "password = b'hunter2-0451'",
    ],
)
def test_secrets_in_text(text):
    """A name and its value in any text: the value goes, the rest stays."""
    shown = redactor(SECRET_KEYS, patterns=SECRET_PATTERNS).text(text)
    assert SECRET not in shown
    assert REDACTED in shown


@pytest.mark.parametrize("text", ["passwords are hard", "token 5 of 7", "tokens=5", "the secret: ", "a=b", "", "x:y"])
def test_other_text_stays(text):
    """What only resembles a secret's name is left alone."""
    assert redactor(SECRET_KEYS, patterns=SECRET_PATTERNS).text(text) == text


@pytest.mark.parametrize(
    "own",
    [
        {"password": SECRET},
        {"Access-Token": SECRET},
        {"a": {"b": [{"secret": SECRET}]}},
        {"a": Login("me", SECRET)},
        {"a": [Bare(SECRET)]},
        {"token": [SECRET, {"x": SECRET}]},
        {"note": f"the password={SECRET}"},
        {"apikey": 451451451, "number": 451451451},
        {"headers": {"Cookie": SECRET}},
        {f"password={SECRET}": 1},
    ],
)
def test_secrets_in_own_fields(own):
    """Own fields are searched at any depth, objects by what the line would show of them."""
    line = line_of(make(**own), redactor(SECRET_KEYS)).decode()
    assert SECRET not in line
    assert REDACTED in line
    json.loads(line[17:])
    if "number" in own:
        assert json.loads(line[17:])["number"] == 451451451


def test_secrets_in_exceptions():
    """Messages, notes, source lines, chain and text of exceptions are searched."""
    try:
        try:
            password = "hunter2-0451"
            raise KeyError(f"token={password}")
        except KeyError as error:
            error.add_note("secret: hunter2-0451")
            raise ValueError("password='hunter2-0451'") from error
    except ValueError as error:
        record = make(exc_info=(ValueError, error, error.__traceback__))
    line = line_of(record, redactor(["password", "secret", "token"])).decode()
    assert SECRET not in line
    exc = json.loads(line[17:])["exc"]
    assert exc["message"] == f"password='{REDACTED}'"
    assert "KeyError" in exc["text"]
    assert exc["cause"]["notes"] == [f"secret: {REDACTED}"]


def test_patterns():
    """What a pattern matches is replaced; if it has groups, only what they caught."""
    redact = redactor(["re:\\d{4}-\\d{4}", "re:id=(\\d+),(?:x)?(\\d+)?"])
    assert redact.text("card 1234-5678 id=77,x88 id=5,") == (
        f"card {REDACTED} id={REDACTED},x{REDACTED} id={REDACTED},"
    )
    assert redactor(patterns=[re.compile("ABC", re.I)]).text("xabcx") == f"x{REDACTED}x"
    line = line_of(make(card=12345678, other=1), redactor(["re:\\d{8}"])).decode()
    assert json.loads(line[17:])["card"] == REDACTED


def test_functions():
    """A function is named by its module, and called with every text."""
    line = line_of(make("hello", own=["a", {"b": "c"}]), redactor([f"{__name__}:upper"])).decode()
    fields = json.loads(line[17:])
    assert (fields["msg"], fields["OWN"]) == ("HELLO", ["A", {"B": "C"}])


@pytest.mark.parametrize(
    "entry",
    [f"{__name__}:fails", f"{__name__}:unhelpful", f"{__name__}:missing", "no_such_package:f", "os:sep"],
)
def test_a_failed_redaction_writes_nothing(entry):
    """If a secret cannot be looked for, message, own fields and exception texts are not written."""
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        record = make(SECRET, own=SECRET, exc_info=(ValueError, error, error.__traceback__))
    line = line_of(record, redactor([entry])).decode()
    assert SECRET not in line
    fields = json.loads(line[17:])
    assert fields["msg"] == REDACTION_FAILED
    assert fields["exc"] == {
        "type": "ValueError", "module": "builtins", "message": REDACTION_FAILED, "frames": [],
        "text": REDACTION_FAILED,
    }  # fmt: skip
    assert "own" not in fields
    assert redactor([entry]).text(SECRET) == REDACTION_FAILED


def test_a_redactor_that_raises_is_no_leak():
    """Even a redactor that is broken itself leaves a line without the message."""

    def broken(msg, own, exc):
        raise RuntimeError

    line = line_of(make(SECRET), broken).decode()
    assert SECRET not in line
    json.loads(line[17:])


def test_cut_records_are_redacted_first():
    """A record that is too long is redacted before it is cut: no half of a secret is left at the edge."""
    record = make("password=" + "s" * 3000 + " end", own=f"token={SECRET}")
    head, tail = encode_record(record, 1, max_record=1024, redact=redactor(SECRET_KEYS))
    assert b"sss" not in head
    assert SECRET.encode() not in tail


def test_nothing_to_redact_is_no_redactor():
    """Without keys, patterns and functions there is nothing to call."""
    assert redactor() is None
    assert redactor([]) is None
    with pytest.raises(re.error):
        redactor(["re:("])


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers()), st.text(min_size=1))
@settings(max_examples=100, deadline=None)
def test_redaction_never_raises(msg, own, key):
    """Any text, fields and key: the parts come back, and a field of that name has lost its value."""
    redact = Redactor([key])
    text, fields, exc = redact(msg, own | {key: "x"}, {"type": key, "message": msg})
    assert isinstance(text, str)
    assert isinstance(fields, dict)
    assert isinstance(exc, dict)
    json.dumps([text, fields, exc])


def test_long_texts_are_searched_in_linear_time():
    """Text made to be slow for patterns is not."""
    redact = redactor(SECRET_KEYS, patterns=SECRET_PATTERNS)
    for text in (
        "password" * 20_000 + "=",
        'token="' + "\\" * 100_000,
        "a:" * 100_000,
        "://" * 50_000,
        "eyJ" * 50_000,
    ):
        redact.text(text)
