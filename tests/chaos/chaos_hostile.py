"""Rows about a worker that is an enemy."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from chaos_points import template, writer
from chaos_rig import (
    Figures,
    verdict_by_worker,
)


def x1_hostile_worker(directory: Path, n: int) -> Figures:
    """A worker that writes garbage over its own journal costs nobody else a record, and no byte reaches a terminal."""
    rig = template(directory, workers=2, records=n)
    owner, journal = writer(rig)
    generator = random.Random(1)
    assert not journal._next_segment(0)
    for _ in range(300):
        key = b"%016x" % time.monotonic_ns() if generator.random() < 0.7 else generator.randbytes(16)
        text = generator.randbytes(30).replace(b"\n", b"").replace(b"\0", b"")
        line = key + b' {"msg":"' + text + b'\x1b[2J\xc2\x9b"}\n'
        journal.memory[journal.used : journal.used + len(line)] = line
        journal.used += len(line)
        if journal.used > journal.size - 500:
            break
    journal.close()
    owner.release()
    # Under journals' names: a fifo, a link to a secret, a directory, a huge number.
    os.mkfifo(os.path.join(rig.spool.journals, "f" * 16 + ".owner"))
    Path(directory, "secret").write_bytes(b'%016x {"msg":"secret"}\n' % 1)
    os.symlink(directory / "secret", os.path.join(rig.spool.journals, "e" * 16 + ".000001.mapped"))
    Path(rig.spool.journals, "d" * 16 + ".999999999999.mapped").write_bytes(b"x" * 100)
    Path(rig.spool.journals, "c" * 16 + ".owner").write_bytes(b"[" * 4096)
    rig.finish()
    data = Path(rig.file).read_bytes()
    assert b"secret" not in data
    bad = [byte for byte in data if (byte < 32 and byte != 10) or byte == 127]
    assert not bad, bad[:10]
    assert b"\xc2\x9b" not in data
    bad = [line for line in data.splitlines() if not _decodes(line)]
    assert not bad, bad[:3]
    sets = verdict_by_worker(rig)
    assert [len(found) for found in sets] == [n, n], [len(found) for found in sets]
    return {"others_lost": 0, "bytes": len(data)}


def _decodes(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
