"""Rotated files: numbered, kept, compressed, and completed after a crash at any step."""

import gzip
import os
import time
from pathlib import Path

import pytest

from mplog._listener import rotation
from mplog._listener.rotation import Compressor, backups, next_rollover, rotate
from mplog.exceptions import ConfigError


def put(directory: Path, **files: str) -> str:
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(text)
    return str(directory / "app.log")


def names(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(directory.iterdir()) if path.suffix != ".gz"}


def test_numbers_move_up(tmp_path):
    """app.log becomes app.log.1, .1 becomes .2, and so on."""
    path = put(tmp_path, app_log="c", app_log_1="b", app_log_2="a")
    rotate(path, keep=0)
    assert names(tmp_path) == {"app.log.1": "c", "app.log.2": "b", "app.log.3": "a"}


def test_only_so_many_are_kept(tmp_path):
    """Files beyond `backup_count` are removed, the oldest first."""
    path = put(tmp_path, app_log="d", app_log_1="c", app_log_2="b", app_log_3="a")
    rotate(path, keep=2)
    assert names(tmp_path) == {"app.log.1": "d", "app.log.2": "c"}


@pytest.mark.parametrize("at", range(1, 5))
def test_a_rotation_killed_at_any_rename_is_completed(tmp_path, monkeypatch, at):
    """Nothing is overwritten by doing it again."""
    path = put(tmp_path, app_log="d", app_log_1="c", app_log_2="b", app_log_3="a")
    real, count = os.replace, 0

    def killed(source: str, target: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(path, keep=0)
    monkeypatch.undo()
    rotate(path, keep=0)
    found = names(tmp_path)
    assert [found[name] for name in sorted(found)] == ["d", "c", "b", "a"]


def test_compressed_files_move_too(tmp_path):
    """Rotated files are compressed beside the loop, keep their mode, and move up like plain ones."""
    path = put(tmp_path, app_log="new", app_log_1="old")
    compressor = Compressor(path, mode=0o640)
    compressor.start()
    assert compressor.wait(10)
    assert (tmp_path / "app.log.1.gz").stat().st_mode & 0o777 == 0o640
    rotate(path, keep=0)
    compressor.start()
    assert compressor.wait(10)
    assert gzip.decompress((tmp_path / "app.log.2.gz").read_bytes()) == b"old"
    assert gzip.decompress((tmp_path / "app.log.1.gz").read_bytes()) == b"new"
    assert sorted(backups(path)) == [1, 2]


def test_a_full_disk_leaves_the_plain_file(tmp_path, monkeypatch):
    """What cannot be compressed stays as it is."""
    path = put(tmp_path, app_log="x", app_log_1="old")
    monkeypatch.setattr(rotation.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    compressor = Compressor(path, mode=0o600)
    compressor.start()
    assert compressor.wait(10)
    assert (tmp_path / "app.log.1").read_text() == "old"


def test_when_a_file_is_due():
    """Seconds, the next hour, the next midnight by the local clock, or never."""
    now = time.mktime((2026, 11, 22, 11, 30, 5, 0, 0, -1))
    assert next_rollover(0, now) == float("inf")
    assert next_rollover(90.0, now) == now + 90
    assert time.localtime(next_rollover("hourly", now))[3:6] == (12, 0, 0)
    assert time.localtime(next_rollover("midnight", now))[2:6] == (23, 0, 0, 0)
    with pytest.raises(ConfigError, match="rotate_every"):
        next_rollover("weekly", now)
