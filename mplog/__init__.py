"""Multiprocess logging for Python that loses nothing."""
