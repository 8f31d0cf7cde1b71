"""The errors mplog raises, all below `MplogError`. Runs in every process."""

__all__ = ["ConfigError", "MplogError", "SessionError", "SpoolError"]


class MplogError(Exception):
    """Be the base of every error that mplog raises; a logging call raises none of them."""


class ConfigError(MplogError, ValueError):
    """Say that an argument, an environment variable or a configuration key is wrong, and what would be right.

    Raised in the caller, before anything is started or created.
    """


class SessionError(MplogError, RuntimeError):
    """Say that a session cannot be set up, joined or used: it is closed, or another is in the way."""


class SpoolError(MplogError, OSError):
    """Say that no spool can be made, or that one cannot be trusted: its owner, mode or kind is wrong."""
