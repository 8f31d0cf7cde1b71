"""`mplog sql`: SQL on logs, through DuckDB and the tolerant reader. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from mplog.viewer import escapes, options, summary, tables
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import MAX_WHOLE
from mplog.viewer.tables import Page, plural

EPILOG = """examples:
  mplog sql "select level, count(*) from log group by 1" app.log
  mplog sql "select process, max(dur_ms) from log where logger = 'app.db' group by all" app.log
  mplog sql "select time, msg, exc->>'type' from log where exc is not null" app.log --csv
  mplog sql "describe log" app.log          the columns: the record's, and its own fields

The table `log` has time (UTC), level, levelno, msg, logger, process, pid, thread, file, line, func, seq, exc
and fields (JSON), source, and a column for each own field; the table `damaged` has the lines that are no
records. Needs DuckDB: pip install duckdb."""

_COLUMNS = {
    "time": "TIMESTAMP", "level": "VARCHAR", "levelno": "INTEGER", "msg": "VARCHAR", "logger": "VARCHAR",
    "process": "VARCHAR", "pid": "BIGINT", "thread": "VARCHAR", "file": "VARCHAR", "line": "BIGINT",
    "func": "VARCHAR", "seq": "BIGINT", "exc": "JSON", "fields": "JSON", "source": "VARCHAR",
}  # fmt: skip
_DAMAGED = {"source": "VARCHAR", "offset": "BIGINT", "line": "VARCHAR"}
_PORTION = 64 << 20  # bytes of JSON that are handed over at once
_MOST_FIELDS = 300  # own fields that become columns; all are in `fields`
_ROWS = 1000
_INT64 = 1 << 63

_encode = msgspec.json.Encoder().encode

prepare_arguments = options.with_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog sql`."""
    parser.epilog = EPILOG
    parser.add_argument("sql", metavar="SQL", help="a query on the table `log`")
    summary.add_arguments(parser)
    summary.add_selection(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV for programs")
    parser.add_argument("-n", "--rows", type=summary.positive, default=_ROWS, metavar="N", help="rows for a person")


def run(args: argparse.Namespace) -> int:
    """Run the query and print its result; the exit status is 1 when it has no row.

    Raises:
        ViewerError: DuckDB is not installed, or the query is wrong.
    """
    duckdb = _duckdb()
    with tempfile.TemporaryDirectory(prefix="mplog-") as folder:
        settings = {"autoinstall_known_extensions": "false", "memory_limit": "1GB", "temp_directory": folder}
        connection = duckdb.connect(os.path.join(folder, "log.duckdb"), config=settings)
        try:
            load(connection, summary.records(args, longest=MAX_WHOLE), folder)
            try:
                result = connection.execute(args.sql)
                return _print(result, args) if result.description else 0
            except duckdb.Error as error:
                raise ViewerError(f"SQL: {escapes.escape_lines(str(error).strip())}") from None
        finally:
            connection.close()


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ViewerError("`mplog sql` needs DuckDB, which is not installed; run `pip install duckdb`") from None
    return duckdb


def load(connection: Any, records: Iterable[Record], folder: str) -> None:
    """Make the tables `log` and `damaged` of a DuckDB connection.

    Args:
        connection: the DuckDB connection.
        records: what to load.
        folder: a directory for what is on its way, at most 64 MB and one record at a time.
    """
    kinds: dict[str, set[str]] = {}
    for table, columns in (("records", _COLUMNS), ("damaged", _DAMAGED)):
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f"CREATE TABLE {table} ({listed})")
    rows = _Portion(connection, "records", _COLUMNS, folder)
    damaged = _Portion(connection, "damaged", _DAMAGED, folder)
    for record in records:
        if record.damaged:
            damaged.add({"source": record.source, "offset": record.offset, "line": _text(record.msg)})
        else:
            rows.add(_row(record))
            _note_kinds(record.fields, kinds)
    rows.hand_over()
    damaged.hand_over()
    own = "".join(f", {_column(name, found)}" for name, found in _own_columns(kinds))
    connection.execute(f"CREATE VIEW log AS SELECT *{own} FROM records")  # noqa: S608, names are quoted


class _Portion:
    """Collect rows as JSON lines, and let DuckDB read them from a file whenever there are enough."""

    def __init__(self, connection: Any, table: str, columns: dict[str, str], folder: str) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns
        self._path = os.path.join(folder, f"{table}.json")
        self._lines: list[bytes] = []
        self._size = self._longest = 0

    def add(self, row: dict[str, Any]) -> None:
        try:
            line = _encode(row)
        except (UnicodeError, OverflowError):  # lone surrogates, which DuckDB does not take either
            line = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
        self._lines.append(line)
        self._size += len(line)
        self._longest = max(self._longest, len(line))
        if self._size > _PORTION:
            self.hand_over()

    def hand_over(self) -> None:
        if not self._lines:
            return
        with open(self._path, "wb") as file:
            file.write(b"\n".join(self._lines))
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in self._columns.items())
        size = max(1 << 24, 2 * self._longest)
        source = f"read_json(?, format='newline_delimited', columns={{{columns}}},"
        source += f" maximum_object_size={size})"
        # Names and types come from the two tables above, the path is a parameter.
        self._connection.execute(f"INSERT INTO {self._table} SELECT * FROM {source}", [self._path])  # noqa: S608
        os.unlink(self._path)
        self._lines = []
        self._size = self._longest = 0


