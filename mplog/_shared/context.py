"""Fields bound to the present context: they stand in every record, also of the work that is given away.

The values live in one `contextvars.ContextVar` per field, under the names and in the table that
`structlog.contextvars` uses, so either sees what the other has bound; structlog itself need not be there.
Runs in every process.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar, copy_context
from types import TracebackType
from typing import Any, Self, TypeVar

from mplog._shared.values import encode_own, encode_value

__all__ = ["bind", "clear_context", "context", "fields", "fragment", "unbind", "with_context"]

PREFIX = "structlog_"
"""Of the variables' names: structlog takes every variable that begins so for one of its fields."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Target = TypeVar("_Target")
_PLAIN = frozenset((str, int, float, bool, type(None)))
_EMPTY: Mapping[str, Any] = {}

_variables: dict[str, ContextVar[Any]] = {}
"""By prefixed name; structlog's own table as soon as structlog is imported."""
_shared = _guarded = False


def bind(**values: Any) -> None:
    """Put fields into the present context: they stand in all records logged in it from now on.

    Runs in every process; structlog's loggers have them, too. A context is what `contextvars` makes it: each
    thread and each asyncio task has its own. What a record is given itself (``extra=``, keywords, a logger's
    `bind`) holds before the context's.

    Args:
        values: the fields; names of the schema get a trailing ``_`` in the record.
    """
    table = _table()
    for name, value in values.items():
        variable = table.get(PREFIX + name)
        if variable is None:
            variable = table.setdefault(PREFIX + name, ContextVar(PREFIX + name, default=...))
        variable.set(value)


def unbind(*names: str) -> None:
    """Take fields out of the present context; those that are not there are ignored. Runs in every process.

    Args:
        names: the fields' names.
    """
    table = _table()
    for name in names:
        variable = table.get(PREFIX + name)
        if variable is not None:
            variable.set(...)


def clear_context() -> None:
    """Take all fields out of the present context, structlog's too. Runs in every process."""
    for variable in list(_table().values()):
        if variable.get(...) is not ...:
            variable.set(...)


class context:  # noqa: N801 - used as one calls a function, like `contextlib.suppress`
    """Bind fields for the length of a ``with`` block or of a call, and put back what was there before.

    Runs in every process. As a decorator it also takes coroutine functions.

    Args:
        values: the fields, as for `bind`.
    """

    def __init__(self, /, **values: Any) -> None:
        self._values = values
        self._saved: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        """Bind the fields."""
        self._saved.append(self._bind())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put back what was bound before."""
        self._restore(self._saved.pop())

    def __call__(self, function: _Function) -> _Function:
        """Return a function that runs with the fields bound."""
        import inspect  # 7 ms that no worker should pay for being one

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Any, **kwargs: Any) -> Any:
                saved = self._bind()
                try:
                    return await function(*args, **kwargs)
                finally:
                    self._restore(saved)

            return later  # type: ignore[return-value]

        @functools.wraps(function)
        def now(*args: Any, **kwargs: Any) -> Any:
            saved = self._bind()
            try:
                return function(*args, **kwargs)
            finally:
                self._restore(saved)

        return now  # type: ignore[return-value]

    def _bind(self) -> dict[str, Any]:
        present = fields()
        saved = {name: present[name] for name in self._values if name in present}
        bind(**self._values)
        return saved

    def _restore(self, saved: dict[str, Any]) -> None:
        unbind(*(name for name in self._values if name not in saved))
        bind(**saved)


def fields() -> Mapping[str, Any]:
    """Return the fields of the present context; the caller must not change the mapping."""
    table = _variables if _shared or "structlog.contextvars" not in sys.modules else _table()
    if not table:
        return _EMPTY
    found = {}
    for name, variable in list(table.items()):
        value = variable.get(...)
        if value is not ...:
            found[name[10:]] = value
    return found


def shared() -> Mapping[str, Any]:
    """Return the table of variables, empty while nothing was ever bound; once structlog is imported."""
    return _table()


def fragment() -> str:
    """Return the fields of the present context as ``,"name":value..``, or nothing."""
    if not _variables and (_shared or "structlog.contextvars" not in sys.modules):
        return ""
    return encode_own(fields())


def guard_children() -> None:
    """Let multiprocessing's forked children begin without fields, as those of the other start methods do."""
    global _guarded
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _guarded and hasattr(util, "register_after_fork"):
        _guarded = True
        util.register_after_fork(context, lambda _: clear_context())


