"""Row H2: bytes of every kind for the journal reader, the listener's files, the viewer's parsers and the settings.

With hypothesis always, and with atheris where that can be imported (``pip install atheris``), which is led by what the
code does: ``python chaos_fuzz.py --atheris TARGET SECONDS`` runs one target by hand.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Target = Callable[[bytes, Path], object]
SLOWEST = 1.0
"""Seconds of processor time that no input may take."""
MOST_GROWTH = 64 << 20
"""Bytes by which the process may grow over all inputs of a target."""
LINE = (
    b'{"time":"2026-11-22T11:11:11.123456Z","level":"INFO","msg":"n 1","logger":"app.db","process":"MainProcess",'
    b'"pid":12,"thread":"MainThread","file":"a.py","line":3,"func":"f","seq":1,"exc":{"type":"ValueError",'
    b'"module":"builtins","message":"bad","frames":[{"file":"a.py","line":3,"func":"f","source":"x = 1"}],'
    b'"text":"T"}}\n'
)
TEXT = b"2026-11-22 11:11:11.123 INFO     Worker-3[12345] app.jobs: message key=value\n  Traceback (most recent call)\n"
SEGMENT = b"".join(b"%016x %s" % (1000 + index, LINE) for index in range(3)) + bytes(300)
COMMITS = (
    b'{"state":{"j":[1,20,5,2]},"newest":9,"generation":3,"starts":1,"reported":[]}\n'
    b'{"intent":4,"file":[1,2,30],"newest":12,"take":{"j":[[1,20],[1,400],5,1001,1,7]},"notes":["a"],"reported":["j"]}\n'
    b'{"done":4}\n{"delivered":4}\n{"rotate":[1,2]}\n'
)
OWNER = b'{"journal":"j","pid":1,"process":"MainProcess","parent_pid":1,"started":2,"argv":["a"]}\n'.ljust(2048, b"\0")
OWNER += b"000000000001 drops 3 3 1 3 5 6 full 000000000001\n".ljust(1024, b" ") + b"bye 3 17\n"
TOML = b'level = "info,app.db=debug"\nmax_bytes = "10 MB"\nrotate_every = "1h"\nhandlers = []\nredact = ["re:a+"]\n'


def reader(data: bytes, place: Path) -> None:
    """Read a segment of these bytes to its end; never more comes out than is in, and it ends."""
    from mplog._listener.merge import Chunk
    from mplog._listener.reader import JournalReader

    for dead in (False, True):
        for suffix in ("mapped", "appended"):
            path = place / f"j.000001.{suffix}"
            path.write_bytes(data)
            source = JournalReader("j", directories=[str(place)])
            source.segments[1] = str(path)
            total = rounds = 0
            while True:
                found, _ = source.read(100, dead=dead)
                if not found:
                    break
                Chunk(found, source.begin, source.position, b"0" * 16)
                total += len(found)
                rounds += 1
            source.close()
            path.unlink()
            assert total <= len(data), (total, len(data))
            assert rounds <= len(data) + 2


def listener(data: bytes, place: Path) -> None:
    """Be a listener of a spool in which a segment, an owner file and the commit log hold such bytes, in turn."""
    from mplog._listener import batch, certificate
    from mplog._shared.spool import Spool
    from mplog.config import Config
    from mplog.listener import Listener

    batch.say = lambda text: None
    certificate.PATIENCE = 0.0
    for name in ("journals/j.000001.mapped", "journals/j.owner", "commits"):
        (place / "spool").mkdir(0o700)
        spool = Spool(str(place / "spool" / "session"), None)
        spool.create()
        for other, whole in (("journals/j.000001.mapped", SEGMENT), ("journals/j.owner", OWNER), ("commits", COMMITS)):
            Path(spool.path, other).write_bytes(data if other == name else whole)
        one = Listener(spool, Config(file=str(place / "app.json"), format="json", console="off"))
        for _ in range(8):
            one.step(drain=True)
        assert not one.stats.errors, one.stats.errors
        one.close()
        log = place / "app.json"
        if log.exists():
            text = log.read_bytes()
            text.decode()
            assert not any((byte < 32 and byte != 10) or byte == 127 for byte in text), text
            log.unlink()
        shutil.rmtree(place / "spool")


def small_files(data: bytes, place: Path) -> None:
    """Read the other files of a spool."""
    from mplog._shared.control import read_changes
    from mplog._shared.owner import read_owner
    from mplog._shared.pending import read_header, read_pending
    from mplog._shared.spool import Spool, Status
    from mplog.config import Config
    from mplog.exceptions import ConfigError

    Status.from_bytes(data)
    with contextlib.suppress(ConfigError):
        Config.from_json(data)
    for name in ("session.json", "control.json", "file"):
        (place / name).write_bytes(data)
    spool = Spool(str(place), None)
    spool.read_session()
    spool.status()
    read_changes(spool)
    fd = os.open(place / "file", os.O_RDONLY)
    try:
        read_owner(fd)
        read_header(fd)
        read_pending(fd, 1)
    finally:
        os.close(fd)


def settings(data: bytes, place: Path) -> None:
    """Read a file of settings, and each variable of the environment; what is wrong is a `ConfigError`."""
    from mplog.config import load
    from mplog.exceptions import ConfigError

    for name in ("mplog.toml", "mplog.json", "pyproject.toml"):
        (place / name).write_bytes(data)
        with contextlib.suppress(ConfigError):
            load({"config": str(place / name)}, environ={})
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")[:200]
    for name in ("level", "console", "max_bytes", "rotate_every", "mode", "capture", "handlers", "redact", "format"):
        with contextlib.suppress(ConfigError):
            load({}, environ={f"MPLOG_{name.upper()}": text})
        with contextlib.suppress(ConfigError):
            load({name: text}, environ={})


def viewer(data: bytes, place: Path) -> None:
    """Show a log of these bytes with each command that reads one; they end with 0, 1 or 2."""
    from mplog.__main__ import main

    path = place / "app.log"
    path.write_bytes(data)
    for command in ("view", "stats", "errors", "ps", "check", "timeline"):
        with _quiet():
            try:
                code: Any = main([command, str(path)])
            except SystemExit as error:
                code = error.code
        assert code in (0, 1, 2), (command, code)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what is written to descriptors 1 and 2 nowhere."""
    kept = os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        for number, fd in zip((1, 2), kept, strict=True):
            os.dup2(fd, number)
            os.close(fd)


