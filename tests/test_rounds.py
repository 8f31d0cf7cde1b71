"""Many quiet journals beside few busy ones: looked at seldom, and nothing out of order for that."""

import random
import time

import pytest
from test_listener import Setting, drain

from mplog._listener import rounds
from mplog._listener.intake import Intake
from mplog.listener import HOLD_BACK


@pytest.fixture
def many(tmp_path):
    """More processes than are looked at in each step, each with a record in the log."""
    session = Setting(tmp_path)
    processes = [session.process() for _ in range(rounds.FEW + 8)]
    for process in processes:
        process.log("hello")
    listener = session.listen()
    drain(listener)
    yield session, processes, listener
    for process in processes:
        process.die()
    listener.finish(1.0)
    listener.close()


@pytest.fixture
def quiet(many, eventually):
    """The same after a while in which nobody said anything."""
    listener = many[2]
    assert eventually(lambda: not listener.step() and not listener.intake._rounds.lively())
    return many


def test_a_quiet_journal_is_not_overtaken(many, monkeypatch):
    """What is written first stands first, also if it is in a journal that is looked at seldom."""
    monkeypatch.setattr(rounds, "QUIET_EVERY", 4 * HOLD_BACK)
    monkeypatch.setattr(rounds, "LIVELY_FOR", 0)
    session, processes, listener = many
    chosen = random.Random(1)
    until = time.monotonic() + 0.5
    number = 0
    while time.monotonic() < until:
        number += 1
        (processes[0] if number % 4 else chosen.choice(processes)).log(f"{number}")
        listener.step()
    drain(listener)
    found = session.messages()[len(processes) :]
    assert found == [str(n) for n in range(1, number + 1)]
    assert listener.stats.late == 0


def test_a_record_of_a_quiet_journal_is_written_soon(quiet, eventually):
    """Whichever process speaks first after a silence: its record is in the log within a few steps."""
    session, processes, listener = quiet
    processes[-1].log("at last")
    assert eventually(lambda: (listener.step(), "at last" in session.messages())[1], timeout=1.0)


def test_quiet_journals_are_left_alone_while_others_are_busy(quiet, monkeypatch):
    """A step of a busy listener looks into the journals in which something happens, and not into hundreds of others."""
    _, processes, listener = quiet
    looked = []
    look_at = Intake._look_at

    def noted(self, journals, now, limit):
        looked.append(len(journals))
        return look_at(self, journals, now, limit)

    monkeypatch.setattr(Intake, "_look_at", noted)
    for number in range(50):
        processes[0].log(f"{number}")
        listener.step()
    assert max(looked) == 1


def test_who_ends_in_silence_is_noticed(quiet, eventually):
    """A quiet journal whose owner ends is read to its end and removed."""
    session, processes, listener = quiet
    processes[3].log("last words")
    processes[3].die()
    name = processes[3].owner.journal
    assert eventually(lambda: (listener.step(), name not in listener.intake.journals)[1])
    assert "last words" in session.messages()