def _table() -> dict[str, ContextVar[Any]]:
    """Return the table of variables: structlog's, with ours in it, if structlog is imported."""
    global _variables, _shared
    if not _guarded:
        guard_children()
    if not _shared:
        module = sys.modules.get("structlog.contextvars")
        theirs = getattr(module, "_CONTEXT_VARS", None)
        if type(theirs) is dict:
            for name, variable in list(_variables.items()):
                other = theirs.setdefault(name, variable)
                if other is not variable:
                    if other.get(...) is ...:
                        other.set(variable.get(...))
                    variable.set(...)
            _variables, _shared = theirs, True
    return _variables


class _Carried:
    """A function that runs with the fields that were bound when it was made, and with no others."""

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
        self.__wrapped__ = function
        self._values = values

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the function in a context of its own, which ends with it."""
        return copy_context().run(self._run, args, kwargs)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        clear_context()
        bind(**self._values)
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the fields as plain data: their classes may not be there in the other process."""
        return (_Carried, (self.__wrapped__, {name: _plain(value) for name, value in self._values.items()}))

    def __repr__(self) -> str:
        """Return what it runs, and with which fields."""
        return f"<with_context {self.__wrapped__!r} {dict(self._values)!r}>"

    def __getattr__(self, name: str) -> Any:
        """Return the function's own attributes, its name first of all."""
        if name == "__wrapped__":
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)


class _Pool:
    """A pool or executor whose every task runs with the context in which it was handed in."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        """Return the pool's own attribute; methods that take work carry the context along."""
        found = getattr(self._pool, name)
        if name not in _TAKING_WORK:
            return found

        @functools.wraps(found)
        def method(*args: Any, **kwargs: Any) -> Any:
            values = dict(fields())
            if "func" in kwargs and not args:  # as the methods of `multiprocessing.Pool` call it
                return found(**{**kwargs, "func": _Carried(kwargs["func"], values)})
            return found(*(_Carried(function, values) for function in args[:1]), *args[1:], **kwargs)

        return method

    def __enter__(self) -> Self:
        """Enter the pool."""
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        """Leave the pool."""
        return self._pool.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        """Return which pool it is."""
        return f"<with_context {self._pool!r}>"


_ENDS = {"submit": "shutdown", "apply_async": "terminate"}
"""Methods by which executors and pools are known; other things may have the first of each two."""
_TAKING_WORK = {
    *("submit", "map", "apply", "apply_async", "map_async"),
    *("imap", "imap_unordered", "starmap", "starmap_async"),
}


def with_context(target: _Target) -> _Target:
    """Return a function that takes the present context along, or a pool whose tasks do.

    Runs in the process that gives work away. A function runs in any thread or process with the fields that
    are bound now; the result pickles if the function does. Of a `multiprocessing.Pool` or a
    `concurrent.futures` executor it returns the same with `submit`, `map`, `apply`, `starmap` and their kin
    taking along what is bound when they are called. What a task binds is gone when it ends.

    Args:
        target: a function, a pool or an executor.

    Raises:
        TypeError: it is none of these.
    """
    wrapped: Any
    if any(hasattr(target, start) and hasattr(target, end) for start, end in _ENDS.items()):
        wrapped = _Pool(target)
    elif callable(target):
        wrapped = _Carried(target, dict(fields()))
    else:
        raise TypeError(f"`target` is {target!r}; use a function, a Pool or an executor.")
    return wrapped  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    import json

    return json.loads(encode_value(value))
