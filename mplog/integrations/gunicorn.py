"""gunicorn: its error and access log in the one log. Runs in gunicorn's master, and in its workers.

In ``gunicorn.conf.py``::

    import mplog
    from mplog.integrations.gunicorn import log_config, post_fork

    mplog.setup("/var/log/app.log")
    logconfig_dict = log_config()

The master reads this file, the workers are its forks: they attach by themselves.
"""

from __future__ import annotations

from typing import Any

__all__ = ["log_config", "post_fork"]


def log_config(level: str = "INFO", access_level: str = "INFO") -> dict[str, Any]:
    """Return a value for gunicorn's setting `logconfig_dict`. Runs in the master.

    gunicorn's two loggers have handlers of their own and do not propagate (gunicorn, ``glogging.py``); with
    this they write through the root logger to the session, and nowhere else.

    Args:
        level: least level of the root logger and of ``gunicorn.error``.
        access_level: least level of ``gunicorn.access``; ``"WARNING"`` switches the access log off.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"mplog": {"()": "mplog.WorkerHandler"}},
        "root": {"level": level, "handlers": ["mplog"]},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": [], "propagate": True},
            "gunicorn.access": {"level": access_level, "handlers": [], "propagate": True},
        },
    }


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001  # what gunicorn passes
    """Give each worker a name of its own in the log, ``gunicorn-1``, .. A hook: import it into the settings."""
    from multiprocessing import current_process

    current_process().name = f"gunicorn-{worker.age}"
