"""What a log may hold, and what no output may, for the property tests of the viewer."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mplog._shared.record import FIELDS

SCHEMA = (*FIELDS, "exc", "levelno")

FORBIDDEN = {chr(code) for code in (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0))} | set(
    "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""Characters that drive a terminal."""


def json_values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return a strategy of whatever JSON can say."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text
    )
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=12
    )
