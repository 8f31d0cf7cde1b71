"""Progress bars beside log lines, on a real pseudo-terminal."""

from __future__ import annotations

import gc
import itertools
import os
import re
import textwrap
from collections import Counter

import pytest
from screen import Screen, on_a_terminal

import mplog
from mplog._listener.terminal import fit, line
from mplog._shared.slots import Progress
from mplog._worker import progress

WORKERS = """
    import logging, multiprocessing, os, signal, sys
    import mplog

    context = multiprocessing.get_context(sys.argv[1] if sys.argv[1:] else "fork")

    def say(number, n):
        logging.getLogger("app").info("record %d-%d of a worker, padded to some length: %s", number, n, "x" * 20)

    def wait(gate):
        with open(f"gate{gate}", "rb", buffering=0) as fifo:
            fifo.read(1)

    def start(*args):
        workers = [context.Process(target=work, args=(n, *args)) for n in range(3)]
        for worker in workers:
            worker.start()
        return workers

    def join(workers):
        for worker in workers:
            worker.join()
"""
IN_ROUNDS = """
    def work(number, round):
        for n in range(60):
            if n % 6 == 0:
                round.wait()
            say(number, n)

    def rounds(session):
        \"\"\"Let the workers go on by a tenth, and have what they say shown after each.\"\"\"
        round = context.Barrier(4, timeout=30)
        workers = start(round)
        for _ in range(10):
            round.wait()
            yield
            session.flush()
        join(workers)
        session.flush()
"""
WHOLE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO     [A-Za-z]*Process-\d\[\d+\] app: "
    r"record (\d-\d+) of a worker, padded to some length: x{20} *"
)


def write_program(tmp_path, *parts):
    path = tmp_path / "program.py"
    path.write_text("".join(map(textwrap.dedent, (WORKERS, *parts))))
    return str(path)


def records_on(screen: Screen) -> Counter[str]:
    """Return which records are on the screen, each on a line of its own and whole."""
    found = Counter()
    for row in screen.lines:
        if "record" in row or "worker" in row:
            match = WHOLE.fullmatch(row)
            assert match, f"a torn line: {row!r}"
            found[match[1]] += 1
    return found


EVERY = Counter(f"{worker}-{n}" for worker, n in itertools.product(range(3), range(60)))

TQDM = """
    if __name__ == "__main__":
        IMPORT_BEFORE
        with mplog.setup("app.log") as session:
            from tqdm import tqdm
            with tqdm(total=300, desc="outer", mininterval=0) as outer:
                for _ in rounds(session):
                    for _ in tqdm(range(30), desc="inner", mininterval=0, leave=False):
                        outer.update()
"""
RICH = """
    if __name__ == "__main__":
        with mplog.setup("app.log") as session:
            from rich.console import Console
            from rich.progress import Progress
            with Progress(console=Console(stderr=True)) as progress:
                tasks = [progress.add_task(f"task {n}", total=150) for n in range(3)]
                for _ in rounds(session):
                    for task in tasks * 15:
                        progress.advance(task)
                    progress.refresh()
"""


@pytest.mark.parametrize("before", ["import tqdm", "pass"])
def test_tqdm_in_the_parent_is_not_torn(tmp_path, before):
    """With tqdm bars in the parent, nested ones too, each console line appears once, whole, above the bars;
    whether tqdm was imported before `setup` or after."""
    pytest.importorskip("tqdm")
    screen, _ = on_a_terminal(write_program(tmp_path, IN_ROUNDS, TQDM.replace("IMPORT_BEFORE", before)))
    assert records_on(screen) == EVERY
    bars = [row for row in screen.lines if "outer" in row or "inner" in row]
    assert len(bars) == 1, screen.lines
    assert bars[0].startswith("outer: 100%")
    assert [row.strip() for row in screen.lines[-2:]] == [bars[0].strip(), ""]


def test_rich_in_the_parent_is_not_torn(tmp_path):
    """With a rich display of several lines in the parent, each console line appears once and whole above it."""
    pytest.importorskip("rich")
    screen, _ = on_a_terminal(write_program(tmp_path, IN_ROUNDS, RICH))
    assert records_on(screen) == EVERY
    bars = [row for row in screen.lines if row.startswith("task")]
    assert [row[:6] for row in bars] == ["task 0", "task 1", "task 2"]
    assert all("100%" in row for row in bars)


TRACKS = """
    def work(number):
        for n in mplog.track(range(60), "resizing"):
            say(number, n)
            if n in (10, 50):
                wait(n // 50)
"""


def drawn(written: str) -> set[str]:
    """Return the processes whose bars have been on the terminal together, at the most."""
    found = [set(re.findall(r"Process-(\d) resizing +\d+% ▕", part)) for part in written.split("\x1b[J")]
    return max(found, key=len)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_track_draws_a_bar_for_each_worker(tmp_path, method):
    """`mplog.track` in a worker shows a bar in the parent's terminal, one a worker, below whole lines; at the
    end the bars are gone. How far it is makes no records."""
    source = """
        if __name__ == "__main__":
            with mplog.setup("app.log") as session:
                session.flush()
                join(start())
    """
    gates = [lambda written: len(drawn(written)) == 3, lambda written: True]
    screen, written = on_a_terminal(write_program(tmp_path, TRACKS, source), method, gates=gates)
    assert records_on(screen) == EVERY
    assert drawn(written) == {"1", "2", "3"}
    assert "resizing" not in "".join(screen.lines)
    assert "resizing" not in (tmp_path / "app.log").read_text()


