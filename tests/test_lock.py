"""Locks by which processes see that another one lives."""

import os
import signal
import subprocess
import sys

import pytest

from mplog._shared import lock

HOLD = "import sys; from mplog._shared import lock; print(lock.acquire(sys.argv[1]) is not None, flush=True); input()"


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    path = str(tmp_path / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "True\n"
        yield path, process
        process.kill()


def test_another_process_is_seen_and_named(other):
    """The holder's pid is known; nobody else gets the lock."""
    path, process = other
    assert lock.holder(path) == lock.Holder(process.pid)
    assert lock.acquire(path) is None


def test_a_killed_holder_is_gone_at_once(other):
    """A lock ends with its process, however it dies."""
    path, process = other
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert lock.holder(path) is None


def test_looking_does_not_lose_our_own_lock(tmp_path):
    """Closing any descriptor of a file drops its locks; so a file that this process holds is never opened."""
    path = str(tmp_path / "lock")
    fd = lock.acquire(path)
    assert fd is not None
    assert lock.holder(path) == lock.Holder(os.getpid())
    assert lock.acquire(path) is None
    look = "import sys; from mplog._shared import lock; print(lock.holder(sys.argv[1]).pid)"
    done = subprocess.run([sys.executable, "-c", look, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) == os.getpid()
    lock.release(fd)
    assert lock.holder(path) is None


def test_a_forked_child_does_not_keep_the_lock(tmp_path, eventually):
    """What a child inherits is no lock, and forgetting it does not touch the parent's."""
    path = str(tmp_path / "lock")
    fd = lock.acquire(path)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"1" if not lock.is_ours(path) and lock.holder(path) else b"0")
        signal.pause()
    assert os.read(read, 1) == b"1"
    assert lock.is_ours(path)
    lock.release(fd)
    assert lock.holder(path) is None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


def test_a_removed_file_is_no_lock(tmp_path):
    """Who waits for a lock whose file was removed gets one on a new file."""
    path = str(tmp_path / "lock")
    first = lock.acquire(path)
    lock.release(first, remove=path)
    assert not os.path.exists(path)
    second = lock.acquire(path, wait=True)
    assert os.path.samestat(os.fstat(second), os.stat(path))
    assert os.stat(path).st_mode & 0o777 == 0o600
    lock.release(second)


def test_links_are_not_followed(tmp_path):
    """A symbolic link in the place of a lock is refused."""
    os.symlink(tmp_path / "elsewhere", tmp_path / "lock")
    with pytest.raises(OSError, match="symbolic"):
        lock.acquire(str(tmp_path / "lock"))
    assert not (tmp_path / "elsewhere").exists()
