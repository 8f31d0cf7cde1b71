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