TARGETS: dict[str, tuple[Target, tuple[bytes, ...]]] = {
    "reader": (reader, (SEGMENT, LINE)),
    "listener": (listener, (SEGMENT, OWNER, COMMITS)),
    "files": (small_files, (OWNER, json.dumps({"id": "a", "config": {"level": {"": 20}, "redact": []}}).encode())),
    "settings": (settings, (TOML, b'{"level": "info", "console": false}')),
    "viewer": (viewer, (LINE * 3, TEXT * 3, LINE + TEXT)),
}


def measured(target: Target, data: bytes, slowest: float = SLOWEST) -> None:
    """Run a target on an input, in a directory of its own; raise if it takes too long."""
    place = Path(tempfile.mkdtemp(prefix="mplog-h2-"))
    began = time.process_time()
    try:
        target(data, place)
        took = time.process_time() - began
        assert took < slowest, f"{took:.1f} s for {len(data)} bytes"
    finally:
        shutil.rmtree(place)


def h2_fuzz(directory: Path, n: int) -> dict[str, Any]:
    """Give `n` inputs to each target: nothing is uncaught, nothing takes a second, memory is bounded."""
    os.environ["MPLOG_TRACEBACK"] = "1"
    inputs = 0
    for name in TARGETS:
        inputs += _hypothesis(name, n)
    figures: dict[str, Any] = {"targets": len(TARGETS), "inputs": inputs, "atheris": "not installed"}
    if importlib.util.find_spec("atheris"):
        seconds = n // 100
        for name in TARGETS if seconds else ():
            done = subprocess.run(
                [sys.executable, __file__, "--atheris", name, str(seconds)],
                capture_output=True,
                text=True,
                env={**os.environ, "TMPDIR": str(directory)},
            )
            assert done.returncode == 0, done.stderr[-3000:]
        figures["atheris"] = f"{seconds} s each"
    return figures


def _hypothesis(name: str, n: int) -> int:
    import hypothesis
    from hypothesis import strategies as st

    target, seeds = TARGETS[name]
    edit = st.tuples(st.integers(0, 4000), st.integers(0, 60), st.binary(max_size=40) | st.sampled_from(WORDS))
    mutated = st.builds(_mutate, st.sampled_from(seeds), st.lists(edit, max_size=6))
    count = 0
    before = 0

    @hypothesis.settings(
        max_examples=n, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(st.one_of(mutated, mutated, st.binary(max_size=3000)))
    def check(data: bytes) -> None:
        nonlocal count, before
        count += 1
        measured(target, data)
        if count == min(n, 20):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    check()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MOST_GROWTH, f"{name}: grew by {grown >> 20} MiB"
    return count


WORDS = (
    b"\n", b"\0", b'"', b"{", b"}", b"[" * 40, b'{"a":' * 8, b"\\", b"\\u0000", b"\x1b[2J", b"\xff\xfe", b"1e999",
    b"9" * 40, b"-1", b"null", b"NaN", b"true", b"\xc2\x9b", b'\\ud800', b"0" * 16, b" ", b"%s%(a)s", b"=",
)  # fmt: skip


def _mutate(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, new in edits:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + length :]
    return data


def _atheris(name: str, seconds: str) -> None:
    """Fuzz one target, led by coverage."""
    import atheris

    os.environ["MPLOG_TRACEBACK"] = "1"
    target, seeds = TARGETS[name]
    corpus = tempfile.mkdtemp(prefix="mplog-h2-corpus-")
    for index, seed in enumerate(seeds):
        Path(corpus, str(index)).write_bytes(seed)
    with atheris.instrument_imports(include=["mplog"]):
        # What a target imports is instrumented when it is first called.
        for seed in seeds:
            measured(target, seed, 60.0)
    options = [f"-max_total_time={seconds}", "-max_len=4000", "-rss_limit_mb=1024", "-timeout=10", corpus]
    atheris.Setup([sys.argv[0], *options], lambda data: measured(target, data, 5 * SLOWEST))
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--atheris"]:
        _atheris(sys.argv[2], sys.argv[3])
