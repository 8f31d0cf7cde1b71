"""Exceptions travel as data: frames, notes, chain, groups and text."""

import json
import logging
import re
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from mplog._shared.exceptions import MAX_FRAMES, encode_exception, exception_data, text_data
from mplog._shared.record import decode, encode_record


def data_of(error, **options):
    """Return what a reader of the line gets."""
    text = encode_exception(error, **options)
    assert text.startswith(',"exc":{')
    return json.loads("{" + text[1:] + "}")["exc"]


def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def divide(number):
    secret = "local"  # noqa: F841
    return 1 / number


def chained():
    try:
        divide(0)
    except ZeroDivisionError as error:
        raise ValueError("bad number") from error


def in_context():
    try:
        divide(0)
    except ZeroDivisionError:
        raise KeyError("missing")  # noqa: B904


def suppressed():
    try:
        divide(0)
    except ZeroDivisionError:
        raise KeyError("missing") from None


def remote(number):
    return divide(number)


class BrokenTextError(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class InterferingError(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no notes")

    def __getattribute__(self, name):
        raise RuntimeError(name)


def test_an_exception_is_type_message_and_frames():
    """Type, module, message, and the frames from the oldest to the newest with their source lines."""
    data = data_of(caught(divide, 0))
    assert (data["type"], data["module"], data["message"]) == (
        "ZeroDivisionError", "builtins", "division by zero",
    )  # fmt: skip
    assert [frame["func"] for frame in data["frames"]] == ["caught", "divide"]
    assert data["frames"][1] == {
        "file": __file__,
        "line": divide.__code__.co_firstlineno + 2,
        "func": "divide",
        "source": "return 1 / number",
    }
    assert "locals" not in data["frames"][1]


@pytest.mark.parametrize("function", [divide, chained, in_context, suppressed])
def test_the_text_is_pythons_own(function):
    """`text` is what Python prints for the exception."""
    error = caught(function, *([0] if function is divide else []))
    assert data_of(error)["text"] == "".join(traceback.format_exception(error)).rstrip("\n")


def test_the_three_forms_of_exc_info():
    """An exception, its tuple and nothing at all are understood."""
    error = caught(divide, 0)
    assert encode_exception(error) == encode_exception((type(error), error, error.__traceback__))
    for nothing in (None, (None, None, None), (), "x", 0):
        assert encode_exception(nothing) == ""
    try:
        divide(0)
    except ZeroDivisionError:
        assert data_of(True)["type"] == "ZeroDivisionError"
    assert encode_exception(True) == ""


def test_causes_and_contexts():
    """The chain is there: a cause, a context, or a context that was suppressed."""
    assert data_of(caught(chained))["cause"]["type"] == "ZeroDivisionError"
    data = data_of(caught(in_context))
    assert (data["context"]["message"], "suppressed" in data) == ("division by zero", False)
    data = data_of(caught(suppressed))
    assert (data["context"]["message"], data["suppressed"]) == ("division by zero", True)


def test_notes_and_groups():
    """Notes and the members of an exception group are part of the data."""
    error = ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])
    error.add_note("look here")
    data = data_of(error)
    assert data["notes"] == ["look here"]
    assert [member["type"] for member in data["group"]] == ["ValueError", "ExceptionGroup"]
    assert data["group"][1]["group"][0]["message"] == "'k'"


