"""How the session's processes reach the listener, and what it says of itself to them. Runs in the listener.

any process --a byte--> wake      look at once, and count
listener --> status, stats.json   how far it is, what it has counted
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable

from mplog._shared.descriptors import say
from mplog._shared.held import Held, open_private
from mplog._shared.spool import Spool, Status

TELL_EVERY = 250_000_000
"""Nanoseconds between two notes that the listener lives, while nothing happens."""
COUNT_SHARE = 20
"""Of its time a listener counts for others at most one part in so many: each new segment of a journal asks, too."""
_FLAGS = os.O_RDWR | os.O_CREAT


class Contact:
    """The listener's ends of the session's FIFO and of the two files about itself.

    Args:
        spool: the session's directory.

    Raises:
        OSError: the files cannot be made.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._poll = select.poll()
        self._wake: Held | None = None
        self._status: Held | None = Held(open_private(spool.file("status"), _FLAGS))
        self._stats: Held | None = Held(open_private(spool.file("stats.json"), _FLAGS))
        self.is_closed = False
        self.asked = True
        """Whether somebody wants to know now."""
        self._wanted = False
        self._count_at = 0
        self._rung = True
        self._told = (0, 0)
        self._listen()

    def heed(self) -> None:
        """See whether somebody has asked since the last look."""
        rung, self._rung = self._rung, True
        self.asked = False
        if rung and self._wake is not None and self._wake.is_intact():
            with contextlib.suppress(OSError):
                self.asked = bool(os.read(self._wake.fd, 4096))

    def insist(self) -> None:
        """Have the counts written at the next occasion, whatever that costs: they are the last."""
        self.asked, self._count_at = True, 0

    def wait(self, pause: float) -> None:
        """Wait `pause` seconds, or until somebody asks."""
        if self._wake is None:
            time.sleep(pause)
            return
        with contextlib.suppress(OSError):
            self._rung = bool(self._poll.poll(pause * 1000))

    def tell(self, status: Status, stats: Callable[[], bytes], *, busy: bool) -> None:
        """Say how far the listener is, and, where somebody has asked, what it has counted.

        Where nobody has asked and nothing happens, that is said a few times in a second.
        """
        self._wanted = self._wanted or self.asked
        count = self._wanted and status.beat >= self._count_at
        if (
            not busy
            and not self.asked
            and not count
            and status.alive == self._told[1]
            and status.beat - self._told[0] < TELL_EVERY
        ):
            return
        self._told = status.beat, status.alive
        if self._status is not None and self._status.is_intact():
            with contextlib.suppress(OSError):
                os.pwrite(self._status.fd, status.to_bytes(), 0)
        if count and self._stats is not None and self._stats.is_intact():
            began = time.monotonic_ns()
            self._wanted = False
            with contextlib.suppress(OSError):
                # In place: who holds it open can read the last counts when the session is gone.
                data = stats() + b"\n"
                os.pwrite(self._stats.fd, data, 0)
                os.ftruncate(self._stats.fd, len(data))
            now = time.monotonic_ns()
            self._count_at = now + COUNT_SHARE * (now - began)

    def mend(self) -> bool:
        """Open anew what the application has closed; return whether it had closed anything."""
        lost = False
        if self._wake is not None and not self._wake.is_intact():
            lost = True
            self._poll.unregister(self._wake.fd)
            self._wake = None
            self._listen()
        if self._status is not None and not self._status.is_intact():
            lost = True
            self._status = self._open_again("status")
        if self._stats is not None and not self._stats.is_intact():
            lost = True
            self._stats = self._open_again("stats.json")
        return lost

    def close(self) -> None:
        """Close everything."""
        self.is_closed = True
        for held in (self._wake, self._status, self._stats):
            if held is not None:
                held.close()
        self._wake = self._status = self._stats = None

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            self._wake = Held(os.open(self._spool.file("wake"), flags))
            self._poll.register(self._wake.fd, select.POLLIN)

    def _open_again(self, name: str) -> Held | None:
        try:
            return Held(os.open(self._spool.file(name), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC))
        except OSError as error:
            say(f"`{self._spool.file(name)}` cannot be opened again ({error.strerror}); the listener goes on without.")
            return None
