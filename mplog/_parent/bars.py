"""Notice the progress bars of tqdm and rich in this process. Runs in the parent.

Both libraries are noticed when they are imported, before `setup` or after. The first bar starts a `Router`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mplog._parent.router import Router, is_up
from mplog._shared.spool import Spool


def _watch_tqdm(module: ModuleType) -> Callable[[], None]:
    bars: Any = module.tqdm
    init, close = bars.__init__, bars.close

    @functools.wraps(init)
    def begin(self: Any, *args: Any, **options: Any) -> None:
        if _router is not None and not options.get("disable"):
            with contextlib.suppress(Exception):  # before the first drawing
                _router.begin(self)
        init(self, *args, **options)
        if _router is not None and (self.disable or not is_up(self)):
            _router.end(self)

    @functools.wraps(close)
    def end(self: Any) -> None:
        try:
            close(self)
        finally:
            if _router is not None:
                _router.end(self)

    bars.__init__, bars.close = begin, end

    def undo() -> None:
        if bars.__init__ is begin and bars.close is end:
            bars.__init__, bars.close = init, close

    return undo


def _watch_rich(module: ModuleType) -> Callable[[], None]:
    live: Any = module.Live
    start, stop = live.start, live.stop

    @functools.wraps(start)
    def begin(self: Any, *args: Any, **options: Any) -> None:
        if _router is not None and self.console.is_terminal:
            with contextlib.suppress(Exception):
                _router.begin(self)
        start(self, *args, **options)

    @functools.wraps(stop)
    def end(self: Any) -> None:
        try:
            stop(self)
        finally:
            if _router is not None:
                _router.end(self)

    live.start, live.stop = begin, end

    def undo() -> None:
        if live.start is begin and live.stop is end:
            live.start, live.stop = start, stop

    return undo


_WATCHED = {"tqdm.std": _watch_tqdm, "rich.live": _watch_rich}


class _Finder(importlib.abc.MetaPathFinder):
    """Let others find a module, and look at it once it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return what the other finders find, with our loader around theirs."""
        if fullname not in _WATCHED:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                    spec.loader = _Loader(spec.loader.name, spec.loader.path)
                return spec  # type: ignore[no-any-return]
        return None


class _Loader(importlib.machinery.SourceFileLoader):
    """Load a module and watch its bars."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        super().exec_module(module)
        _watch(module)


_router: Router | None = None
_undo: list[Callable[[], None]] = []
_finder = _Finder()


def _watch(module: ModuleType) -> None:
    if _router is not None:
        with contextlib.suppress(AttributeError):  # another version than we know
            _undo.append(_WATCHED[module.__name__](module))


def arm(spool: Spool, fd: int) -> bool:
    """Watch for bars if a session's console is a terminal. Runs in the process that has set it up."""
    global _router
    if not os.isatty(fd):
        return False
    disarm()
    _router = Router(spool, fd)
    for name in _WATCHED:
        if name in sys.modules:
            _watch(sys.modules[name])
    sys.meta_path.insert(0, _finder)
    return True


def disarm() -> None:
    """Watch no more, and write what is on its way."""
    global _router
    router, _router = _router, None
    if router is not None:
        router.close()
    while _undo:
        _undo.pop()()
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(_finder)


def _after_fork() -> None:
    """Leave the bars to the parent."""
    global _router
    router, _router = _router, None
    if router is not None:
        router.forget()


os.register_at_fork(after_in_child=_after_fork)
