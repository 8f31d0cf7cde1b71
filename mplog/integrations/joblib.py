"""joblib and loky: workers that attach, also those of an executor that is warm already. Runs in the parent.

::

    with attached(session):
        Parallel(n_jobs=4)(delayed(work)(n) for n in range(100))

Workers that loky starts after `setup` attach by themselves; those it keeps from before do not.
"""

from __future__ import annotations

from typing import Any

__all__ = ["attached"]


def attached(session: Any, **options: Any) -> Any:
    """Return a `joblib.parallel_config` whose workers attach first; it replaces an executor without that.

    Args:
        session: the session.
        options: more arguments for `joblib.parallel_config`.

    Raises:
        ImportError: there is no joblib.
    """
    import joblib

    return joblib.parallel_config(backend="loky", initializer=session.attach, **options)
