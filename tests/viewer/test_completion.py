"""Shell completion for bash, zsh and fish, tried in the shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_log import SampleLog

from mplog.__main__ import available, main
from mplog.viewer.names import names

Complete = Callable[[str], list[str]]
HOSTILE = "$(touch hacked)`touch hacked`;touch hacked"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a log, and the command on PATH."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "mplog"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mplog "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sample = SampleLog().add("a", process="ForkPoolWorker-1", logger="app.db", dur_ms=1)
    sample.add("b", process="ForkPoolWorker-2", logger="app.http").add("c", process=HOSTILE, logger="app.db")
    sample.write(tmp_path / "app.log")
    return tmp_path


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = folder / f"completion.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_there(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each script knows every sub-command, and the shell itself finds no mistake in it."""
    path = script(shell, folder, capsys)
    text = path.read_text()
    assert all(command.name in text for command in available())
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(path)], check=True)


def test_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell that is not known: one line, and exit code 2."""
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("process", [HOSTILE, "ForkPoolWorker-1", "ForkPoolWorker-2"]),
        ("logger", ["app.db", "app.http"]),
        ("thread", ["MainThread"]),
    ],
)
def test_names_of_a_log(kind: str, found: list[str], folder: Path) -> None:
    """Names come from the logs on the command line, however quoted; what is no log is passed over."""
    path = str(folder / "app.log")
    lines = (["view", "app.log", "-p", ""], ["'app.log'"], [path], ["none", "app.log", "'"])
    for words in lines:
        assert names(kind, words) == found
    assert names(kind, ["view"]) == []


def test_names_of_a_large_log_at_once(tmp_path: Path) -> None:
    """Only the beginning and the end of a large log are read: a key press does not wait."""
    path = tmp_path / "big.log"
    first = SampleLog().add(process="first").lines[0]
    last = SampleLog().add(process="last").lines[0]
    with path.open("wb") as file:
        file.write(first.encode() + b"\n")
        file.seek(500_000_000)
        file.write(b"\n" + last.encode() + b"\n")
    begin = time.perf_counter()
    assert names("process", [str(path)]) == ["first", "last"]
    assert time.perf_counter() - begin < 1


def test_control_characters_are_left_out(tmp_path: Path) -> None:
    """A name that could drive a terminal is not offered."""
    path = SampleLog().add(process="\x1b[2J").add(process="fine").write(tmp_path / "app.log")
    assert names("process", [str(path)]) == ["fine"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
class TestBash:
    """What bash offers."""

    @pytest.fixture
    def complete(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> Complete:
        path = script("bash", folder, capsys)

        def run(line: str) -> list[str]:
            program = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mplog; '
            program += 'printf "%s\\n" "${COMPREPLY[@]}"'
            words = [word.strip("'") for word in line.split(" ")]
            done = subprocess.run(
                ["bash", "--norc", "-c", program, str(path), *words],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            assert done.stderr == ""
            return done.stdout.split("\n")[:-1]

        return run

    def test_words(self, complete: Complete) -> None:
        """Commands, options, their values, files."""
        assert complete("mplog st") == ["stats"]
        assert complete("mplog errors --to") == ["--top"]
        assert complete("mplog errors --tb l") == ["long", "line"]
        assert complete("mplog check --color = n") == ["never"]
        assert complete("mplog completion f") == ["fish"]
        assert complete("mplog stats app") == ["app.log"]

    def test_names(self, complete: Complete, folder: Path) -> None:
        """Process and logger names from the file; a hostile one is only text, quoted."""
        assert complete("mplog view app.log -p Fork") == ["ForkPoolWorker-1", "ForkPoolWorker-2"]
        assert complete("mplog view app.log --logger app.d") == ["app.db"]
        hostile = complete("mplog view app.log -p $")
        assert len(hostile) == 1
        quoted = subprocess.run(["bash", "-c", f"printf %s {hostile[0]}"], capture_output=True, text=True)
        assert quoted.stdout == HOSTILE
        assert not (folder / "hacked").exists()


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
class TestFish:
    """What fish offers."""

    @pytest.fixture
    def complete(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> Complete:
        path = script("fish", folder, capsys)

        def run(line: str) -> list[str]:
            done = subprocess.run(
                ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            assert done.stderr == ""
            return [entry.split("\t")[0] for entry in done.stdout.split("\n")[:-1]]

        return run

    def test_words(self, complete: Complete) -> None:
        """Commands, options, their values, files."""
        assert complete("mplog sta") == ["stats"]
        assert complete("mplog errors --to") == ["--top"]
        assert sorted(complete("mplog errors --tb l")) == ["line", "long"]
        assert complete("mplog completion fi") == ["fish"]
        assert complete("mplog stats app") == ["app.log"]

    def test_names(self, complete: Complete, folder: Path) -> None:
        """Process and logger names from the file; a hostile one is only text."""
        assert complete("mplog view app.log -p Fork") == ["ForkPoolWorker-1", "ForkPoolWorker-2"]
        assert complete("mplog view app.log --logger app.d") == ["app.db"]
        assert complete("mplog view app.log -p \\$") == [HOSTILE]
        assert not (folder / "hacked").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
class TestZsh:
    """What zsh makes of a line and a tab, at a terminal."""

    @pytest.fixture
    def complete(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> Complete:
        path = script("zsh", folder, capsys)
        setup = folder / "setup.zsh"
        setup.write_text(
            "autoload -Uz compinit; compinit -u -D; PS1='READY>'; unsetopt prompt_sp\n"
            f"source {path}\n"
            'finish() { print -r -- "<$BUFFER>"; exit }; zle -N finish\n'
            "bindkey '^X' finish; bindkey '^I' expand-or-complete\n"
        )

        def run(line: str) -> list[str]:
            child, terminal = pty.fork()
            if child == 0:
                os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})
            try:
                os.write(terminal, f"source {setup}\n".encode())
                _until(terminal, "READY>")
                os.write(terminal, f"{line}\t\x18".encode())
                shown = _until(terminal, r"<(mplog[^<>]*)>\r?\n")
                return [re.findall(r"<(mplog[^<>]*)>", shown)[-1]]
            finally:
                os.close(terminal)
                os.waitpid(child, 0)

        return run

    def test_words(self, complete: Complete) -> None:
        """Commands, options, their values, files."""
        assert complete("mplog sta") == ["mplog stats "]
        assert complete("mplog errors --to") == ["mplog errors --top "]
        assert complete("mplog errors --tb sho") == ["mplog errors --tb short "]
        assert complete("mplog stats app") == ["mplog stats app.log "]

    def test_names(self, complete: Complete, folder: Path) -> None:
        """Process and logger names from the file; a hostile one is only text, quoted."""
        assert complete("mplog view app.log -p F") == ["mplog view app.log -p ForkPoolWorker-"]
        assert complete("mplog view app.log --logger app.d") == ["mplog view app.log --logger app.db "]
        (hostile,) = complete("mplog view app.log -p \\$")
        assert hostile.startswith("mplog view app.log -p \\$\\(touch\\ hacked\\)\\`")
        assert not (folder / "hacked").exists()


def _until(terminal: int, pattern: str) -> str:
    shown, deadline = "", time.monotonic() + 30
    while not re.search(pattern, shown):
        left = deadline - time.monotonic()
        assert left > 0, shown
        if select.select([terminal], [], [], left)[0]:
            try:
                shown += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
    return shown
