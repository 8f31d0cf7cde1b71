"""The one exception of the viewer. Runs in the command `mplog`."""

from __future__ import annotations


class ViewerError(Exception):
    """Report a mistake of the caller: one sentence for stderr, and the exit code.

    Args:
        sentence: what is wrong and what to do about it; may hold further lines (a caret under a place).
        exit_code: what the command exits with; 2 is "usage, unreadable".
    """

    def __init__(self, sentence: str, exit_code: int = 2) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code
