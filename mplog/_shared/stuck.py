"""See that a listener process is stuck, and end it. Runs in its supervisor, and in processes of the session.

Stuck is one that runs, and has not made a step for long: one that is stopped or traced was stopped on purpose and
goes on some day, and one that waits for a device cannot be killed. It is ended before another one is started, and by
its lock it is known who it is: there are never two on time alone. A listener that is a thread is never ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from mplog._shared.spool import Spool

SUPERVISED, ALONE = 30.0, 45.0
"""Seconds without a step after which the supervisor, and after which others take a listener for stuck."""
STARTING = 4.0
"""How many times as long a listener may take for its first step: handlers of the user are made in it."""
AGAIN_AFTER = 2.0
"""Seconds after which it must be found so a second time: one that was stopped has had no time for a step yet."""
PROGRAM = b"mplog._listener.supervise"
"""What stands in the command line of every listener process, see `launch`."""


class Watch:
    """Look after one session's listener.

    Args:
        spool: the session's directory.
        after: seconds without a step after which it is stuck.
    """

    def __init__(self, spool: Spool, after: float) -> None:
        self._spool = spool
        self._after = after
        self._met = (0, 0)
        self._seen = (0, 0)
        self._seen_at = 0.0
        self._look_at = 0.0

    def is_stuck(self, pid: int, *, every: float = 0.0) -> bool:
        """Tell whether the listener of this pid was found stuck twice; looks every `every` seconds at most."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + every
        beat = self._beat_of_stuck(pid)
        if not beat or (pid, beat) != self._seen:
            self._seen, self._seen_at = (pid, beat), now
            return False
        return now - self._seen_at >= AGAIN_AFTER

    def end(self, pid: int) -> bool:
        """Kill the session's listener if it is the process `pid`; return whether its lock is free afterwards.

        The caller holds the session's lock.
        """
        spool = self._spool
        try:
            fd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            return False
        try:
            # Looked at while the descriptor is open: the pid cannot belong to another process by now.
            if spool.listener_pid() != pid or not _is_listener(pid, spool):
                return False
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except OSError:
            return False
        finally:
            os.close(fd)
        deadline = time.monotonic() + 1.0
        while spool.listener_pid() == pid and time.monotonic() < deadline:
            time.sleep(0.002)
        return spool.listener_pid() is None

    def _beat_of_stuck(self, pid: int) -> int:
        """Return when a listener that seems stuck made its last step, or 0 for one that does not."""
        now = time.monotonic_ns()
        if self._met[0] != pid:
            self._met = pid, now
        status = self._spool.status()
        beat, after = self._met[1], self._after * STARTING
        if status is not None and status.pid == pid:
            beat, after = status.beat, self._after
        return beat if now - beat > after * 1e9 and _runs(pid) else 0


def _is_listener(pid: int, spool: Spool) -> bool:
    """Tell whether a process is a listener and nothing else: a thread's process is the application."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
        words = file.read(1 << 20).split(b"\0")
        return os.fsencode(spool.path) in words and any(PROGRAM in word for word in words)
    return False


def _runs(pid: int) -> bool:
    """Tell whether a process runs or sleeps (proc(5), stat, field 3): it is not stopped, traced, or waiting for I/O."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read(2048).rpartition(b")")[2].split()[0] in (b"R", b"S")
    return False
