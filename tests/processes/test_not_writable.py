"""Paths that a user may not write: refused by `setup`, with the remedy, and nothing is left behind."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NOBODY = 65534
SETUP = """
import json, os, sys
import mplog

uid, how, settings = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
with mplog.setup("warm.log", console=False, listener="thread", force=True) as session:
    session.flush()  # imports what `setup` needs: the user may not be able to read the interpreter's library
if os.getuid() == 0:
    os.chdir("/")
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid) if how == "seteuid" else os.setuid(uid)
try:
    mplog.setup(console=False, listener="thread", **settings).close()
except mplog.ConfigError as error:
    print("ConfigError:", error)
"""


@pytest.fixture
def places() -> Iterator[Path]:
    """Directories of this user and of another one, in one that all may reach."""
    with tempfile.TemporaryDirectory(prefix="mplog-places-") as name:
        top = Path(name)
        top.chmod(0o755)
        for directory, mode, owner in (
            ("open", 0o755, NOBODY),
            ("others", 0o755, 0),
            ("secret", 0o700, 0),
            ("closed", 0o500, NOBODY),
            ("public", 0o777, 0),
        ):
            (top / directory).mkdir()
            (top / directory / "old.log").touch(0o644)
            for path in (top / directory / "old.log", top / directory):
                os.chown(path, owner, owner)
            (top / directory).chmod(mode)
        (top / "open" / "read-only.log").touch(0o444)
        yield top
        (top / "closed").chmod(0o700)


def everything(top: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_mode, path.stat().st_size) for path in top.rglob("*"))


@pytest.mark.parametrize("how", ["setuid", "seteuid"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"file": "others/new.log"}, "`file` is '{top}/others/new.log', but this user may not write in '{top}/others'"),
        ({"file": "others/logs/new.log"}, "may not write in '{top}/others'; use another path."),
        (
            {"file": "others/old.log"},
            "`file` is '{top}/others/old.log', which this user may not write; change its owner",
        ),
        ({"file": "secret/old.log"}, "`file` is '{top}/secret/old.log', which is no usable path (Permission denied)"),
        ({"file": "closed/new.log"}, "may not write in '{top}/closed'; use another path."),
        ({"file": "open/read-only.log"}, "which this user may not write; change its owner or mode, or use another."),
        ({"file": "open/a.log", "spool": "others"}, "`spool` is '{top}/others', which this user may not write; change"),
        ({"file": "open/a.log", "spool": "others/spool"}, "may not write in '{top}/others'; use another path."),
        ({"file": "open/a.log", "spool": "closed"}, "`spool` is '{top}/closed', which this user may not write; change"),
        ({"file": "open/a.log", "spool": "public"}, "which belongs to user 0; use a directory of your own."),
    ],
)
def test_what_may_not_be_written_is_refused(settings: dict[str, str], expected: str, how: str, places: Path, program):
    """A log or a spool that this user may not write is a `ConfigError` with the value and the remedy."""
    before = everything(places)
    done = program(SETUP, NOBODY, how, json.dumps({key: str(places / value) for key, value in settings.items()}))
    assert done.out.startswith("ConfigError: ")
    assert expected.format(top=places) in done.out
    assert (done.err, everything(places)) == ("", before)


@pytest.mark.parametrize("how", ["setuid", "seteuid"])
def test_what_may_be_written_is_taken(how: str, places: Path, program):
    """The same user may log where it may write."""
    done = program(SETUP, NOBODY, how, json.dumps({"file": str(places / "open" / "new.log")}))
    assert (done.out, done.err) == ("", "")
    assert (places / "open" / "new.log").stat().st_uid == NOBODY


BESIDE = """
import logging, os, sys
import mplog

uid, file = int(sys.argv[1]), sys.argv[2]
with mplog.setup("warm.log", console=False, listener="thread", force=True) as session:
    session.flush()  # imports what `setup` needs: the user may not be able to read the interpreter's library
os.chdir("/")
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
os.environ["RUNTIME_DIRECTORY"] = os.path.dirname(file)
session = mplog.setup(file, console=False, listener="thread")
logging.getLogger("app").info("hello")
print(session.flush(10), session.close(10), os.path.exists(session.spool))
"""


def test_somebody_elses_directory_beside_the_log_holds_up_nothing(places: Path, program):
    """Two users log into one directory; the one whose journals are elsewhere may not enter what the other has made."""
    (places / "open" / ".mplog").mkdir(0o700)
    done = program(BESIDE, NOBODY, str(places / "open" / "new.log"))
    assert (done.out.strip(), done.err) == ("True True False", "")
    assert "hello" in (places / "open" / "new.log").read_text()
