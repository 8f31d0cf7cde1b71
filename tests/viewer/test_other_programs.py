"""Lines of other programs: each spelling of time, level, message and place is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from viewer_command import mplog

STAMP = 1795345871.123
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "slog": (
        {"time": "2026-11-22T12:11:11.123+01:00", "level": "ERROR", "msg": "m",
         "source": {"function": "main.f", "file": "/a/b.go", "line": 4}, "n": 3},
        {"level": "ERROR", "file": "/a/b.go", "line": 4, "func": "main.f", "n": 3},
    ),
    "slog, a level between": (
        {"time": "2026-11-22T11:11:11.123000Z", "level": "INFO+2", "msg": "m"}, {"level": "INFO+2"},
    ),
    "zap": (
        {"level": "warn", "ts": STAMP, "logger": "z", "caller": "main/main.go:12", "msg": "m"},
        {"level": "WARNING", "caller": "main/main.go:12", "logger": "z"},
    ),
    "OTLP": (
        {"timeUnixNano": "1795345871123000000", "severityNumber": 17, "severityText": "Error",
         "body": {"stringValue": "m"}, "attributes": [
             {"key": "http.method", "value": {"stringValue": "GET"}}, {"key": "n", "value": {"intValue": "3"}}]},
        {"level": "ERROR", "http.method": "GET", "n": 3},
    ),
    "OTLP, odd": (
        {"timeUnixNano": "1795345871123000000", "body": {"stringValue": "m"}, "attributes": [{"key": 1}]},
        {"attributes": [{"key": 1}]},
    ),
    "pino without a host": ({"level": 30, "time": 1795345871123, "msg": "m"}, {"level": "INFO"}),
    "Docker": ({"log": "m\n", "stream": "stderr", "time": "2026-11-22T11:11:11.123Z"}, {"stream": "stderr"}),
    "journalctl -o json": (
        {"__REALTIME_TIMESTAMP": "1795345871123000", "PRIORITY": "3", "MESSAGE": "m", "_PID": "7",
         "SYSLOG_IDENTIFIER": "sshd"},
        {"level": "ERROR", "pid": 7, "logger": "sshd"},
    ),
    "GELF": (
        {"version": "1.1", "host": "h", "short_message": "m", "timestamp": STAMP, "level": 5}, {"level": "NOTICE"},
    ),
    "Serilog": ({"@t": "2026-11-22T11:11:11.123Z", "@mt": "m", "@l": "Warning"}, {"level": "WARNING"}),
    "log4j2": ({"timeMillis": 1795345871123, "level": "WARN", "loggerName": "c.A", "message": "m"}, {"logger": "c.A"}),
    "Google Cloud": (
        {"timestamp": {"seconds": 1795345871, "nanos": 123000000}, "severity": "INFO", "message": "m"},
        {"level": "INFO"},
    ),
    "bunyan": (
        {"name": "app", "hostname": "h", "pid": 1, "level": 50, "msg": "m", "time": "2026-11-22T11:11:11.123Z", "v": 0},
        {"level": "ERROR", "logger": "app", "pid": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_line_of_another_program(name: str, tmp_path: Path) -> None:
    """Any JSON lines with the usual spellings of time, level, message: zap, slog, OTel and the others."""
    given, wanted = CASES[name]
    path = tmp_path / "app.json"
    path.write_text(json.dumps(given) + "\n")
    result = mplog("view", path, "-o", "jsonl")
    shown = json.loads(result.out)
    assert (result.code, shown["msg"], shown["time"]) == (0, "m", "2026-11-22T11:11:11.123000Z")
    assert {key: shown.get(key) for key in wanted} == wanted


def test_levels_between_the_standard_ones(tmp_path: Path) -> None:
    """A level such as slog's INFO+2 is worse than INFO and not as bad as WARNING."""
    path = tmp_path / "app.json"
    names = ["DEBUG-4", "DEBUG", "INFO", "INFO+2", "WARN", "ERROR+4"]
    path.write_text("".join(f'{{"time":"2026-11-22T11:11:11Z","level":"{name}","msg":"m"}}\n' for name in names))
    for option, expected in (
        ("info..warning", names[2:5]),
        ("notice", names[3:]),
        ("c", names[5:]),
        ("trace..debug", names[1:2]),
    ):
        assert mplog("view", path, "-l", option, "--template", "{level}").out.split() == expected
