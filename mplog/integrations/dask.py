"""Dask distributed: workers that attach, also after a restart. Runs in the client and in Dask's workers.

::

    client.register_plugin(MplogPlugin(session))

The workers of a `LocalCluster` attach by themselves; with the plugin also those of other clusters on this
machine, and their own records (logger ``distributed``), which do not propagate, come to the log, too.
"""

from __future__ import annotations

import logging
from typing import Any

try:
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError:  # it is only a base class
    WorkerPlugin = object

__all__ = ["MplogPlugin"]


class MplogPlugin(WorkerPlugin):  # type: ignore[misc]
    """Attach each worker of a cluster.

    Args:
        session: the session.
        workers_own: whether records of Dask itself come to the log, too.
    """

    name = "mplog"
    idempotent = True

    def __init__(self, session: Any, *, workers_own: bool = True) -> None:
        self.session = session
        self.workers_own = workers_own

    def setup(self, worker: Any) -> None:  # noqa: ARG002  # what Dask passes
        """Attach this worker's process. Called by Dask when a worker starts, or starts again."""
        self.session.attach()
        if self.workers_own:
            logger = logging.getLogger("distributed")
            logger.propagate = True
            logger.handlers.clear()
