"""uvicorn: its log in the one log, with several workers, too. Runs in uvicorn's parent and in its workers.

::

    if __name__ == "__main__":
        with mplog.setup("app.log"):
            uvicorn.run("app:app", workers=4, log_config=log_config())

The workers are spawned by `multiprocessing` and attach by themselves.
"""

from __future__ import annotations

from typing import Any

__all__ = ["log_config"]


def log_config(level: str = "INFO", access_level: str = "INFO") -> dict[str, Any]:
    """Return a value for uvicorn's `log_config`; its own one has handlers that bypass the root logger.

    Args:
        level: least level of ``uvicorn`` and ``uvicorn.error``.
        access_level: least level of ``uvicorn.access``.
    """
    loggers = {"uvicorn": level, "uvicorn.error": level, "uvicorn.access": access_level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {name: {"level": least, "handlers": [], "propagate": True} for name, least in loggers.items()},
    }
