"""Folding on the console."""

import math

import pytest

from mplog._listener.fold import MOST, WINDOW, Fold


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def record(msg="same", process="W-1", pid=1, **fields):
    return {"level": "INFO", "logger": "app", "msg": msg, "process": process, "pid": pid, **fields}


def texts(shown):
    return [fields["msg"] for fields in shown]


def test_the_first_is_shown_at_once_and_the_rest_as_one(clock):
    """Identical records are folded into one line: `.. x 64 in 8 processes`."""
    fold = Fold(clock)
    shown = [text for n in range(64) for text in texts(fold.push(record(process=f"W-{n % 8}", pid=n % 8)))]
    assert shown == ["same"]
    assert fold.due() == []
    assert fold.pause() == pytest.approx(WINDOW)
    clock.now += WINDOW
    assert texts(fold.due()) == ["same .. x 64 in 8 processes"]
    assert fold.due() == []
    assert fold.pause() is None


def test_different_records_are_not_folded(clock):
    """Level, logger, text and exception make a record what it is; the process does not."""
    fold = Fold(clock)
    error = {"type": "ValueError", "message": "a"}
    different = [
        record(), record("other"), record() | {"level": "ERROR"}, record() | {"logger": "lib"},
        record(exc=error), record(exc=error | {"message": "b"}),
    ]  # fmt: skip
    assert [len(fold.push(fields)) for fields in different] == [1] * 6
    assert fold.push(record(exc=error)) == []
    assert texts(fold.due(math.inf)) == ["same .. x 2 in 1 process"]


def test_a_summary_comes_before_what_follows_it(clock):
    """A record that comes when a window is over lets its summary go first."""
    fold = Fold(clock)
    fold.push(record())
    fold.push(record())
    clock.now += WINDOW
    assert texts(fold.push(record("next"))) == ["same .. x 2 in 1 process", "next"]
    assert texts(fold.push(record())) == ["same"]


def test_memory_is_bounded(clock):
    """More different records than are watched are shown as they come."""
    fold = Fold(clock)
    for number in range(MOST + 10):
        assert texts(fold.push(record(f"number {number}"))) == [f"number {number}"]
    assert texts(fold.push(record(f"number {MOST + 5}"))) == [f"number {MOST + 5}"]


def test_the_console_folds_and_the_file_does_not(program, read_log, tmp_path):
    """Folding is on the console, never in the file."""
    done = program(
        """
        import logging
        import multiprocessing
        import mplog

        def work():
            logging.warning("the same everywhere")

        if __name__ == "__main__":
            multiprocessing.set_start_method("fork")
            with mplog.setup("app.json", fold=True):
                children = [multiprocessing.Process(target=work) for _ in range(4)]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
                logging.warning("the end")
        """
    )
    log = read_log(tmp_path / "app.json")
    assert [entry["msg"] for entry in log] == ["the same everywhere"] * 4 + ["the end"]
    lines = [line for line in done.err.splitlines() if "the same" in line]
    assert len(lines) == 2, done.err
    assert lines[1].endswith("the same everywhere .. x 4 in 4 processes")
