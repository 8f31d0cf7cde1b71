"""Medians and ratios over the rows of a run. Runs in the conductor, also on rows read from a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.measure import median

Row = dict[str, Any]


class Rows:
    """The raw rows of a run, to be asked for medians and ratios."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = list(rows)

    def select(self, section: str, **plan: Any) -> list[Row]:
        """Return the rows of `section` whose plan, or whose `python`, has these values."""
        return [
            row
            for row in self._rows
            if row["section"] == section and all((row | row["plan"]).get(name) == value for name, value in plan.items())
        ]

    def values(self, name: str, section: str, **plan: Any) -> list[float]:
        """Return the figure `name` of every selected row that has it."""
        found = [row["result"].get(name) for row in self.select(section, **plan)]
        return [value for value in found if value is not None]

    def median(self, name: str, section: str, **plan: Any) -> float | None:
        """Return the median of `values`, or None if there are none."""
        return median(self.values(name, section, **plan))

    def worst(self, name: str, section: str, **plan: Any) -> float | None:
        """Return the largest of `values`, or None if there are none."""
        return max(self.values(name, section, **plan), default=None)

    def ratio(self, name: str, section: str, mine: Row, theirs: Row, **plan: Any) -> float | None:
        """Return the median over the rounds of `name` of `mine` by that of `theirs` in the same round."""

        def by_round(which: Row) -> dict[int, float]:
            rows = self.select(section, **plan, **which)
            return {row["round"]: row["result"][name] for row in rows if row["result"].get(name)}

        ours, others = by_round(mine), by_round(theirs)
        return median(ours[number] / others[number] for number in ours.keys() & others.keys())

    def plans(self, section: str, name: str) -> list[Any]:
        """Return the values of `name`, in the plan or of the row, that occur in `section`; sorted."""
        found = {(row | row["plan"]).get(name) for row in self._rows if row["section"] == section}
        return sorted((value for value in found if value is not None), key=_natural)

    def failures(self) -> list[str]:
        """Return a sentence for each run that failed, hung outside of the kills, or left processes behind."""
        return sorted({sentence for row in self._rows for sentence in _complaints(row)})


def _natural(value: Any) -> tuple[str, Any]:
    return (type(value).__name__, value)


def _complaints(row: Row) -> Iterable[str]:
    where, result = f"{row['section']} {row['plan']}, Python {row['python']}", row["result"]
    if result["status"] == "failed":
        lines = str(result.get("error", "")).strip().splitlines()
        yield f"{where}: failed: {lines[-1] if lines else 'without a word'}"
    if result["status"] == "hangs" and row["section"] != "kills":
        yield f"{where}: hangs"
    if result.get("left_behind") and result["status"] != "hangs":
        yield f"{where}: left {result['left_behind']} processes behind"
