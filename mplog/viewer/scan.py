"""Blocks of one file to the records selected: looks for bytes first, decodes what is left.

Runs in the command `mplog`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mplog.viewer import layouts
from mplog.viewer.conditions import Predicate
from mplog.viewer.lines import Record, decode_own
from mplog.viewer.longlines import END, MAX_LINE, left_out
from mplog.viewer.needles import Hits, Needle
from mplog.viewer.parsing import Parser
from mplog.viewer.selection import Selection

WIDEN = 2.0
_SAMPLE = 1 << 18
_WORTHWHILE = 0.3


class Damage(msgspec.Struct):
    """Count the lines that are no records, and those shown without their middle, over all files; remember the first."""

    mode: str = "show"
    count: int = 0
    path: str = ""
    offset: int = 0
    cut: int = 0
    cut_path: str = ""
    cut_offset: int = 0

    def add(self, record: Record, count: int = 1) -> None:
        """Count a damaged line."""
        if not self.count:
            self.path, self.offset = record.source, record.offset
        self.count += count

    def sentence(self) -> str:
        """Return what is said of them at the end."""
        lines = "1 damaged line" if self.count == 1 else f"{self.count:,} damaged lines, the first"
        return f"{lines} at byte {self.offset:,} of {self.path}"

    def note_cut(self, records: Sequence[Record]) -> None:
        """Count the records shown that are too long to be shown whole."""
        for record in records:
            if len(record.raw) > END and left_out(record.raw):
                self.add_cut(record.source, record.offset)

    def add_cut(self, path: str, offset: int, count: int = 1) -> None:
        """Count lines shown without their middle, the first of which is given."""
        if count and not self.cut:
            self.cut_path, self.cut_offset = path, offset
        self.cut += count

    def cut_sentence(self, longest: int) -> str:
        """Return what is said at the end of the lines shown without their middle."""
        lines = "1 line" if self.cut == 1 else f"{self.cut:,} lines"
        middle = "its middle" if self.cut == 1 else "their middle, the first"
        place = f"at byte {self.cut_offset:,} of {self.cut_path}"
        return f"{lines} of more than {longest >> 20} MiB shown without {middle} {place}"


class Plan(msgspec.Struct):
    """Say what a scan is to find, and how."""

    selection: Selection = msgspec.field(default_factory=Selection)
    input_format: str = "auto"
    damage: Damage = msgspec.field(default_factory=Damage)
    show_damaged: bool = True
    every_record: bool = False
    longest: int = MAX_LINE

    def needles(self) -> list[Needle]:
        """Return the needles that may be used; none when every line has to be decoded anyway."""
        if (
            self.every_record
            or self.damage.mode in ("count", "fail")
            or self.input_format not in ("auto", "json", "text")
        ):
            return []
        return self.selection.condition.needles()


class Scanner:
    """Turn the blocks of one file into the selected records.

    Args:
        path: of the file, for the records.
        plan: what to find.
        whole: the blocks hold whole records, not only whole lines; only then text can be searched as bytes.
    """

    def __init__(self, path: str, plan: Plan, *, whole: bool = False) -> None:
        self.path = path
        self.plan = plan
        self.chosen: Needle | None = None
        self._parser = Parser(path, plan.input_format)
        self._test: Predicate | None = None if plan.every_record else plan.selection.predicate()
        self._since, self._until = plan.selection.since, plan.selection.until
        self._timed = self._since is not None or self._until is not None
        self._clock: float | None = None
        self._hits: Hits | None = None
        self._whole = whole
        self.text_hits = False
        self._decided = False

    def block(self, block: bytes, at: int, limit: int | None = None) -> list[Record]:
        """Return the selected records of a block.

        Args:
            block: bytes that begin with a line.
            at: where they begin in the file.
            limit: the end of the whole lines in it; None is the end of the block.
        """
        self.decide(block)
        if self._hits is not None:
            return self._find(block, at, len(block) if limit is None else limit)
        return self._decode(block if limit is None else block[:limit], at)

    def adopt(self, other: Scanner, block: bytes) -> None:
        """Take over another scanner's choice of a needle; the first block seen decides for both."""
        other.decide(block)
        self._decided, self._hits, self.chosen = True, other._hits, other.chosen
        self.text_hits = other.text_hits

    def finish(self) -> list[Record]:
        """Return the record held back for continuation lines, if it is selected."""
        return self._pick(list(self._parser.flush()))

    def decide(self, block: bytes) -> None:
        """Choose the rarest needle of the first block, if the file is mplog's own and it saves work."""
        if self._decided:
            return
        self._decided = True
        needles = self.plan.needles()
        sample = block[:_SAMPLE]
        layout = layouts.sniff(sample) if needles else None
        if layout == layouts.TEXT:
            needles = [needle.text for needle in needles if needle.text is not None] if self._whole else []
        if layout is None or not needles:
            return
        lines = sample.count(b"\n") + 1
        rates = [(sum(1 for _ in needle.hits()(sample, len(sample))) / lines, i) for i, needle in enumerate(needles)]
        rate, best = min(rates)
        if rate <= _WORTHWHILE or lines < 50:
            self.chosen = needles[best]
            self.text_hits = layout == layouts.TEXT
            hits = self.chosen.hits()
            self._hits = layouts.record_hits(hits) if self.text_hits else hits

    def _find(self, block: bytes, at: int, limit: int) -> list[Record]:
        assert self._hits is not None
        found: list[Record] = []
        test, path, timed = self._test, self.path, self._timed
        for begin, end in self._hits(block, limit):
            line = block[begin:end]
            record = None if self.text_hits else decode_own(line, at + begin, path)
            if record is None:
                # Damaged lines are not looked for here, so the few that are met must not pass for all of them.
                found += self._pick([one for one in self._lines(line, at + begin) if not one.damaged])
            elif (test is None or test(record)) and (not timed or self._in_time(record)):
                found.append(record)
        return found

    def _lines(self, block: bytes, at: int) -> list[Record]:
        """Return the records of a few lines that have nothing to do with what comes behind them."""
        found: list[Record] = []
        for line in block.split(b"\n"):
            found += self._parser.feed(line, at)
            at += len(line) + 1
        return [*found, *self._parser.flush()]

    def _decode(self, block: bytes, at: int) -> list[Record]:
        found: list[Record] = []
        feed, test, timed, add = self._parser.feed, self._test, self._timed, found.append
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            for record in feed(line, at):
                if record.damaged:
                    found += self._pick([record])
                elif (test is None or test(record)) and (not timed or self._in_time(record)):
                    add(record)
            at += len(line) + 1
        return found

    def _pick(self, records: list[Record]) -> list[Record]:
        found = []
        for record in records:
            if record.damaged:
                self.plan.damage.add(record)
                if not self.plan.show_damaged or (self._timed and not self._in_time(record)):
                    continue
                found.append(record)
            elif (self._test is None or self._test(record)) and (not self._timed or self._in_time(record)):
                found.append(record)
        return found

    def _in_time(self, record: Record) -> bool:
        if record.time is not None:
            self._clock = record.time
        clock = self._clock
        if clock is None:
            return self._since is None
        return (self._since is None or clock >= self._since) and (self._until is None or clock <= self._until)