def _row(record: Record) -> dict[str, Any]:
    return {
        "time": _stamp(record.time), "level": _text(record.level), "levelno": _int(record.levelno, 1 << 31),
        "msg": _text(record.msg), "logger": _text(record.logger), "process": _text(record.process),
        "pid": _int(record.pid), "thread": _text(record.thread), "file": _text(record.file),
        "line": _int(record.line), "func": _text(record.func), "seq": _int(record.seq),
        "exc": record.exc, "fields": record.fields or None, "source": record.source,
    }  # fmt: skip


def _stamp(time: float | None) -> str | None:
    if time is None:
        return None
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    except (ValueError, OverflowError, OSError):
        return None


def _text(text: str) -> str:
    return text.replace("\0", "\\x00")


def _int(value: int | None, limit: int = _INT64) -> int | None:
    return value if value is not None and -limit <= value < limit else None


def _note_kinds(fields: dict[str, Any], kinds: dict[str, set[str]]) -> None:
    for name, value in fields.items():
        if value is None:
            continue
        kind = type(value).__name__
        if kind == "int" and not -_INT64 <= value < _INT64:
            kind = "float"
        found = kinds.get(name)
        if found is None:
            if len(kinds) >= _MOST_FIELDS:
                continue
            found = kinds[name] = set()
        found.add(kind)


def _own_columns(kinds: dict[str, set[str]]) -> Iterator[tuple[str, set[str]]]:
    """Yield the own fields that can be columns: SQL does not tell `User` from `user`."""
    taken = {name.lower() for name in _COLUMNS}
    for name, found in kinds.items():
        if name and "\0" not in name and name.lower() not in taken:
            taken.add(name.lower())
            yield name, found


def _column(name: str, kinds: set[str]) -> str:
    # A JSON pointer (RFC 6901) names the field, whatever characters it has.
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    quoted = "'" + pointer.replace("'", "''") + "'"
    alias = '"' + name.replace('"', '""') + '"'
    plain = f"json_extract_string(fields, {quoted})"
    if kinds == {"str"}:
        return f"{plain} AS {alias}"
    if kinds == {"bool"}:
        return f"TRY_CAST({plain} AS BOOLEAN) AS {alias}"
    if kinds == {"int"}:
        return f"TRY_CAST({plain} AS BIGINT) AS {alias}"
    if kinds <= {"int", "float"}:
        return f"TRY_CAST({plain} AS DOUBLE) AS {alias}"
    return f"json_extract(fields, {quoted}) AS {alias}"


def _print(result: Any, args: argparse.Namespace) -> int:
    names = [column[0] for column in result.description]
    first = result.fetchmany(args.rows)
    if args.json:
        tables.print_json([dict(zip(names, map(_plain, row), strict=True)) for row in _all(first, result)])
    elif args.csv:
        writer = csv.writer(_Guarded(), lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in _all(first, result))
    else:
        _show(names, first, result, args)
    return tables.finish(0 if first else 1)


class _Guarded:
    """Standard output as the csv module wants it, with a full disk reported as everywhere."""

    def write(self, text: str) -> None:
        tables.write(text, sys.stdout)


def _all(first: list[Any], result: Any) -> Iterator[Any]:
    portion = first
    while portion:
        yield from portion
        portion = result.fetchmany(10_000)


def _plain(value: object) -> object:
    """Return a value that JSON and CSV know."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if value is None or isinstance(value, (bool, int, float, str, list, dict)):
        return value
    return str(value)


def _show(names: list[str], rows: list[Any], result: Any, args: argparse.Namespace) -> None:
    page = Page(sys.stdout, color=args.color, utc=args.utc)
    numeric = [all(isinstance(row[i], (int, float, type(None))) for row in rows) for i in range(len(names))]
    align = "".join(">" if number else "<" for number in numeric)
    page.table([tables.clean(name) for name in names], [[_cell(v) for v in row] for row in rows], align)
    more = sum(len(portion) for portion in iter(lambda: result.fetchmany(10_000), []))
    note = plural(len(rows), "row")
    if more:
        note = f"the first {note} of {len(rows) + more:,}"
    page.line(page.paint(note, "dim"))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    return str(value)
