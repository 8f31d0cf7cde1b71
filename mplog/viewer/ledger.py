"""`mplog check`: prove from the file alone that nothing is missing. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import sys

from mplog.viewer import summary, tables, times
from mplog.viewer.lives import Account, Life
from mplog.viewer.proof import Finding, TextLife, check, failures, report, sources, totals, unknowns
from mplog.viewer.tables import Page, number, plural

EPILOG = """examples:
  mplog check app.log               the log and, where app.log.1 exists, its rotated files
  mplog check app.log --json        the same for programs
  mplog check app.log --strict      a truncated start, damaged lines and disorder are errors, too

Exit status: 0 complete, 1 something is missing or there twice, 2 usage or unreadable."""

_ROWS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog check`."""
    parser.epilog = EPILOG
    summary.add_arguments(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="also fail on a truncated start, damaged lines, disorder, no seq",
    )
    parser.add_argument("--all", action="store_true", help=f"list every process, not only {_ROWS}")


def run(args: argparse.Namespace) -> int:
    """Check every log that the arguments name; return the exit status."""
    findings = [check(source, args.input) for source in sources(summary.paths(args), rotated=args.rotated)]
    if args.json:
        reports = [report(finding, strict=args.strict) for finding in findings]
        tables.print_json(reports[0] if len(reports) == 1 else reports)
    else:
        page = Page(sys.stdout, color=args.color, utc=args.utc)
        for finding in findings:
            _show(finding, page, strict=args.strict, everything=args.all)
    return tables.finish(max(int(bool(failures(finding, strict=args.strict))) for finding in findings))


def _show(finding: Finding, page: Page, *, strict: bool, everything: bool) -> None:
    books = finding.accounts()
    records = finding.ledger.records + finding.text_records
    processes = len(books) + len(finding.all_texts())
    files = f" in {plural(len(finding.files), 'file')}" if len(finding.files) > 1 else ""
    counts = f"{files}: {plural(records, 'record')} of {plural(processes, 'process')}"
    page.sentence((tables.clean(finding.path), "bold"), (counts, ""))
    page.line()
    if books:
        _show_books(books, page, everything=everything)
    if finding.all_texts():
        _show_texts(finding.all_texts(), page, everything=everything)
    _show_places(books, page)
    if books:
        produced, written, dropped, missing = totals(books)
        page.sentence(
            (f"produced {number(produced)} = written {number(written)} + dropped {number(dropped)}", ""),
            (f" + missing {number(missing)}" if missing else "", "bad"),
        )
    if finding.damaged:
        places = tables.clean("; ".join(finding.places))
        page.sentence((f"{plural(finding.damaged, 'damaged line')}: {places}", "yellow"))
    for event, count in sorted(finding.ledger.notes.items()):
        page.sentence((f"note {tables.clean(event)}: {plural(count, 'record')}", ""))
    for sentence in unknowns(finding):
        page.sentence(("not known: ", "dim"), (sentence, ""))
    bad = failures(finding, strict=strict)
    page.sentence(("NOT COMPLETE: " + "; ".join(bad), "bad") if bad else ("complete", "green"))
    page.line()


def _show_books(books: list[tuple[Life, Account]], page: Page, *, everything: bool) -> None:
    shown = books
    if len(books) > _ROWS and not everything:
        shown = [b for b in books if _troubled(*b)][:_ROWS] or books[:5]
    rows = [
        (
            life.process or "-", str(life.pid), number(account.written),
            f"{number(life.first_seq or 0)}–{number(life.top)}",
            *map(_dot, (account.dropped, account.missing, life.duplicates, life.disorder)),
            life.end or ("the listener" if life.is_listener else "not recorded"),
        )
        for life, account in shown
    ]  # fmt: skip
    page.table(
        ("process", "pid", "records", "seq", "dropped", "missing", "twice", "disorder", "end"),
        rows,
        "~>>>>>>><",
        ("cyan", "dim", "", "dim", "yellow", "bad", "bad", "yellow", "dim"),
        drop=(8, 7, 3, 1, 6, 4, 2),
    )  # fmt: skip
    if len(shown) < len(books):
        rest = len(books) - len(shown)
        word = "without trouble" if not any(_troubled(*b) for b in books if b not in shown) else "more"
        page.sentence((f"... and {plural(rest, 'process')} {word} (--all lists them)", "dim"))
    page.line()


def _dot(count: int) -> str:
    return number(count) if count else "·"


def _troubled(life: Life, account: Account) -> bool:
    return bool(account.missing or account.dropped or account.surplus or life.duplicates or life.disorder)


def _show_texts(texts: list[TextLife], page: Page, *, everything: bool) -> None:
    shown = texts if everything else texts[:_ROWS]
    rows = [
        (
            life.process or "-", "-" if life.pid is None else str(life.pid), number(life.records),
            _dot(life.dropped),
            "-" if life.certified is None else number(life.certified),
            life.end or "not recorded",
        )
        for life in shown
    ]  # fmt: skip
    page.table(
        ("process", "pid", "records", "dropped", "certified", "end"), rows, "~>>>><",
        ("cyan", "dim", "", "yellow", "", "dim"), drop=(5, 1, 4, 3),
    )  # fmt: skip
    if len(shown) < len(texts):
        rest = plural(len(texts) - len(shown), "process")
        page.sentence((f"... and {rest} more (--all lists them)", "dim"))
    page.line()


def _show_places(books: list[tuple[Life, Account]], page: Page) -> None:
    shown = 0
    for life, account in books:
        for first, last in account.ranges if account.missing else ():
            if shown == 20:
                page.sentence(("... and more gaps (--json lists them)", "dim"))
                page.line()
                return
            before, after = life.times.get(first, ("", ""))
            when = f", between {_clock(before, page)} and {_clock(after, page)}" if before and after else ""
            where = "at the end, " if first >= life.next else ""
            span = f"seq {number(first)}" if first == last else f"seq {number(first)}–{number(last)}"
            text = f"{tables.clean(life.process)}[{life.pid}]: {where}{span} missing{when}"
            page.sentence((text, "bad"))
            shown += 1
    if shown:
        page.line()


def _clock(stamp: str, page: Page) -> str:
    time = times.parse_utc(stamp)
    return tables.clean(stamp) if time is None else page.stamp(time)
