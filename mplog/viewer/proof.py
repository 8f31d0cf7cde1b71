"""What a log proves about itself: read it into a ledger, close the books. Runs in the command `mplog`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import msgspec

from mplog.viewer import jsonlines, lines, otlp, quick, reading
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.family import certificate_in
from mplog.viewer.lives import Account, Ledger, LedgerLine, Life, ending
from mplog.viewer.parsing import Parser
from mplog.viewer.tables import plural

_TEXT_DROP = re.compile(r"(?:(.*)\[(\d+)\] )?dropped ([\d,]+) records? between ")


class TextLife(msgspec.Struct):
    """What a file without seq tells of one process."""

    process: str
    pid: int | None
    records: int = 0
    dropped: int = 0
    certified: int | None = None
    end: str | None = None


class Finding(msgspec.Struct):
    """The result for one log with its rotated files."""

    path: str
    files: tuple[str, ...]
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    texts: dict[tuple[str, int | None], TextLife] = {}
    text_done: list[TextLife] = []
    text_records: int = 0
    damaged: int = 0
    places: list[str] = []
    rotated: bool = False

    def accounts(self) -> list[tuple[Life, Account]]:
        """Return the books of every life, in the order they began."""
        since = self.ledger.first_time
        return [(life, life.account(rotated=self.rotated, since=since)) for life in self.ledger.lives]

    def all_texts(self) -> list[TextLife]:
        """Return the processes that are known from text only."""
        return [*self.text_done, *self.texts.values()]


def sources(paths: list[str], *, rotated: bool) -> list[reading.Source]:
    """Return the logs, each with its rotated files where `.1` exists, none of them twice."""
    found = reading.expand(paths, rotated=rotated)
    whole = []
    for source in found:
        older = () if source.path == "-" else reading.rotations(source.path)
        if any(n == 1 for n, _ in older):
            source = reading.Source(source.path, (*(p for _, p in sorted(older, reverse=True)), source.path))
        whole.append(source)
    within = {os.path.realpath(p) for source in whole for p in source.files[:-1]}
    return [source for source in whole if source.path == "-" or os.path.realpath(source.path) not in within]


def check(source: reading.Source, input_format: str = "auto") -> Finding:
    """Read one log, oldest file first, in bounded memory.

    Args:
        source: the log with its rotated files.
        input_format: `auto`, `json`, `text`, or a `logging` format string.

    Raises:
        ViewerError: a file cannot be read to its end.
    """
    finding = Finding(source.path, source.files)
    for path in source.files:
        try:
            with reading.open_source(path) as stream:
                _read(finding, path, reading.blocks(stream), input_format)
        except (OSError, EOFError) as error:
            raise ViewerError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    finding.rotated = _may_be_rotated(finding)
    return finding


def _read(finding: Finding, path: str, blocks: Iterator[tuple[int, bytes]], input_format: str) -> None:
    decoder = msgspec.json.Decoder(LedgerLine)
    first = next(blocks, None)
    if first is None:
        return
    is_json = first[1].lstrip()[:1] == b"{" if input_format == "auto" else input_format == "json"
    if not is_json:
        _read_text(finding, Parser(path, input_format), first, blocks)
        return
    block: tuple[int, bytes] | None = first
    while block is not None:
        good, bad = quick.decode(block[1], decoder)
        if not bad:
            finding.ledger.enter(good)
        else:
            _enter_mixed(finding, path, block, decoder)
        block = next(blocks, None)


def _enter_mixed(
    finding: Finding, path: str, block: tuple[int, bytes], decoder: msgspec.json.Decoder[LedgerLine]
) -> None:
    """Enter a block with lines that are not in mplog's schema, in the order of the file."""
    at, data = block
    for raw in data.split(b"\n"):
        if raw.strip(b" \t\r"):
            try:
                finding.ledger.enter([decoder.decode(raw)])
            except quick.REFUSALS:
                _enter_other(finding, path, at, raw, decoder)
        at += len(raw) + 1


