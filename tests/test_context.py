"""Fields bound to the context: bind, unbind, context, with_context, shared with structlog's contextvars."""

import asyncio
import contextlib
import contextvars
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

import mplog
from mplog._shared import context as _context


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Leave nothing bound behind."""
    yield
    mplog.clear_context()


def bound(*_: object) -> dict[str, Any]:
    return dict(_context.fields())


def test_bind_adds_and_unbind_takes_away():
    """`bind` adds fields, `unbind` takes them away, and one that is not there is no error."""
    mplog.bind(request="r1", user="eve")
    mplog.bind(request="r2")
    assert bound() == {"request": "r2", "user": "eve"}
    mplog.unbind("user", "never_bound")
    assert bound() == {"request": "r2"}
    mplog.clear_context()
    assert bound() == {}


def test_context_restores_what_was_bound_before():
    """A `context` block ends as it began, also where it shadows a field, is nested, or raises."""
    mplog.bind(job=1)
    block = mplog.context(job=2, step="a")
    with block:
        with mplog.context(step="b"), block:
            assert bound() == {"job": 2, "step": "a"}
        assert bound() == {"job": 2, "step": "a"}
    with contextlib.suppress(ZeroDivisionError), mplog.context(job=3):
        assert 1 / 0
    assert bound() == {"job": 1}


def test_context_decorates_functions_and_coroutines():
    """As a decorator it binds for the length of each call, of a coroutine for all of its life."""

    @mplog.context(step="load")
    def load(depth: int) -> list[dict[str, Any]]:
        """Load."""
        return [bound(), *(load(depth - 1) if depth else [])]

    @mplog.context(step="fetch")
    async def fetch() -> dict[str, Any]:
        await asyncio.sleep(0)
        return bound()

    assert load(1) == [{"step": "load"}] * 2
    assert load.__doc__ == "Load."
    assert asyncio.run(fetch()) == {"step": "fetch"}
    assert bound() == {}


def test_each_thread_and_task_has_its_own():
    """What one thread or task binds is not seen in another."""
    mplog.bind(where="main")
    seen: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: (mplog.bind(where="thread"), seen.append(bound())))
    thread.start()
    thread.join()

    async def task(name: str) -> dict[str, Any]:
        mplog.bind(task_name=name)
        await asyncio.sleep(0)
        return bound()

    async def both() -> list[dict[str, Any]]:
        return await asyncio.gather(task("a"), task("b"))

    assert seen == [{"where": "thread"}]
    assert asyncio.run(both()) == [{"where": "main", "task_name": "a"}, {"where": "main", "task_name": "b"}]
    assert bound() == {"where": "main"}


def test_structlog_sees_what_mplog_binds_and_the_other_way_round():
    """The context is the one of `structlog.contextvars`: either binds, unbinds and clears for both."""
    import structlog

    mplog.bind(a=1)
    structlog.contextvars.bind_contextvars(b=2)
    assert bound() == structlog.contextvars.get_contextvars() == {"a": 1, "b": 2}
    structlog.contextvars.unbind_contextvars("a")
    mplog.unbind("b")
    assert bound() == structlog.contextvars.get_contextvars() == {}
    with structlog.contextvars.bound_contextvars(c=3):
        assert bound() == {"c": 3}
    mplog.bind(d=4)
    structlog.contextvars.clear_contextvars()
    assert bound() == {}


@pytest.mark.parametrize("first", ["mplog", "structlog"])
def test_structlog_may_be_imported_later(first: str):
    """`bind` imports no structlog, and shares with it all the same once it is there."""
    source = f"""
import sys, mplog
mplog.bind(a=1)
assert "structlog" not in sys.modules
import structlog
if {first == "structlog"}:
    structlog.contextvars.bind_contextvars(a=2, b=2)
    expected = {{"a": 2, "b": 2}}
else:
    mplog.bind(b=1)
    structlog.contextvars.bind_contextvars(a=2)
    expected = {{"a": 2, "b": 1}}
from mplog._shared.context import fields
mplog.bind(c=3); mplog.unbind("c")
print(dict(fields()) == expected, structlog.contextvars.get_contextvars() == expected)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_fragment_is_json_of_what_is_bound():
    """The fields stand in a line as JSON; schema names get a trailing `_`; nothing bound is nothing written."""
    assert _context.fragment() == ""
    mplog.bind(request="ä\x1b", msg=3)
    assert _context.fragment() == ',"request":"ä\\u001b","msg_":3'


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ThreadPool])
def test_with_context_of_a_pool_carries_each_call(pool: Callable[[int], Any]):
    """Whatever takes work carries what is bound at that moment; what a task binds is gone with it."""
    with mplog.with_context(pool(1)) as wrapped:
        mplog.bind(job=1)
        results: list[Any] = [list(wrapped.map(bound, [0]))]
        with mplog.context(job=2):
            if pool is ThreadPoolExecutor:
                results += [[wrapped.submit(leave_something).result()]] * 3
            else:
                results += [
                    [wrapped.apply(leave_something)],
                    wrapped.map_async(bound, [0]).get(),
                    [wrapped.apply_async(func=bound).get()],
                ]
                assert list(wrapped.imap(bound, [0])) == wrapped.starmap(bound, [(0, 1)]) == [{"job": 2}]
        mplog.unbind("job")
        results.append(list(wrapped.map(bound, [0])))
    assert results == [[{"job": 1}], [{"job": 2}], [{"job": 2}], [{"job": 2}], [{}]]


def leave_something() -> dict[str, Any]:
    before = bound()
    mplog.bind(stale=True)
    return before


def test_with_context_of_a_function_is_picklable_and_transparent():
    """The function keeps its name and arguments, travels by pickle, its fields as plain data."""
    with mplog.context(day=date(2026, 1, 2), job=4):
        carried = mplog.with_context(bound)
    assert carried.__name__ == "bound"
    assert carried() == {"day": date(2026, 1, 2), "job": 4}
    assert pickle.loads(pickle.dumps(carried))() == {"day": "2026-01-02", "job": 4}
    assert bound() == {}


def test_with_context_leaves_other_context_variables_alone():
    """A task sees the other context variables of its thread."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("other", default=0)
    carried = mplog.with_context(variable.get)
    variable.set(7)
    assert carried() == 7


def test_what_is_no_function_is_refused():
    """A wrong target raises at once, with its value and the remedy."""
    with pytest.raises(TypeError, match="`target` is 3; use a function"):
        mplog.with_context(3)