def test_locals_only_on_request():
    """Local variables are written only when they are asked for."""
    data = data_of(caught(divide, 0), locals=True)
    assert data["frames"][1]["locals"] == {"number": "0", "secret": "'local'"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_remote_tracebacks_of_pools_are_unfolded(method):
    """What `multiprocessing.Pool` and `ProcessPoolExecutor` send as text becomes frames again."""
    context = get_context(method)
    with context.Pool(1) as pool:
        errors = [caught(pool.apply, remote, (0,))]
    pool.join()
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        errors.append(caught(executor.submit(remote, 0).result))
    for error in errors:
        data = data_of(error)
        cause = data["cause"]
        assert (cause["type"], cause["message"], cause["remote"]) == (
            "ZeroDivisionError", "division by zero", True,
        )  # fmt: skip
        assert [frame["func"] for frame in cause["frames"]][-2:] == ["remote", "divide"]
        assert cause["frames"][-1]["source"] == "return 1 / number"


def test_text_alone_becomes_data():
    """A record that has only the text of a traceback still gets type, message and frames."""
    text = "".join(traceback.format_exception(caught(chained)))
    data = text_data(text)
    assert (data["type"], data["message"], data["text"]) == ("ValueError", "bad number", text)
    assert data["frames"][-1]["func"] == "chained"
    assert data["cause"]["frames"][-1]["func"] == "divide"
    assert "text" not in data["cause"]
    for odd in (
        "",
        "no traceback",
        "Traceback (most recent call last):",
        "a.b.C: d: e\nf",
        '  File "x", line 9' * 9,
    ):
        assert set(text_data(odd)) == {"type", "module", "message", "frames", "text"}


@pytest.mark.parametrize("kind", [BrokenTextError, InterferingError])
def test_broken_exceptions_are_still_named(kind):
    """An exception whose own methods raise is written with its type and its frames."""

    def fail():
        raise kind("x")

    data = data_of(caught(fail))
    assert data["type"] == kind.__name__
    assert kind.__name__ in data["text"]


def test_exceptions_with_an_odd_type():
    """A class that lies about its name costs nothing."""

    class OddError(Exception):
        pass

    OddError.__module__ = 5
    OddError.__qualname__ = "a\nb"
    assert data_of(OddError("x"))["type"] == "a\nb"


def overflow(depth):
    return overflow(depth - 1) if depth else divide(0)


def test_tracebacks_of_5000_frames_are_bounded():
    """A traceback of 5,000 frames keeps its first and last frames and the count of the others."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(6000)
    try:
        error = caught(overflow, 5000)
    finally:
        sys.setrecursionlimit(limit)
    data = data_of(error)
    assert len(data["frames"]) == MAX_FRAMES + 1
    assert data["frames"][MAX_FRAMES // 2]["elided"] == 5003 - MAX_FRAMES
    assert data["frames"][-1]["func"] == "divide"
    assert len(data["text"]) < 70_000
    assert data["text"].endswith("ZeroDivisionError: division by zero")


def test_recursion_errors_are_bounded():
    """A RecursionError, whose traceback is as long as the stack, is an ordinary record."""
    error = caught(lambda: overflow(10**9))
    assert data_of(error)["type"] == "RecursionError"
    assert len(encode_exception(error)) < 150_000


def test_cycles_and_long_chains_end():
    """A chain that meets itself, or has thousands of links, ends."""
    first, second = ValueError(1), KeyError(2)
    first.__cause__, second.__cause__ = second, first
    assert data_of(first)["cause"]["cause"]["message"] == "<cycle>"
    error = ValueError(0)
    for number in range(5000):
        following = ValueError(number)
        following.__context__ = error
        error = following
    begin = time.perf_counter()
    text = encode_exception(error)
    assert time.perf_counter() - begin < 5
    assert "chain too long" in text
    assert len(text) < 20_000


def test_wide_and_deep_groups_end():
    """A group of thousands, or a group in a group in a group, ends."""
    wide = ExceptionGroup("wide", [ValueError(number) for number in range(5000)])
    assert len(encode_exception(wide)) < 20_000
    deep = ExceptionGroup("0", [ValueError()])
    for number in range(500):
        deep = ExceptionGroup(str(number), [deep])
    assert len(encode_exception(deep)) < 50_000


def test_huge_messages_are_cut():
    """An exception message of 50 MB is cut where it is met."""
    begin = time.perf_counter()
    data = data_of(ValueError("x" * 50_000_000))
    assert time.perf_counter() - begin < 5
    assert "characters cut" in data["message"]
    assert len(json.dumps(data)) < 300_000


def test_the_whole_traceback_drives_no_terminal():
    """Control characters in messages, notes, names and source are escaped."""
    error = ValueError("\x1b[31m\x00\u202e\udc80")
    error.add_note("\x9b\n\ud800")
    exec(compile("def \u0061():\n raise error\n", "\x1b\udc80.py", "exec"), space := {"error": error})
    text = encode_exception(caught(space["a"]))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", text)
    json.loads("{" + text[1:] + "}")


def test_a_record_carries_its_exception():
    """`exc` follows the schema's fields; another handler's `exc_text` is enough for it."""
    error = caught(chained)
    record = logging.LogRecord("n", 40, "f", 1, "failed", (), (type(error), error, error.__traceback__), "g")
    fields = decode(b"1".join(encode_record(record, 1)))
    assert list(fields)[11:] == ["exc"]
    assert fields["exc"] == json.loads(json.dumps(exception_data(error)))
    logging.Formatter().format(record)
    record.exc_info = None
    again = decode(b"1".join(encode_record(record, 1)))["exc"]
    assert (again["type"], again["text"]) == ("ValueError", fields["exc"]["text"])