def _enter_other(finding: Finding, path: str, at: int, raw: bytes, decoder: msgspec.json.Decoder[LedgerLine]) -> None:
    data = lines.decode_object(raw.strip())
    if data is not None:
        finding.text_records += len(otlp.split(data) or (data,))
        return
    for record in jsonlines.salvage(raw, at, path):
        if record.damaged:
            _damage(finding, path, record.offset)
        else:
            finding.ledger.enter([decoder.decode(record.raw)])


def _damage(finding: Finding, path: str, offset: int) -> None:
    finding.damaged += 1
    if len(finding.places) < 5:
        finding.places.append(f"{path} at byte {offset:,}")


def _read_text(finding: Finding, parser: Parser, first: tuple[int, bytes], blocks: Iterator[tuple[int, bytes]]) -> None:
    block: tuple[int, bytes] | None = first
    while block is not None:
        at, data = block
        for raw in data.split(b"\n"):
            if raw:
                for record in parser.feed(raw, at):
                    _enter_text(finding, record)
            at += len(raw) + 1
        block = next(blocks, None)
    for record in parser.flush():
        _enter_text(finding, record)


def _enter_text(finding: Finding, record: lines.Record) -> None:
    if record.damaged:
        _damage(finding, record.source, record.offset)
        return
    finding.text_records += 1
    if record.logger == "mplog":
        certificate = certificate_in(record.msg)
        if certificate is not None:
            key = (certificate["died_process"], certificate["died_pid"])
            life = finding.texts.pop(key, None) or TextLife(*key)
            life.certified = certificate["records"]
            life.end = ending(certificate["event"], certificate["exitcode"], certificate["signal"])
            finding.text_done.append(life)
            return
    life = _text_life(finding, record.process, record.pid)
    life.records += 1
    if record.logger == record.process == "mplog":
        life.end = "the listener"
    if record.logger == "mplog" and (drop := _TEXT_DROP.match(record.msg)) is not None:
        about = (drop[1], int(drop[2])) if drop[2] else (record.process, record.pid)
        _text_life(finding, *about).dropped += int(drop[3].replace(",", ""))


def _text_life(finding: Finding, process: str, pid: int | None) -> TextLife:
    return finding.texts.setdefault((process, pid), TextLife(process, pid))


def _may_be_rotated(finding: Finding) -> bool:
    """Tell whether older records can have been taken away.

    They can where rotated files lie beside the log, where it is one itself, where it is not a file, and where
    it begins in the middle of a process.
    """
    folder, base = os.path.split(finding.path)
    if finding.path == "-" or re.search(r"\.\d+(\.(gz|bz2|xz|zst))?$|-\d{8}", base):
        return True
    if len(finding.files) > 1 or (finding.ledger.first_seq or 1) > 1:
        return True
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return False
    return any(n.startswith((f"{base}.", f"{base}-")) and n[len(base) + 1 :][:1].isdigit() for n in names)


def totals(books: list[tuple[Life, Account]]) -> tuple[int, int, int, int]:
    """Return produced, written, dropped and missing of all lives together."""
    accounts = [account for _, account in books]
    return (
        sum(account.produced for account in accounts),
        sum(account.written for account in accounts),
        sum(account.dropped for account in accounts),
        sum(account.missing for account in accounts),
    )


