"""`-o trace`: Trace Event JSON, which Perfetto and chrome://tracing open. Runs in the command `mplog`.

The format is "Trace Event Format", the document of chrome://tracing that Perfetto names, too
(https://perfetto.dev/docs/getting-started/other-formats): metadata events `M`, complete events `X` for the
life of a process, instant events `i` for the records. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from mplog.viewer.escapes import escape, escape_lines
from mplog.viewer.family import Family, Life
from mplog.viewer.lines import Record
from mplog.viewer.values import json_text

# Names of the palette that the format reserves, for chrome://tracing; Perfetto colours by name.
_COLOURS = ((40, "terrible"), (30, "bad"), (20, "good"), (float("-inf"), "grey"))
_LIFE = 0  # the track of a process's life; the threads are numbered from 1
_FIRST_MADE_UP = 1 << 22  # above every pid that Linux gives (proc(5), pid_max)


def write_trace(records: Iterable[Record], out: TextIO) -> int:
    """Write the records as Trace Event JSON, in one pass.

    Every life of a process is a process of the trace, also where a pid was used again: lives after the first
    get a number of their own, and the name tells the pid.

    Args:
        records: the records; damaged lines and records without a time are left out.
        out: where the JSON object goes.

    Returns:
        The number of instants written.
    """
    trace = _Trace()
    count = 0
    out.write('{"displayTimeUnit":"ms","otherData":{"generator":"mplog"},"traceEvents":[\n')
    for record in records:
        if record.damaged or record.time is None:
            continue
        for event in trace.events(record):
            out.write(json_text(event) + ",\n")
        count += 1
    out.write(",\n".join(json_text(event) for event in trace.lives()))
    out.write("\n]}\n")
    return count


class _Trace:
    """Number processes and threads, and turn records into events."""

    def __init__(self) -> None:
        self.family = Family()
        self._processes: dict[int, int] = {}
        self._taken: set[int] = set()
        self._threads: dict[tuple[int, str], int] = {}

    def events(self, record: Record) -> Iterator[dict[str, Any]]:
        """Yield the instant of a record, and the names that it is the first to use."""
        pid = self._process(self.family.add(record))
        key = (pid, record.thread)
        tid = self._threads.get(key)
        if tid is None:
            tid = self._threads[key] = 1 + sum(number == pid for number, _ in self._threads)
            yield _named("thread_name", pid, tid, escape(record.thread) or "records")
        args: dict[str, Any] = {"level": record.level, "message": escape_lines(record.msg)}
        place = f"{record.file}:{record.line} {record.func}" if record.file else record.func
        more = {"logger": record.logger, "place": place, "seq": record.seq}
        args.update((name, value) for name, value in more.items() if value not in ("", None))
        if record.fields:
            args["fields"] = record.fields
        if record.exc is not None:
            args["exception"] = record.exc.get("text") or record.exc.get("type")
        yield {
            "ph": "i", "s": "t", "name": escape(record.msg[:200]) or "(empty)",
            "cat": escape(record.level) or "record", "ts": _micros(record.time), "pid": pid, "tid": tid,
            "cname": next(colour for least, colour in _COLOURS if record.levelno >= least), "args": args,
        }  # fmt: skip

    def _process(self, life: Life) -> int:
        number = self._processes.get(id(life))
        if number is None:
            number = life.pid if life.pid is not None and 0 < life.pid < _FIRST_MADE_UP else -1
            if number in self._taken or number < 0:
                number = _FIRST_MADE_UP + len(self._processes)
            self._processes[id(life)] = number
            self._taken.add(number)
        return number

    def lives(self) -> Iterator[dict[str, Any]]:
        """Yield names, order and life spans of all processes; to be written after the records."""
        yield {"ph": "M", "name": "trace_name", "pid": 0, "tid": 0, "args": {"name": "mplog"}}
        for position, life in enumerate(self.family.lives):
            pid = self._process(life)
            name = escape(life.process) or "process"
            yield _named("process_name", pid, _LIFE, name if pid == life.pid else f"{name} (pid {life.pid})")
            yield {
                "ph": "M", "name": "process_sort_index", "pid": pid, "tid": _LIFE,
                "args": {"sort_index": position},
            }  # fmt: skip
            yield _named("thread_name", pid, _LIFE, "life")
            end = life.ended if life.ended is not None else life.last
            if life.begin is None or end is None:
                continue
            yield {
                "ph": "X", "name": escape(life.end or "") or "no end recorded", "cat": "life",
                "pid": pid, "tid": _LIFE, "ts": _micros(life.begin),
                "dur": max(1, _micros(end) - _micros(life.begin)),
                "args": {
                    "records": life.records, "errors": life.errors, "dropped": life.dropped,
                    "parent": life.parent_pid, "last words": escape_lines(life.last_msg),
                },
            }  # fmt: skip


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def _micros(time: float | None) -> int:
    return round((time or 0.0) * 1e6)
