"""A listener in a thread of the application: for handler objects, captured streams. Runs in the listener."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import Any

from mplog._shared import lock
from mplog._shared.descriptors import say
from mplog._shared.held import Held
from mplog._shared.spool import Spool
from mplog.config import Config
from mplog.listener import LONGEST_LOCKED, Listener


class ListenerThread:
    """Run a listener in a thread of this process.

    Args:
        spool: the session's directory.
        config: the session's settings.
        stream: where the console writes.

    Raises:
        BlockingIOError: the session has a listener.
    """

    def __init__(self, spool: Spool, config: Config, stream: Any) -> None:
        fd = lock.acquire(spool.listener_lock)
        if fd is None:
            raise BlockingIOError(spool.listener_lock)
        self._lock = Held(fd)
        self._stop = threading.Event()
        self.retired = False
        """Whether another listener has taken over: the application had closed the descriptor of the lock."""
        handlers = tuple(handler for handler in config.handlers if isinstance(handler, logging.Handler))
        self.listener = Listener(spool, config, stream=stream, handlers=handlers)
        self._thread = threading.Thread(target=self._run, name="mplog-listener", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> bool | None:
        """Drain and end; return whether nothing was left behind within `timeout` seconds.

        None: another listener has taken over, and drains.
        """
        deadline = time.monotonic() + timeout
        self._stop.set()
        self.listener.spool.wake()
        self._thread.join(max(0.1, timeout))
        if self._thread.is_alive():
            return False
        if not self.listener.is_closed and self._holds_lock():
            return self._end(max(0.1, deadline - time.monotonic()))
        if self.retired:
            self.listener.leave()
            return None
        lock.release(self._lock.fd)
        return True

    def _run(self) -> None:
        self.listener.run(lambda: self._stop.is_set() or not self._holds_lock())

    def _holds_lock(self) -> bool:
        """Tell whether this is the session's listener still; open again what the application has closed."""
        if self.retired:
            return False
        self.listener.mend()
        if self._lock.is_intact():
            return True
        fd = lock.take_again(self._lock.key, self.listener.spool.listener_lock)
        if fd is not None and not self.listener.is_taken_over():
            self._lock = Held(fd)
            return True
        if fd is not None:
            lock.release(fd)
        self.retired = True
        say(
            "this program has closed all its descriptors, and another listener has taken over; handler objects get "
            "nothing more."
        )
        return False

    def _end(self, timeout: float) -> bool:
        listener = self.listener
        session = listener.settle(timeout)
        clean = listener.finish(LONGEST_LOCKED)
        last = clean and session is not None and not listener.intake.alive() and listener.close_journals()
        listener.close()
        lock.release(self._lock.fd)
        if last:
            listener.spool.clear()
        if session is not None:
            lock.release(session, remove=listener.spool.lock_path if last else None)
        if last:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(listener.spool.path))
        return clean