def failures(finding: Finding, *, strict: bool) -> list[str]:
    """Return a sentence for each thing that makes the check fail."""
    books = finding.accounts()
    missing = sum(account.missing for _, account in books)
    twice = sum(life.duplicates for life, _ in books)
    surplus = sum(account.surplus for _, account in books)
    short = [life for life in finding.all_texts() if _text_missing(life) and not finding.rotated]
    found = []
    if missing:
        found.append(f"{plural(missing, 'record')} missing")
    if short:
        count = sum(_text_missing(life) for life in short)
        found.append(f"{plural(count, 'record')} missing (by death certificates)")
    if twice:
        found.append(f"{plural(twice, 'record')} there twice")
    if surplus:
        found.append(f"drop records claim {plural(surplus, 'record')} that are present")
    if strict:
        disorder = sum(life.disorder for life, _ in books)
        head = sum(account.head for _, account in books)
        found += [f"{plural(disorder, 'record')} out of order"] if disorder else []
        found += [f"{plural(head, 'record')} before the start of the file"] if head else []
        found += [f"{plural(finding.damaged, 'damaged line')}"] if finding.damaged else []
        found += ["some records carry no seq"] if finding.text_records or finding.ledger.unnumbered else []
    return found


def _text_missing(life: TextLife) -> int:
    return max(0, (life.certified or 0) - life.records)


def unknowns(finding: Finding) -> list[str]:
    """Return a sentence for each thing that the file cannot tell."""
    found = []
    books = finding.accounts()
    if finding.text_records:
        found.append(
            f"{plural(finding.text_records, 'record')} without seq (text, or another program's): gaps, "
            "duplicates "
            "and disorder among them cannot be seen; only drop records and death certificates count."
        )
    if finding.ledger.unnumbered:
        count = sum(finding.ledger.unnumbered.values())
        found.append(f"{plural(count, 'record')} of JSON without seq: not in the ledger.")
    if finding.ledger.output:
        lines = plural(finding.ledger.output, "line")
        found.append(f"{lines} of captured output, which has no seq: whether all are there.")
    head = [life for life, account in books if account.head]
    if head:
        count = sum(account.head for _, account in books)
        found.append(
            f"{plural(len(head), 'process')} began before the first record here: "
            f"{plural(count, 'older record')} rotated "
            "away or cut off; not counted as missing."
        )
    alive = sum(life.end is None and not life.is_listener for life, _ in books)
    if alive:
        found.append(
            f"{plural(alive, 'process')} without a record of the end (still running, or logged "
            "below the level): what came after the last record cannot be known."
        )
    if finding.rotated and (texts := sum(_text_missing(life) for life in finding.all_texts())):
        more = plural(texts, "record")
        found.append(f"Death certificates count {more} more than the text holds; rotated away or missing.")
    return found


def report(finding: Finding, *, strict: bool = False) -> dict[str, object]:
    """Return the result as data for `--json`."""
    books = finding.accounts()
    bad = failures(finding, strict=strict)
    return {
        "path": finding.path,
        "files": list(finding.files),
        "complete": not bad,
        "failures": bad,
        "unknown": unknowns(finding),
        "first": finding.ledger.first_time or None,
        "last": finding.ledger.last_time or None,
        "records": finding.ledger.records + finding.text_records,
        **dict(zip(("produced", "written", "dropped", "missing"), totals(books), strict=True)),
        "duplicates": sum(life.duplicates for life, _ in books),
        "disorder": sum(life.disorder for life, _ in books),
        "damaged": finding.damaged,
        "before_start": sum(account.head for _, account in books),
        "without_seq": finding.text_records + sum(finding.ledger.unnumbered.values()),
        "output": finding.ledger.output,
        "notes": finding.ledger.notes,
        "processes": [
            {
                "process": life.process, "pid": life.pid, "first": life.first_time, "last": life.last_time,
                "first_seq": life.first_seq, "last_seq": life.top,
                "produced": account.produced, "written": account.written,
                "dropped": account.dropped, "missing": account.missing,
                "duplicates": life.duplicates, "disorder": life.disorder, "before_start": account.head,
                "end": life.end, "gaps": account.ranges[:1000],
            }
            for life, account in books
        ]
        + [
            {"process": life.process, "pid": life.pid, "records": life.records, "dropped": life.dropped,
             "certified": life.certified, "end": life.end}
            for life in finding.all_texts()
        ],
    }  # fmt: skip
