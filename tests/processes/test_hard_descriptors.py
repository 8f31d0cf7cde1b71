"""A program that becomes a daemon closes every descriptor it finds, also those of its log."""

from __future__ import annotations

PROGRAM = '''
import logging, multiprocessing, os, pathlib, sys, time
import mplog

log = logging.getLogger("hard")

def lost(owner):
    """Wait until the listener has had its time to bury an owner whose lock is gone."""
    from mplog._listener.intake import OWNERS_EVERY
    deadline = time.monotonic() + 2 * OWNERS_EVERY
    while time.monotonic() < deadline:
        log.info("%s waits", owner)
        time.sleep(0.005)

def close_all(owner):
    log.info("%s begins", owner)
    os.closerange(3, 1000)
    files = [open(f"{owner}.{number}", "w") for number in range(20)]
    lost(owner)
    for number in range(2000):
        log.info("%s %d %s", owner, number, "x" * 100)
    for file in files:
        file.write("mine")
        file.close()
    found = {pathlib.Path(f"{owner}.{number}").read_text() for number in range(20)}
    assert found == {"mine"}, found

if __name__ == "__main__":
    session = mplog.setup("app.json", console=False)
    child = multiprocessing.get_context("fork").Process(target=close_all, args=("child",))
    child.start()
    child.join()
    close_all("parent")
    assert session.flush() and session.close()
    print("exit code", child.exitcode)
'''


def test_closing_all_descriptors_loses_no_record_and_no_file_of_the_application(program, read_log, tmp_path):
    """A process whose lock was closed under it logs on, and no descriptor that it opens then is touched."""
    done = program(PROGRAM)

    assert (done.returncode, done.out.strip(), done.err) == (0, "exit code 0", "")
    seqs = {}
    for record in read_log(tmp_path / "app.json"):
        seqs.setdefault(record["pid"], []).append(record["seq"])
    assert len(seqs) == 2
    for found in seqs.values():
        assert found == list(range(1, len(found) + 1))
        assert len(found) > 2000


THREAD = """
import logging, os, pathlib, subprocess, sys, time
import mplog

OTHER = '''
import functools, sys
from mplog._listener import supervise
from mplog._shared.spool import Spool
supervise.lock.acquire = functools.partial(supervise.lock.acquire, wait=True)
print("ready", flush=True)
supervise.listen(Spool(sys.argv[1]))
'''

class Seen(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages = []
    def emit(self, record):
        self.messages.append(record.getMessage())

seen = Seen()
log = logging.getLogger("hard")
session = mplog.setup("app.json", console=False, listener="thread", handlers=[seen])
log.info("first")
assert session.flush()
other = None
if sys.argv[1] == "taken over":
    other = subprocess.Popen([sys.executable, "-c", OTHER, session.spool], stdout=subprocess.PIPE)
    other.stdout.readline()
    time.sleep(0.1)  # it waits for the lock now, or will in a moment
for number in range(200):
    log.info("before %d", number)
assert session.flush()
while len(seen.messages) < 201:
    time.sleep(0.01)
time.sleep(0.1)  # nothing is open in passing now, which an application closes at its own risk
os.closerange(3, 1000)
files = [open(f"mine.{number}", "w+b") for number in range(20)]
for file in files:
    file.write(bytes(range(256)) * 8)
    file.flush()
for number in range(2000):
    log.info("after %d %s", number, "x" * 100)
    if not number % 100:
        time.sleep(0.01)
if other is None:
    assert session.flush()
    assert session.stats()["records"] > 2000
assert session.close()
for file in files:
    assert file.seek(0, 1) == 2048, "moved"
    file.close()
assert {pathlib.Path(f"mine.{number}").read_bytes() for number in range(20)} == {bytes(range(256)) * 8}
if other is None:
    assert len(seen.messages) == 2201, len(seen.messages)
else:
    assert other.wait(10) == 0
assert not os.path.exists(session.spool), "left"
"""


def messages() -> list[str]:
    return ["first", *(f"before {n}" for n in range(200)), *(f"after {n} {'x' * 100}" for n in range(2000))]


def test_a_listener_thread_writes_to_no_file_of_the_application(program, read_log, tmp_path):
    """A listener whose descriptors were closed opens its files again: all there, once, and `close` says so."""
    done = program(THREAD, "alone")

    assert done.err == ""
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == messages()


def test_a_listener_thread_whose_lock_is_taken_leaves_the_session_to_the_other(program, read_log, tmp_path):
    """There are never two: who lost its lock to another listener writes nothing more; `close` waits for that one."""
    done = program(THREAD, "taken over")

    assert done.err.startswith("mplog: this program has closed all its descriptors")
    assert done.err.count("\n") == 1
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == messages()
