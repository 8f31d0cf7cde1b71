"""PyTorch: workers of a `DataLoader` that attach. Runs in the parent and in the workers.

::

    DataLoader(data, num_workers=4, worker_init_fn=worker_init_fn(session, mine))

Under fork, spawn and forkserver workers that start after `setup` attach by themselves; this is the explicit way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["worker_init_fn"]


class worker_init_fn:  # noqa: N801  # it stands where a function of this name is expected, and has to pickle
    """Be a `worker_init_fn` that attaches, then calls the user's own.

    Args:
        session: the session.
        then: the user's `worker_init_fn`, or None.
    """

    def __init__(self, session: Any, then: Callable[[int], object] | None = None) -> None:
        self.session = session
        self.then = then

    def __call__(self, worker_id: int) -> None:
        """Attach this worker and give it a name in the log. Only the user's own function may raise."""
        from multiprocessing import current_process

        current_process().name = f"DataLoader-{worker_id}"
        self.session.attach()
        if self.then is not None:
            self.then(worker_id)
