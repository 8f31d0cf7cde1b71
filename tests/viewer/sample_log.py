"""Log lines for the tests of the viewer: what mplog writes, made by hand so that the truth is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 11, 22, 11, 11, 11, 123456, tzinfo=UTC)


class SampleLog:
    """Collect records with a seq per pid, 10 ms apart; lines may be taken out, doubled or moved."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = START
        self.seqs: dict[int, int] = {}

    def stamp(self) -> str:
        return _stamp(self.now)

    def add(
        self, msg: str = "hello", *, pid: int = 100, process: str = "MainProcess", level: str = "INFO",
        logger: str = "app.jobs", seq: int | None = None, file: str = "/srv/app/jobs.py", line: int = 12,
        func: str = "work", exc: dict[str, Any] | None = None, skip: int = 0, **fields: Any,
    ) -> SampleLog:  # fmt: skip
        """Add a record; `skip` seqs are used up before it."""
        self.now += timedelta(milliseconds=10)
        if seq is None:
            seq = self.seqs.get(pid, 0) + 1 + skip
            self.seqs[pid] = seq
        record: dict[str, Any] = {
            "time": self.stamp(), "level": level, "msg": msg, "logger": logger, "process": process,
            "pid": pid, "thread": "MainThread", "file": file, "line": line, "func": func, "seq": seq,
        }  # fmt: skip
        if exc is not None:
            record["exc"] = exc
        record.update(fields)
        self.lines.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
        return self

    def several(self, count: int, **record: Any) -> SampleLog:
        for number in range(count):
            self.add(f"step {number} done", **record)
        return self

    def restarted(self, pid: int) -> SampleLog:
        """Let the pid be used again by another process."""
        self.seqs[pid] = 0
        return self

    def dropped(self, count: int, *, pid: int, process: str, first: int, last: int) -> SampleLog:
        return self.add(
            f"dropped {count} records between {self.stamp()} and {self.stamp()}: the listener is too slow",
            pid=pid, process=process, level="WARNING", logger="mplog", event="dropped", dropped=count,
            first=self.stamp(), last=self.stamp(), reason="the listener is too slow",
            seq_first=first, seq_last=last,
        )  # fmt: skip

    def dropped_by_dead(self, count: int, *, pid: int, process: str, first: int, last: int) -> SampleLog:
        """Add the record that the listener writes about what a process dropped and could not report."""
        return self.add(
            f"{process}[{pid}] dropped {count} records between {self.stamp()} and {self.stamp()}: too slow",
            pid=99, process="mplog", level="WARNING", logger="mplog", event="dropped", dropped=count,
            first=self.stamp(), last=self.stamp(), reason="too slow", seq_first=first, seq_last=last,
            died_pid=pid, died_process=process,
        )  # fmt: skip

    def died(
        self, pid: int, process: str, *, records: int, last_seq: int | None = None,
        signal: str | None = "SIGKILL",
        exitcode: int | None = -9, parent: int = 100, started: str | None = None,
        last_msg: str = "step 9 done",
        event: str = "died",
    ) -> SampleLog:  # fmt: skip
        how = f"{signal} (signal {-(exitcode or 0)})" if signal else f"exit code {exitcode}"
        noun = "record" if records == 1 else "records"
        return self.add(
            f"{process}[{pid}] {event}: {how} after {records:,} {noun}; last: {last_msg}",
            level="ERROR" if event == "died" else "DEBUG", logger="mplog", pid=99, process="mplog",
            event=event,
            died_pid=pid, died_process=process, parent_pid=parent, exitcode=exitcode, signal=signal,
            known_by="the parent's wait", records=records, last_seq=records if last_seq is None else last_seq,
            last_msg=last_msg, started=started or _stamp(START),
        )  # fmt: skip

    def write(self, path: Path) -> Path:
        path.write_text("".join(line + "\n" for line in self.lines), encoding="utf-8")
        return path


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def exception(
    kind: str = "ValueError", message: str = "bad value", *, line: int = 40, func: str = "parse",
    cause: dict[str, Any] | None = None, text: bool = True, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return an exception as mplog writes it."""
    frames = [
        {"file": "/srv/app/main.py", "line": 7, "func": "main", "source": "run(job)"},
        {"file": "/srv/app/jobs.py", "line": line, "func": func, "source": "return int(text)"},
    ]
    exc: dict[str, Any] = {"type": kind, "module": "builtins", "message": message, "frames": frames, **more}
    if cause is not None:
        exc["cause"] = cause
    if text:
        exc["text"] = "Traceback (most recent call last):\n" + "".join(
            f'  File "{f["file"]}", line {f["line"]}, in {f["func"]}\n    {f["source"]}\n' for f in frames
        ) + f"{kind}: {message}\n"  # fmt: skip
    return exc
