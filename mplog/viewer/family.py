"""The processes of a log: their lives, and who started whom. Runs in the command `mplog`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mplog.viewer import times
from mplog.viewer.households import FamilyPart, Share
from mplog.viewer.lines import Record
from mplog.viewer.lives import ending

_IDENTITY = re.compile(r".*?-(\d+(?::\d+)*)$")
_CERTIFICATE = re.compile(r"(.*)\[(\d+)\] (died|ended)(?:: (.*?))? after ([\d,]+) records?(?:; last: (.*))?", re.S)
_SIGNAL = re.compile(r"(SIG[A-Z0-9+]+)")
_EXIT = re.compile(r"exit(?: ?code)? (-?\d+)")


class Life(msgspec.Struct):
    """One process from its first record to its last, and what is known of its end."""

    process: str
    pid: int | None
    records: int = 0
    warnings: int = 0
    errors: int = 0
    dropped: int = 0
    first: float | None = None
    last: float | None = None
    last_msg: str = ""
    last_seq: int = 0
    parent_pid: int | None = None
    parent_known_by: str = ""
    started: float | None = None
    ended: float | None = None
    end: str | None = None
    died: bool = False
    exitcode: int | None = None
    signal: str | None = None
    known_by: str = ""
    faulthandler: str = ""
    certified: int | None = None
    running: bool = False
    children: list[Life] = []

    @property
    def begin(self) -> float | None:
        """Return when it started, as far as that is known."""
        return self.started if self.started is not None else self.first


class Family:
    """Collect the lives of all processes in one pass."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self._current: dict[tuple[int | None, str], Life] = {}
        # Lives without a known end of pids that were used again.
        self._former: dict[int, list[Life]] = {}

    def collect(self, records: Iterable[Record]) -> Family:
        """Follow the records; damaged lines belong to nobody."""
        for record in records:
            if not record.damaged and (record.process or record.pid is not None):
                self.add(record)
        return self

    def add(self, record: Record) -> Life:
        """Enter a record and return the life it belongs to."""
        life = self._life(record)
        life.records += 1
        if record.levelno >= 40:
            life.errors += 1
        elif record.levelno >= 30:
            life.warnings += 1
        if record.time is not None:
            life.first = record.time if life.first is None else min(life.first, record.time)
            life.last = record.time if life.last is None else max(life.last, record.time)
        if record.logger == "mplog":
            self._event(record, life)
        else:
            life.last_msg = record.msg
        life.last_seq = record.seq or life.last_seq
        return life

    def part(self) -> FamilyPart:
        """Return an empty part of the counts."""
        return FamilyPart()

    def merge(self, packed: Any) -> bool:
        """Add the shares of a part; False if the lines must be seen one by one."""
        shares = [Share(*share) for share in packed]
        lives = [self._current.get(_key(share.pid, share.process)) for share in shares]
        if any(share.again or not _clear(life, share) for life, share in zip(lives, shares, strict=True)):
            return False
        for life, share in zip(lives, shares, strict=True):
            if life is None or _is_another(life, share.first_seq, share.first_time):
                life = self._begin(_key(share.pid, share.process), share.process, share.pid)
            life.records += sum(share.counts)
            life.warnings += share.counts[1]
            life.errors += share.counts[2]
            if share.earliest is not None and share.latest is not None:
                life.first = share.earliest if life.first is None else min(life.first, share.earliest)
                life.last = share.latest if life.last is None else max(life.last, share.latest)
            life.last_msg = share.last_msg
            life.last_seq = share.last_seq or life.last_seq
        return True

    def _life(self, record: Record) -> Life:
        key = _key(record.pid, record.process)
        life = self._current.get(key)
        if life is not None and not _is_another(life, record.seq, record.time):
            return life
        return self._begin(key, record.process, record.pid)

    def _begin(self, key: tuple[int | None, str], process: str, pid: int | None) -> Life:
        former = self._current.get(key)
        if former is not None and former.end is None and pid is not None:
            self._former.setdefault(pid, []).append(former)
        life = self._current[key] = Life(process, pid)
        self.lives.append(life)
        return life

    def _event(self, record: Record, writer: Life) -> None:
        event = record.fields.get("event")
        if event == "dropped" and type(record.fields.get("dropped")) is int:
            # The worker says so itself, or the listener for one that died before it could.
            about = self._current.get((_int(record.fields.get("died_pid")), ""))
            (about or writer).dropped += record.fields["dropped"]
        elif event in ("died", "ended"):
            self._certificate(record, record.fields)
        elif event is None and (data := certificate_in(record.msg)) is not None:
            self._certificate(record, data)

    def _certificate(self, record: Record, data: dict[str, Any]) -> None:
        pid, name = data.get("died_pid"), data.get("died_process")
        if type(pid) is not int:
            return
        life = self._certified(pid, data.get("last_seq"))
        if life is None:
            life = self._begin((pid, ""), name if isinstance(name, str) else "", pid)
        if isinstance(name, str) and name and not life.process:
            life.process = name
        life.end = ending(data["event"], data.get("exitcode"), data.get("signal"))
        life.died = data["event"] == "died"
        life.ended = record.time
        life.exitcode, life.signal = _int(data.get("exitcode")), _text(data.get("signal")) or None
        life.known_by, life.faulthandler = _text(data.get("known_by")), _text(data.get("faulthandler"))
        life.last_msg = _text(data.get("last_msg")) or life.last_msg
        life.certified = _int(data.get("records"))
        life.parent_pid = _int(data.get("parent_pid"))
        life.parent_known_by = "certificate" if life.parent_pid is not None else ""
        life.started = times.parse(_text(data.get("started")))

    def _certified(self, pid: int, last_seq: object) -> Life | None:
        """Return the life that a certificate is about; where a pid is used again at once, the one that fits."""
        former = self._former.get(pid, [])
        for life in former:
            if life.last_seq == last_seq:
                former.remove(life)
                return life
        current = self._current.get((pid, ""))
        return current if current is not None and current.end is None else None

    def add_running(self, process: str, pid: int, parent_pid: int, started: float) -> Life:
        """Enter a process that is known to live, and return its life."""
        life = self._current.get((pid, ""))
        if life is None or life.end is not None:
            life = self._begin((pid, ""), process, pid)
        life.running, life.end = True, "running"
        life.started, life.parent_pid, life.parent_known_by = started, parent_pid, "owner file"
        return life

    def roots(self) -> list[Life]:
        """Return the tree: the lives without a known parent, each with its children."""
        by_pid: dict[int | None, list[Life]] = {}
        by_identity: dict[str, list[Life]] = {}
        for life in self.lives:
            life.children = []
            by_pid.setdefault(life.pid, []).append(life)
            by_identity.setdefault(_identity(life.process), []).append(life)
        roots: list[Life] = []
        for life in self.lives:
            if life.parent_pid is not None and life.parent_known_by != "name":
                known = [other for other in by_pid.get(life.parent_pid, ()) if other is not life]
                parent = _alive_at(known, life.begin)
            else:
                parent = _parent_by_name(life, by_identity)
            if parent is not None and _descends(parent, life):
                parent = None
            (roots if parent is None else parent.children).append(life)
        return roots