def test_bars_of_both_do_not_tear(tmp_path):
    """While the parent has bars, those of `track` are not drawn, and come back afterwards; no line is torn."""
    pytest.importorskip("tqdm")
    source = """
        if __name__ == "__main__":
            with mplog.setup("app.log") as session:
                from tqdm import tqdm
                session.flush()
                workers = start()
                wait(0)
                for _ in tqdm(range(20), desc="outer", mininterval=0):
                    session.flush()
                join(workers)
    """
    gates = [
        lambda written: len(drawn(written)) == 3,
        lambda written: len(drawn(written.rpartition("outer: 100%")[2])) == 3 and "outer: 100%" in written,
    ]
    screen, written = on_a_terminal(write_program(tmp_path, TRACKS, source), gates=gates)
    assert records_on(screen) == EVERY
    assert [row.strip()[:11] for row in screen.lines if "outer" in row] == ["outer: 100%"]
    assert "resizing" not in written[written.index("outer:  10%") : written.rindex("outer: 100%")]
    assert "resizing" not in "".join(screen.lines)


def test_a_killed_workers_bar_goes(tmp_path):
    """The bar of a worker that is killed disappears."""
    source = """
        def work():
            for _ in mplog.track(range(100), "doomed"):
                wait(0)
                os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            with mplog.setup("app.log", level="CRITICAL") as session:
                session.flush()
                worker = multiprocessing.Process(target=work)
                worker.start()
                worker.join()
                for n in mplog.track(range(100), "survivor"):
                    wait(1)
                assert not [name for name in os.listdir(session.spool) if name.startswith("progress")]
    """
    gates = [
        lambda written: "doomed" in written,
        lambda written: (
            "survivor" in written.rpartition("\x1b[J")[2] and "doomed" not in written.rpartition("\x1b[J")[2]
        ),
    ]
    screen, _ = on_a_terminal(write_program(tmp_path, source), gates=gates)
    assert not any("doomed" in row or "survivor" in row for row in screen.lines)


def test_elsewhere_it_is_lines_in_the_log(tmp_path, monkeypatch, read_log):
    """Where there is no terminal, `track` writes a record every some seconds, and one at its end."""
    monkeypatch.setattr(progress, "LOG_EVERY", 0)
    monkeypatch.setattr(progress, "SHOW_EVERY", 0)
    with mplog.setup(tmp_path / "app.json", console=False):
        assert list(mplog.track("abc", "copying")) == ["a", "b", "c"]
    found = read_log(tmp_path / "app.json")
    assert [(record["done"], record["total"]) for record in found] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {record["logger"] for record in found} == {"mplog.track"}
    assert found[-1]["msg"].startswith("copying: 3/3 (100 %), ")


def test_at_most_one_line_every_some_seconds(tmp_path, read_log):
    """A quick loop writes nothing at all."""
    with mplog.setup(tmp_path / "app.json", console=False):
        for _ in mplog.track(range(10_000)):
            pass
    assert not (tmp_path / "app.json").exists() or read_log(tmp_path / "app.json") == []


def test_track_without_a_session():
    """Without a session `track` only iterates."""
    assert list(mplog.track(range(3))) == [0, 1, 2]


def test_what_the_iterable_raises_comes_through(tmp_path):
    """An exception of the iterable, and leaving the loop early, end the bar."""

    def broken():
        yield 1
        raise KeyError("mine")

    with mplog.setup(tmp_path / "app.json", console=False) as session:
        open(session.spool + "/bars", "w").close()
        with pytest.raises(KeyError, match="mine"):
            list(mplog.track(broken()))
        for _ in mplog.track(range(3)):
            assert any(name.startswith("progress") for name in os.listdir(session.spool))
            break
        gc.collect()
        assert not any(name.startswith("progress") for name in os.listdir(session.spool))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((range(3), 7), "`description` is 7; use a short text"),
        ((range(3), None, -1), "`total` is -1; use how many"),
        ((range(3), None, True), "`total` is True; use how many"),
        ((3,), "`iterable` is 3, which is none; use a list"),
    ],
)
def test_bad_input(arguments, sentence):
    """Wrong arguments raise at once in the caller."""
    with pytest.raises(mplog.ConfigError, match="^" + re.escape(sentence)):
        mplog.track(*arguments)


def test_a_bar_is_one_line_that_fits():
    """A bar never wraps, whatever is in its description; control characters are escaped."""
    loop = Progress("w\x1b[2J", 1, "漢字" * 40 + "\n", 45, 100, 0)
    text = line(loop, 10.0)
    assert "\x1b" not in text
    assert "\n" not in text
    assert len(fit(text, 40)) <= 24
    assert line(loop._replace(process="w", description="copy"), 10.0).startswith("w copy  45% ▕█████████ ")
    assert line(loop._replace(process="w", description="copy"), 10.0).endswith("▏ 45/100 4.5/s 0:10 0:12 left")
    assert line(Progress("w", 1, "", 7, None, 0), 3700.0) == "w 7 0.0/s 1:01:40"
