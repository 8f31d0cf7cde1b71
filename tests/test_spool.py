"""The spool: where journals lie, who may look into it, and how a session is found again."""

import contextlib
import os
import shutil
import stat

import pytest

from mplog._shared.spool import Spool, Status, of_variable, place, roots, session_name, variable
from mplog.exceptions import SpoolError


@pytest.fixture
def spool(tmp_path):
    made = Spool(str(tmp_path / "spool" / "app"))
    made.create()
    return made


def test_the_order_of_places(monkeypatch):
    """`spool=` or MPLOG_SPOOL; systemd's directory; /dev/shm for system users; else beside the log file."""
    monkeypatch.delenv("MPLOG_SPOOL", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/app:/run/more")
    monkeypatch.setattr(os, "getuid", lambda: 999)
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/dev/shm")
    assert roots("/var/log/app.log", None) == ["/run/app/mplog", "/dev/shm/mplog-999", "/var/log/.mplog"]
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert roots("/home/me/app.log", None) == ["/home/me/.mplog"]
    monkeypatch.setenv("MPLOG_SPOOL", "/mnt/spool")
    assert roots("/home/me/app.log", None) == ["/mnt/spool"]
    assert roots("/home/me/app.log", "/mnt/other") == ["/mnt/other"]


@pytest.mark.parametrize(("blocks", "files"), [(0, 100_000), (16, 100_000), (100_000, 0), (100_000, 5)])
def test_a_place_without_room_comes_last(tmp_path, monkeypatch, blocks, files):
    """A full /dev/shm holds no session if the log's directory can; a session that is there already is joined."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.delenv("MPLOG_SPOOL", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    room = os.statvfs_result((4096, 4096, 10**6, 10**6, 10**6, 10**6, 10**6, 10**6, 0, 255))
    none = os.statvfs_result((4096, 4096, 10**6, blocks, blocks, 10**6, files, files, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: none if path.startswith(str(tmp_path / "run")) else room)
    file = str(tmp_path / "app.log")
    full, beside = (os.path.join(root, session_name(file)) for root in roots(file, None))
    made = place(file, None)
    assert (made.path, made.second) == (beside, None)
    assert os.listdir(tmp_path / "run") == []
    monkeypatch.setattr(os, "statvfs", lambda path: none)
    assert (place(file, None).path, place(file, None).second) == (full, beside)
    monkeypatch.undo()
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    made.write_file("session.json", b"{}")
    assert place(file, None).path == beside
    shutil.rmtree(tmp_path / ".mplog")


def test_the_same_file_has_the_same_name_by_any_path(tmp_path, monkeypatch):
    """The spool is found from the log file's real path."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "link").symlink_to("logs")
    monkeypatch.chdir(tmp_path)
    names = {session_name(path) for path in ("logs/app.log", "link/app.log", str(tmp_path / "logs" / "app.log"))}
    assert len(names) == 1
    assert session_name("logs/App.log") not in names
    assert names.pop().startswith("app.log-")


@pytest.mark.parametrize("first", ["/run/a.log-1f", "/run:/x:y/a.log-1f", "/a.log-1f"])
@pytest.mark.parametrize("second", [None, "/var/log/.mplog/a.log-1f", "/d:e/:/.mplog/a.log-1f"])
def test_a_session_is_named_in_the_environment_whatever_its_paths_hold(first, second):
    """`MPLOG_SESSION` gives both directories of a spool back, also with colons in them."""
    spool = of_variable(variable(first, second))
    assert (spool.path, spool.second) == (first, second)


def test_directories_are_private_whatever_the_umask(tmp_path):
    """Mode 0700 and 0600."""
    before = os.umask(0)
    try:
        spool = Spool(str(tmp_path / "spool" / "app"))
        spool.create()
        spool.write_file("stats.json", b"{}")
    finally:
        os.umask(before)
    for path in (tmp_path / "spool", tmp_path / "spool" / "app", tmp_path / "spool" / "app" / "journals"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE((tmp_path / "spool" / "app" / "stats.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("wrong", ["open to others", "a link", "a file"])
def test_a_directory_that_cannot_be_trusted_is_refused(tmp_path, wrong):
    """Owner, mode and links are checked; the message says what to do."""
    path = tmp_path / "spool"
    if wrong == "open to others":
        path.mkdir()
        path.chmod(0o755)
    elif wrong == "a link":
        (tmp_path / "real").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "real")
    else:
        path.write_text("")
    with pytest.raises(SpoolError, match=r"`spool` .*(set|remove|run|name)"):
        place(str(tmp_path / "app.log"), str(path))


def test_a_file_is_replaced_as_a_whole(spool):
    """Who reads one of the session's files sees the old or the new content."""
    spool.write_file("session.json", b'{"id":1}')
    with open(spool.file("session.json")) as old:
        spool.write_file("session.json", b'{"id":2}')
        assert old.read() == '{"id":1}'
    assert spool.read_session() == {"id": 2}
    assert sorted({*os.listdir(spool.path)} - {"others"}) == ["journals", "session.json", "wake"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_session_file_is_none(spool, content):
    """What cannot be read as a session is no session."""
    spool.write_file("session.json", content)
    assert spool.read_session() is None


def test_nobody_listens_to_a_wake_without_a_listener(spool):
    """`wake` never waits and never raises; it tells whether somebody heard."""
    assert not spool.wake()
    fd = os.open(spool.file("wake"), os.O_RDWR | os.O_NONBLOCK)
    assert spool.wake()
    assert os.read(fd, 10) == b"w"
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"w" * 4096)
    assert spool.wake()  # a full pipe is heard all the same
    os.close(fd)


def test_the_status_line_has_a_fixed_width():
    """It is rewritten in place, so it may not grow."""
    small, large = Status(0, 0, 0, 0), Status(2**63, 2**63, 10**7, 2**31)
    assert len(small.to_bytes()) == len(large.to_bytes())
    assert Status.from_bytes(large.to_bytes()) == large
    assert Status.from_bytes(b"") is None
    assert Status.from_bytes(b"1 2 x 4") is None


def test_clear_leaves_nothing(spool, tmp_path):
    """The whole directory goes; but not while a journal is in it."""
    spool.write_file("session.json", b"{}")
    segment = tmp_path / "spool" / "app" / "journals" / "x.000001.mapped"
    segment.write_bytes(b"\0" * 10)
    spool.clear()
    assert segment.exists()
    assert spool.read_session() == {}
    segment.unlink()
    spool.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_removed_directory_of_journals_is_made_again(spool):
    """A worker whose spool was removed under it goes on."""
    spool.clear()
    spool.revive(spool.journals)
    assert os.path.isdir(spool.journals)