def _key(pid: int | None, process: str) -> tuple[int | None, str]:
    return (pid, "" if pid is not None else process)


def _is_another(life: Life, seq: int | None, time: float | None) -> bool:
    """Say whether a record with the pid of a life is another process's: numbers begin anew, or that one has ended."""
    if seq == 1 and life.last_seq >= 1 and (time or 0.0) > (life.last or 0.0):
        return True
    return life.end is not None and life.ended is not None and (time or 0.0) > life.ended


def _clear(life: Life | None, share: Share) -> bool:
    """Say whether all records of a share belong to one life: none lies before its end and another one behind."""
    if life is None or life.end is None or life.ended is None:
        return True
    if share.untimed or share.earliest is None or share.latest is None:
        return False
    return share.latest <= life.ended or share.earliest > life.ended


def _parent_by_name(life: Life, by_identity: dict[str, list[Life]]) -> Life | None:
    """Return the parent that multiprocessing's own names tell.

    `Process-1:2` is the second child of `Process-1`, whose number says that it is one of `MainProcess`
    (CPython, Lib/multiprocessing/process.py, BaseProcess.__init__). More than one candidate is none.
    """
    identity = _identity(life.process)
    if not identity or identity == "MainProcess":
        return None
    found = by_identity.get(identity.rpartition(":")[0] or "MainProcess", [])
    if len(found) != 1 or found[0] is life:
        return None
    life.parent_pid, life.parent_known_by = found[0].pid, "name"
    return found[0]


def _identity(process: str) -> str:
    if process == "MainProcess":
        return process
    match = _IDENTITY.match(process)
    return match[1] if match is not None else ""


def _alive_at(lives: list[Life], time: float | None) -> Life | None:
    before = [life for life in lives if time is None or life.begin is None or life.begin <= time]
    found = before or lives
    return found[-1] if found else None


def _descends(life: Life, ancestor: Life) -> bool:
    below = [ancestor]
    while below:
        children = below.pop().children
        if any(child is life for child in children):
            return True
        below += children
    return False


def certificate_in(msg: str) -> dict[str, Any] | None:
    """Return the fields of a certificate from its text, which is all that a text log has of it."""
    match = _CERTIFICATE.match(msg)
    if match is None:
        return None
    how = match[4] or ""
    signal, code = _SIGNAL.search(how), _EXIT.search(how)
    return {
        "event": match[3], "died_process": match[1], "died_pid": int(match[2]),
        "records": int(match[5].replace(",", "")), "signal": signal[1] if signal else None,
        "exitcode": int(code[1]) if code else None, "last_msg": match[6] or "",
    }  # fmt: skip


def _int(value: object) -> int | None:
    return value if type(value) is int else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
