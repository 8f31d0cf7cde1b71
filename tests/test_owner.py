"""Owner files: who owns a journal, whether it lives, what it dropped."""

import errno
import os

import pytest

from mplog._shared import lock
from mplog._shared.account import Drops
from mplog._shared.owner import Owner, OwnerState, identity, read_owner


@pytest.fixture
def owner(tmp_path):
    made = Owner([str(tmp_path)], identity())
    yield made
    if made._fd >= 0 and lock.is_ours(made.path):
        made.release()


def state(owner: Owner) -> OwnerState:
    return read_owner(owner._fd)


def test_it_says_who_owns_the_journal(owner):
    """Pid, name, parent, start: enough to know the process again."""
    found = state(owner).identity
    assert found["pid"] == os.getpid()
    assert found["process"] == "MainProcess"
    assert found["journal"] == owner.journal
    assert found["role"] == "worker"
    assert found["start_ticks"] > 0


def test_it_is_locked_from_the_first_moment(owner, tmp_path):
    """Locked first, visible second: there is one file, it has its final name, and it is ours."""
    assert os.listdir(tmp_path) == [f"{owner.journal}.owner"]
    assert lock.is_ours(owner.path)
    assert os.stat(owner.path).st_mode & 0o777 == 0o600
    owner.release()
    assert lock.holder(owner.path) is None


def test_drops_outlive_the_process(owner):
    """What was dropped and is not in the journal yet is readable after a SIGKILL: the latest of two slots."""
    assert state(owner).drops is None
    first, second = Drops(1, 5, 5, 10, 10, "quota"), Drops(3, 5, 9, 10, 20, "no space left on device")
    owner.note_drops(first, 1)
    assert (state(owner).drops, state(owner).dropped) == (first, 1)
    owner.note_drops(second, 3)
    assert (state(owner).drops, state(owner).dropped) == (second, 3)
    owner.note_drops(None, 3)
    assert (state(owner).drops, state(owner).dropped) == (None, 3)


def test_half_a_slot_is_not_believed(owner):
    """A process killed while it wrote a slot leaves the other one."""
    drops = Drops(1, 5, 5, 10, 10, "quota")
    owner.note_drops(drops, 1)
    owner._map[2048:2078] = b"000000000002 drops 7 7 1 7 1 1"
    assert state(owner).drops == drops


def test_it_says_goodbye(owner):
    """A process that ends in order says so, and after how many records."""
    assert state(owner).bye is None
    owner.say_bye(41)
    assert state(owner).bye == 41


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"pid": "x"}\n', b"\xff" * 4096, b"[" * 4096])
def test_what_makes_no_sense_is_left_out(tmp_path, content):
    """The listener trusts no owner file."""
    path = tmp_path / "x.owner"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert read_owner(file.fileno()) == OwnerState({}, None, 0, None)


def test_without_a_directory_nothing_is_left(tmp_path):
    """Where no owner file can be made the first reason is raised."""
    with pytest.raises(FileNotFoundError):
        Owner([str(tmp_path / "missing"), str(tmp_path / "too")], identity())
    assert list(tmp_path.iterdir()) == []


def test_the_second_directory_is_the_fall_back(tmp_path):
    """With no room in the first directory the second one is taken."""
    owner = Owner([str(tmp_path / "missing"), str(tmp_path)], identity())
    assert os.path.dirname(owner.path) == str(tmp_path)
    owner.release()


def test_on_a_full_disk_it_counts_all_the_same(tmp_path, monkeypatch):
    """Where there is not even room for the owner file, its length says how many records were dropped."""

    def full(*arguments):
        raise OSError(errno.ENOSPC, "full")

    drops = Drops(7, 1, 7, 10, 20, "no space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        owner = Owner([str(tmp_path)], identity())
        assert state(owner) == OwnerState({}, None, 0, None)
        owner.note_drops(drops._replace(count=6), 6)
        owner.note_drops(drops, 7)
        owner.say_bye(0)
        found = state(owner)
        assert found.drops is not None
        assert found.drops[:3] == drops[:3]
        assert (found.identity, found.dropped, found.bye) == ({}, 7, None)
        assert os.stat(owner.path).st_blocks == 0
    owner.note_drops(drops._replace(count=8, seq_last=8), 8)
    found = state(owner)
    assert (found.drops, found.dropped) == (drops._replace(count=8, seq_last=8), 8)
    assert found.identity["pid"] == os.getpid()
    owner.say_bye(8)
    assert state(owner).bye == 8
    owner.release()
