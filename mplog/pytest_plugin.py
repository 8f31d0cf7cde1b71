"""The fixture `mplog_records`: what all processes of a test logged. Runs in pytest's process.

Nothing is started unless a test asks for the fixture.
"""

from __future__ import annotations

import fnmatch
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import pytest

from mplog._parent.parse import parse_level
from mplog._shared import lock
from mplog._shared.owner import SUFFIX
from mplog._shared.record import level_number
from mplog._shared.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from mplog.session import Session

__all__ = ["Record", "Records", "mplog_records"]


class Record(dict[str, Any]):
    """One record as in the log file: ``record["msg"]`` or ``record.msg``; its own fields, too."""

    def __getattr__(self, name: str) -> Any:
        """Return a field."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the record {self} has no field {name!r}") from None

    @property
    def levelno(self) -> int:
        """The level's number."""
        return level_number(str(self.get("level", "")))

    def __str__(self) -> str:
        """Return the record on one line."""
        get = self.get
        return f"{get('level')} {get('process')}[{get('pid')}] {get('logger')}: {get('msg')}"

    __repr__ = __str__


class Records(Sequence[Record]):
    """The records of all processes, or a selection of them; what was logged until now at every look.

    Runs in pytest's process. A look waits until the listener has written what was logged before it. What mplog
    itself writes into the log is in `notes`.
    """

    def __init__(self, read: Callable[[], list[Record]], chosen: tuple[Callable[[Record], bool], ...] = ()) -> None:
        self._read = read
        self._chosen = chosen

    def __call__(
        self,
        process: str | None = None,
        level: int | str | None = None,
        logger: str | None = None,
        msg: str | None = None,
    ) -> Records:
        """Return those that fit all of what is given.

        Args:
            process: a pattern as in `fnmatch` for the process's name.
            level: this level or worse.
            logger: a logger's name with those below it, or a pattern.
            msg: a part of the message.

        Raises:
            ConfigError: there is no such level.
        """
        found = self
        if process is not None:
            found = found.process(process)
        if level is not None:
            found = found.level(level)
        if logger is not None:
            found = found.logger(logger)
        return found if msg is None else found.where(lambda record: msg in str(record.get("msg")))

    def process(self, pattern: str) -> Records:
        """Return those of processes whose name fits a pattern as in `fnmatch`."""
        return self.where(lambda record: fnmatch.fnmatchcase(str(record.get("process")), pattern))

    def level(self, level: int | str) -> Records:
        """Return those of this level or worse."""
        least = parse_level(level)
        return self.where(lambda record: record.levelno >= least)

    def logger(self, name: str) -> Records:
        """Return those of a logger and the loggers below it, or of all whose name fits a pattern."""

        def fits(record: Record) -> bool:
            found = str(record.get("logger"))
            return found == name or found.startswith(name + ".") or fnmatch.fnmatchcase(found, name)

        return self.where(fits)

    def where(self, true: Callable[[Record], bool]) -> Records:
        """Return those for which a function says so."""
        return Records(self._read, (*self._chosen, true))

    @property
    def messages(self) -> list[str]:
        """The messages, in order."""
        return [str(record.get("msg")) for record in self._now()]

    @property
    def deaths(self) -> list[Record]:
        """What mplog wrote about processes that were killed, crashed, or ended with an exit code.

        In a selection by process those of such processes.
        """
        return [record for record in self.notes if record.get("event") == "died"]

    @property
    def notes(self) -> list[Record]:
        """What mplog itself wrote: of deaths and ordinary ends, dropped records, a listener started again."""
        notes = [record for record in self._read() if record.get("logger") == "mplog"]
        return [note for note in notes if all(true(_as_of_the_dead(note)) for true in self._chosen)]

    def assert_no_errors(self) -> None:
        """Fail if there is a record of level ERROR or worse; the message shows all of them."""
        __tracebackhide__ = True
        found = [record for record in self._now() if record.levelno >= 40]
        if found:
            raise AssertionError(_listed("record of level ERROR or worse", found))

    def assert_nobody_died(self) -> None:
        """Fail if a process was killed, crashed, or ended with an exit code; the message shows how."""
        __tracebackhide__ = True
        found = self.deaths
        if found:
            raise AssertionError(_listed("death", found))

    def _now(self) -> list[Record]:
        records = [record for record in self._read() if record.get("logger") != "mplog"]
        return [record for record in records if all(true(record) for true in self._chosen)]

    def __iter__(self) -> Iterator[Record]:
        """Iterate over what was logged until now."""
        return iter(self._now())

    def __len__(self) -> int:
        """Count what was logged until now."""
        return len(self._now())

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Return one of what was logged until now, or several."""
        return self._now()[index]

    def __repr__(self) -> str:
        """Return all of them, a line each: it is read in failed assertions."""
        return "<Records:" + "".join(f"\n  {record}" for record in self._now()) + ">"


class _Log:
    """The log file of one test's session, read as it grows."""

    def __init__(self, session: Session, path: Path) -> None:
        self.session = session
        self.path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._records: list[Record] = []

    def read(self) -> list[Record]:
        """Return what every process logged before this call, deaths included."""
        self.session.flush()
        spool = Spool(self.session.spool)
        deadline = time.monotonic() + 5.0
        while _has_dead(spool) and time.monotonic() < deadline:
            spool.wake()
            time.sleep(0.002)
        self.session.flush()
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            self._records += [Record(json.loads(line)) for line in whole.splitlines()]
        return self._records


def _has_dead(spool: Spool) -> bool:
    """Tell whether the listener has not yet certified somebody's death."""
    try:
        names = os.listdir(spool.journals)
    except OSError:
        return False
    paths = [os.path.join(spool.journals, name) for name in names if name.endswith(SUFFIX)]
    return any(not lock.is_ours(path) and lock.holder(path) is None for path in paths if os.path.exists(path))


def _as_of_the_dead(note: Record) -> Record:
    """Return a note as if the process it tells of had written it."""
    process, pid = note.get("died_process", note.get("process")), note.get("died_pid", note.get("pid"))
    return Record({**note, "process": process, "pid": pid})


def _listed(what: str, found: list[Record]) -> str:
    shown = "".join(f"\n  {record}" for record in found[:20])
    more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
    return f"{len(found)} {what}{'s' if len(found) > 1 else ''}:{shown}{more}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `pytest.ini` may say."""
    parser.addini("mplog_level", "level of what `mplog_records` sees", default="DEBUG")


@pytest.fixture
def mplog_records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """Collect what this process and all its children log during the test.

    A session of its own begins with the fixture and ends with it; a session that this process has already, on
    a JSON file, is used instead. Handlers of others, `caplog`'s for one, stay where they are.
    """
    import mplog
    from mplog import session as sessions

    current = sessions._current
    if current is not None and not current._closed:
        if current._config.format != "json" or current.file is None:
            pytest.fail(f"`mplog_records` reads JSON, but this process logs to {current!r}; use a .jsonl file.")
        from pathlib import Path

        current.flush()
        yield Records(_Log(current, Path(current.file)).read)
        return
    path = tmp_path_factory.mktemp("mplog") / "records.jsonl"
    # A process: a thread would be in the way of a test that forks.
    with mplog.setup(
        path, level=str(request.config.getini("mplog_level")), console=False, listener="process"
    ) as session:
        yield Records(_Log(session, path).read)
