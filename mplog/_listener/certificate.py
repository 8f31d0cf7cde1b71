"""Say how a process ended: death certificates and ordinary ends. Runs in the listener.

Who says goodbye has ended in order. Of the others, three may know how they ended: the kernel, as long as the parent
has not waited for the process (proc(5), stat, field 52); the parent, if it is one of the session (`exits`); and
nobody. A parent that has told a child to end, as `Pool.terminate` does, and a child that ends with code 0 are no news.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from mplog._listener.merge import KEY
from mplog._shared import exits
from mplog._shared.drops import drop_fields
from mplog._shared.record import timestamp

if TYPE_CHECKING:
    from mplog._listener.journals import Journal
    from mplog._shared.owner import OwnerState
    from mplog._shared.spool import Spool

Report = tuple[int, str, dict[str, Any]]
"""Level, message and own fields of a record."""

PATIENCE = 0.5
"""Seconds to wait for the parent's word when the kernel has forgotten the process already."""
LONGEST_FAULT = 64 * 1024
LONGEST_LAST = 200
_READ = 1 << 21


class Registry:
    """Look at the dead as soon as they are found, and write their certificates when all their records are out."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._codes: dict[str, tuple[int, str]] = {}
        self._lives_on: set[str] = set()
        self._seen: dict[str, float] = {}
        self._exits: dict[int, exits.Exit] = {}
        self._read = 0

    def look(self, journal: Journal) -> None:
        """Look at once at what will soon be gone: how the kernel says the process ended."""
        name = journal.name
        self._seen.setdefault(name, time.monotonic())
        pid = journal.identity.get("pid")
        if name in self._codes or not isinstance(pid, int):
            return
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                words = file.read(4096).rpartition(b")")[2].split()
            if int(words[19]) != journal.identity.get("start_ticks"):
                return
            if words[0] in (b"Z", b"X"):
                self._lives_on.discard(name)
                self._codes[name] = os.waitstatus_to_exitcode(int(words[49])), "the kernel (/proc)"
            else:
                self._lives_on.add(name)
            return
        self._lives_on.discard(name)

    def issue(self, journal: Journal) -> list[Report] | None:
        """Return the records about a process that has ended; None: it is too early to say."""
        state = journal.state()
        journal.identity = state.identity or journal.identity
        name = journal.name
        if name not in self._codes:
            self.look(journal)
        told = self._ask_parent(journal)
        known = name in self._codes or state.bye is not None or journal.ours
        if not known and time.monotonic() - self._seen[name] < PATIENCE:
            return None
        line = _last_line(journal)
        reports = _drops(journal, state, line)
        if journal.identity:
            reports.append(self._certificate(journal, state, line, told=told))
        for memory in (self._codes, self._seen):
            memory.pop(name, None)
        self._lives_on.discard(name)
        return reports

    def _ask_parent(self, journal: Journal) -> bool:
        """Enter what the parent has noted; return whether it had told the process to end."""
        with contextlib.suppress(OSError):
            fd = os.open(self._spool.file(exits.FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                self._read += exits.read(os.pread(fd, _READ, self._read), self._exits)
            finally:
                os.close(fd)
        found = self._exits.get(journal.identity.get("pid", 0))
        if found is None or found.wall < journal.identity.get("started", 0):
            return False
        if found.code is not None:
            self._codes.setdefault(journal.name, (found.code, "its parent"))
        return found.told

    def _certificate(self, journal: Journal, state: OwnerState, line: dict[str, Any], *, told: bool) -> Report:
        identity = journal.identity
        code, known_by = self._codes.get(journal.name, (None, ""))
        name = f"{identity.get('process', '?')}[{identity.get('pid', '?')}]"
        ended = (
            state.bye is not None
            or journal.ours
            or code == 0
            or (told and code in (None, -signal.SIGTERM))
            or journal.name in self._lives_on
        )
        sign = _signal_name(code)
        count = f"{journal.count:,} record{'' if journal.count == 1 else 's'}"
        last = str(line.get("msg", ""))[:LONGEST_LAST]
        if sign:
            how = f"{sign} (signal {-(code or 0)})"
        else:
            how = "how is not known" if code is None else f"exit code {code}"
        if not known_by and journal.name in self._lives_on and state.bye is None:
            known_by = "the kernel (/proc): it goes on, as another program perhaps"
        elif not known_by:
            known_by = "itself" if state.bye is not None else "nobody: it was waited for before the listener looked"
        msg = f"{name} {'ended' if ended else 'died'}: {how} after {count}" + (f"; last: {last}" if last else "")
        if ended and code is None:
            msg = f"{name} ended after {count}"
        fields: dict[str, Any] = {
            "event": "ended" if ended else "died",
            "died_pid": identity.get("pid"),
            "died_process": identity.get("process"),
            "parent_pid": identity.get("parent_pid"),
            "exitcode": code,
            "signal": sign,
            "known_by": known_by,
            "records": journal.count,
            "last_seq": line.get("seq") or state.bye,
            "last_msg": last or None,
            "started": _moment(identity.get("started")),
        }
        fault = None if ended else self._fault(journal.name)
        if fault:
            fields["faulthandler"] = fault
        level = logging.DEBUG if ended else logging.WARNING if code is None else logging.ERROR
        return level, msg, fields

    def _fault(self, journal: str) -> str:
        """Return what `faulthandler` has left of a process."""
        for directory in self._spool.journal_directories:
            with contextlib.suppress(OSError):
                fd = os.open(
                    os.path.join(directory, journal + ".fault"),
                    os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK,
                )
                try:
                    text = os.pread(fd, LONGEST_FAULT, 0).decode("utf-8", "replace")
                finally:
                    os.close(fd)
                if text.startswith("{"):
                    text = text.partition("\n")[2]
                return text.strip("\0\n")
        return ""


def _drops(journal: Journal, state: OwnerState, line: dict[str, Any]) -> list[Report]:
    """Return the record about what the process dropped and did not report itself."""
    drops = state.drops
    if drops is None or (line.get("event") == "dropped" and line.get("seq_last") == drops.seq_last):
        return []  # In the second case it was killed between its own record and the note that it is written.
    owner = journal.identity
    fields = drop_fields(drops)
    msg = f"{owner.get('process', '?')}[{owner.get('pid', '?')}] " + fields.pop("msg")
    fields.update(died_pid=owner.get("pid"), died_process=owner.get("process"))
    return [(logging.WARNING, msg, fields)]


def _last_line(journal: Journal) -> dict[str, Any]:
    """Return the fields of the last record a journal holds, from its last segment if need be."""
    line = journal.previous
    if line[KEY : KEY + 2] != b" {":
        line = b""
        for number in sorted(journal.reader.segments, reverse=True):
            with contextlib.suppress(OSError), open(journal.reader.segments[number], "rb", buffering=0) as file:
                whole = [part for part in file.read(_READ).split(b"\n")[:-1] if part[KEY : KEY + 2] == b" {"]
                if whole:
                    line = whole[-1]
                    break
    try:
        # One line only, and not by msgspec, whose import would hold up the end of every session.
        fields = json.loads(line[KEY + 1 :]) if line else {}
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _signal_name(code: int | None) -> str | None:
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _moment(started: object) -> str | None:
    return timestamp(started / 1e9) if isinstance(started, int) and 0 < started < 1 << 62 else None
