"""The log file: opened with care, appended to, never truncated, followed when others move it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mplog.exceptions import ConfigError
from mplog.handlers import LogFile, check_log, open_log


@pytest.fixture
def log(tmp_path):
    made: list[LogFile] = []

    def make(**settings) -> LogFile:
        found = LogFile(str(tmp_path / "app.log"), **settings)
        made.append(found)
        return found

    yield make
    for found in made:
        found.close()


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for(tmp_path, log, umask, mode):
    """Whatever the umask says."""
    before = os.umask(umask)
    try:
        assert log(mode=mode).ready()
    finally:
        os.umask(before)
    assert (tmp_path / "app.log").stat().st_mode & 0o777 == mode


def test_no_link_is_followed_and_no_fifo_taken(tmp_path):
    """A symbolic link, a hard link, a fifo and a directory in the log's place are refused."""
    (tmp_path / "secret").write_text("x")
    path = str(tmp_path / "app.log")
    for make, code in (
        (lambda: os.symlink(tmp_path / "secret", path), errno.ELOOP),
        (lambda: os.link(tmp_path / "secret", path), errno.EINVAL),
        (lambda: os.mkfifo(path), errno.EINVAL),
    ):
        make()
        with pytest.raises(OSError) as raised:
            open_log(path, 0o600)
        assert raised.value.errno == code
        with pytest.raises(ConfigError, match="name another file"):
            check_log(path, 0o600)
        os.unlink(path)
    os.mkdir(path)
    assert not LogFile(path).ready()
    assert (tmp_path / "secret").read_text() == "x"


def test_a_short_write_goes_on_at_the_exact_byte(tmp_path, log, monkeypatch):
    """After a failure the file itself tells how much is there."""
    found = log()
    assert found.ready()
    real = os.write

    def some(fd: int, data: bytes) -> int:
        if some.left == 0:
            raise OSError(errno.ENOSPC, "full")
        some.left -= 1
        return real(fd, bytes(data)[:3])

    some.left = 2
    monkeypatch.setattr(os, "write", some)
    assert found.write(b"0123456789", 0) == 6
    assert found.error.errno == errno.ENOSPC
    monkeypatch.undo()
    assert found.write(b"0123456789", 0) == 10
    assert (tmp_path / "app.log").read_bytes() == b"0123456789"


@pytest.mark.parametrize("how", ["renamed", "deleted", "replaced", "directory removed"])
def test_it_is_opened_anew_when_its_name_is_anothers(tmp_path, how):
    """Renamed, deleted, exchanged: the next batch goes to a file of the name."""
    directory = tmp_path / "logs"
    directory.mkdir()
    found = LogFile(str(directory / "app.log"))
    assert found.ready()
    found.write(b"one\n", 0)
    if how == "renamed":
        os.rename(found.path, found.path + ".old")
    elif how == "deleted":
        os.unlink(found.path)
    elif how == "replaced":
        Path(found.path + ".new").write_bytes(b"theirs\n")
        os.replace(found.path + ".new", found.path)
    else:
        os.unlink(found.path)
        directory.rmdir()
    assert found.ready()
    assert found.replaced
    size = found.size()
    assert found.write(b"two\n", size) == 4
    assert Path(found.path).read_bytes() == (b"theirs\n" if how == "replaced" else b"") + b"two\n"
    found.close()


def test_a_half_line_of_others_is_ended_first(tmp_path, log):
    """It must not swallow our first record."""
    (tmp_path / "app.log").write_bytes(b"theirs")
    found = log()
    assert found.ready()
    found.seal()
    found.write(b"ours\n", found.size())
    assert (tmp_path / "app.log").read_bytes() == b"theirs\nours\n"


def test_what_is_there_of_a_batch(tmp_path, log):
    """How much of a batch stands at its place, and whether somebody else wrote behind it."""
    (tmp_path / "app.log").write_bytes(b"before\nbatch of")
    found = log()
    assert found.ready()
    assert found.common(b"batch of lines\n", 7) == (8, False)
    assert found.common(b"batch at lines\n", 7) == (6, True)
    assert found.common(b"batch", 7) == (5, True)


def test_a_renamed_file_is_found_again(tmp_path, log):
    """By its inode, in the directory of the log."""
    found = log()
    assert found.ready()
    identity = found.identity
    os.rename(found.path, found.path + "-20261122")
    other = found.find(identity)
    assert other is not None
    assert other.path.endswith("-20261122")
    other.close()
    assert found.find((identity[0], identity[1] + 10**9)) is None


def test_rotation_by_size_and_by_time(tmp_path, log, monkeypatch):
    """Before the batch that would go beyond the size, or after the period; an empty file is never rotated."""
    found = log(max_bytes=10)
    assert found.ready()
    assert not found.due(100)
    found.write(b"12345678\n", 0)
    assert found.due(2)
    assert found.rotate(found.identity)
    assert (tmp_path / "app.log.1").read_bytes() == b"12345678\n"
    assert found.size() == 0
    timed = log(rotate_every=60.0)
    found.close()
    assert timed.ready()
    timed.write(b"x\n", 0)
    assert not timed.due(1)
    now = __import__("time").time
    monkeypatch.setattr("mplog.handlers.time.time", lambda: now() + 61)
    assert timed.due(1)


def test_a_rotation_that_fails_is_not_tried_at_every_batch(tmp_path, log, monkeypatch):
    """The log goes on as it is, and the next try is seconds later."""
    found = log(max_bytes=1)
    assert found.ready()
    found.write(b"xx\n", 0)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no")))
    assert not found.rotate(found.identity)
    assert not found.due(5)
    assert found.ready()


def test_durable_syncs_the_file_and_the_directory(log, monkeypatch):
    """The file after each batch, the directory after a rotation; a failed sync is told and not tried again."""
    synced: list[str] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append("file") or real(fd))
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append("directory"))
    found = log(durable=True)
    assert found.ready()
    found.write(b"x\n", 0)
    assert found.sync()
    assert found.rotate(found.identity)
    assert synced == ["file", "directory"]
    monkeypatch.setattr(os, "fdatasync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "bad")))
    assert not found.sync()
    assert found.error.errno == errno.EIO


def test_another_listener_of_the_file_waits(tmp_path, log):
    """Two processes never append batches to one file."""
    found = log()
    assert found.ready()
    script = "import sys; from mplog.handlers import LogFile; f = LogFile(sys.argv[1]); print(f.ready(), f.error)"
    done = subprocess.run([sys.executable, "-c", script, found.path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False [Errno 16] another listener writes to it"), done.stdout
