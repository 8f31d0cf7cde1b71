"""Progress bars of tqdm and rich in this process, and console lines that appear above them. Runs in the parent.

    listener --FIFO `terminal`--> thread here --> tqdm's or rich's own way to write above bars --> terminal

While a bar is up, this process alone writes to its terminal: two that do tear each other's lines. The thread lives
only as long as there are bars. Both libraries are noticed when they are imported, before or after `setup`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mplog._spool import Spool

FIFO = "terminal"
LOOK_EVERY = 0.05
"""Seconds between two looks whether the bars are gone."""
DRAIN = 2.0
"""Seconds to wait for what the listener is just handing over."""


class Router:
    """Write on this process's terminal what the listener hands over, while there are bars.

    Args:
        spool: the session's directory.
        fd: the terminal.
    """

    def __init__(self, spool: Spool, fd: int) -> None:
        self._path = spool.file(FIFO)
        self._fd = fd
        self._bars: dict[int, weakref.ref[Any]] = {}
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends: list[int] = []
        self._pid = os.getpid()
        self._closing = False

    def begin(self, bar: Any) -> None:
        """Note that a bar is up; from now on lines go through this process."""
        if os.getpid() != self._pid or self._closing:
            return
        with self._changing:
            self._bars[id(bar)] = weakref.ref(bar)
            if self._thread is not None:
                return
            try:
                os.mkfifo(self._path, 0o600)
            except FileExistsError:
                pass
            except OSError:
                return  # No session any more: nothing comes.
            reader = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            # Our own writer keeps the pipe from being at its end whenever the listener is not writing.
            self._ends = [reader, os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)]
            self._thread = threading.Thread(target=self._run, name="mplog-terminal", daemon=True)
            self._thread.start()

    def end(self, bar: Any) -> None:
        """Note that a bar is gone. Never waits: it may be called while a bar is collected."""
        self._bars.pop(id(bar), None)

    def close(self) -> None:
        """Write what is on its way, and write no more."""
        self._closing = True
        thread = self._thread
        if thread is not None and os.getpid() == self._pid:
            thread.join(DRAIN + 1.0)

    def forget(self) -> None:
        """Leave the pipe to the parent. Runs in a forked child."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                os.close(end)
        self._ends = []
        self._thread = None
        self._bars.clear()

    def up(self) -> list[Any]:
        """Return the bars that are up."""
        return [bar for bar in (ref() for ref in list(self._bars.values())) if bar is not None]

    def _run(self) -> None:
        reader = self._ends[0]
        rest = b""
        while True:
            while self.up() and not self._closing:
                if select.select([reader], [], [], LOOK_EVERY)[0]:
                    rest = self._write(rest + os.read(reader, 1 << 16))
            with self._changing:
                if self.up() and not self._closing:
                    continue
                self._thread = None
                rest = self._drain(rest)
                if rest:
                    self._write(rest + b"\n")
                return

    def _drain(self, rest: bytes) -> bytes:
        """Close the way and take what is on it: whoever has opened it already may still write."""
        reader, writer = self._ends
        self._ends = []
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(writer)
        deadline = time.monotonic() + DRAIN
        while time.monotonic() < deadline:
            try:
                data = os.read(reader, 1 << 16)
            except BlockingIOError:
                select.select([reader], [], [], LOOK_EVERY)
                continue
            if not data:
                break
            rest = self._write(rest + data)
        os.close(reader)
        return rest

    def _write(self, data: bytes) -> bytes:
        """Write the whole lines above the bars; return the rest."""
        end = data.rfind(b"\n") + 1
        if end:
            try:
                _above(self.up(), self._fd, data[:end])
            except Exception:  # a bar in the midst of its end: the line must come all the same
                _write_all(self._fd, b"\r\x1b[K" + data[:end])
        return data[end:]


def _above(bars: list[Any], fd: int, data: bytes) -> None:
    """Write whole lines above the bars, as their library does it."""
    lives = [bar for bar in bars if hasattr(bar, "console")]
    if lives:
        from rich.text import Text

        text = Text.from_ansi(data.decode("utf-8", "replace").rstrip("\n"))
        lives[-1].console.print(text, soft_wrap=True, highlight=False)
        return
    tqdm: Any = sys.modules.get("tqdm.std")
    if tqdm is None:
        _write_all(fd, data)
        return
    with tqdm.tqdm.get_lock():
        shown = [bar for bar in list(getattr(tqdm.tqdm, "_instances", ())) if _is_up(bar)]
        for bar in shown:
            bar.clear(nolock=True)
            bar.fp.flush()
        # A bar that is just being closed is no instance any more, but still to be seen.
        _write_all(fd, b"\r\x1b[J" + data)
        for bar in shown:
            bar.refresh(nolock=True)


def _is_up(bar: Any) -> bool:
    """Tell whether a tqdm bar has been drawn on a terminal."""
    with contextlib.suppress(Exception):  # files that are none
        return hasattr(bar, "start_t") and os.isatty(bar.fp.fileno())
    return False


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# How the libraries are noticed.


def _watch_tqdm(module: ModuleType) -> Callable[[], None]:
    bars: Any = module.tqdm
    init, close = bars.__init__, bars.close

    @functools.wraps(init)
    def begin(self: Any, *args: Any, **options: Any) -> None:
        if _router is not None and not options.get("disable"):
            with contextlib.suppress(Exception):  # before the first drawing
                _router.begin(self)
        init(self, *args, **options)
        if _router is not None and (self.disable or not _is_up(self)):
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
