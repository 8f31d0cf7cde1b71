"""OTLP's JSON lines, as the OpenTelemetry collector's file exporter writes them: many records in a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from viewer_command import mplog

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nValueError: bad\n'


def text(value: str) -> dict[str, Any]:
    return {"stringValue": value}


def pair(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "value": value}


FIRST = {
    "timeUnixNano": "1795345871123000000", "observedTimeUnixNano": "1795345871124000000", "severityNumber": 9,
    "severityText": "Info", "body": text("first"), "traceId": "", "attributes": [
        pair("n", {"intValue": "3"}), pair("tags", {"arrayValue": {"values": [text("a"), {"intValue": "2"}]}}),
        pair("code.function.name", text("pay"))],
}  # fmt: skip
SECOND = {
    "timeUnixNano": "0", "observedTimeUnixNano": "1795345872124000000", "severityNumber": 17,
    "body": {"kvlistValue": {"values": [pair("a", {"boolValue": True})]}}, "attributes": [
        pair("exception.type", text("ValueError")), pair("exception.message", text("bad")),
        pair("exception.stacktrace", text(TRACEBACK))],
}  # fmt: skip
THIRD = {"timeUnixNano": "1795345873123000000", "severityText": "WARN", "body": text("third")}
LINE = {
    "resourceLogs": [
        {
            "resource": {"attributes": [pair("service.name", text("shop")), pair("process.pid", {"intValue": "47"})]},
            "scopeLogs": [
                {"scope": {"name": "app.db", "version": "1"}, "logRecords": [FIRST, SECOND]},
                {"scope": {}, "logRecords": [THIRD]},
            ],
        }
    ]
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two equal lines of three records each."""
    path = tmp_path / "otlp.json"
    path.write_text(f"{json.dumps(LINE)}\n" * 2)
    return path


def test_each_record_of_a_line_is_one(log: Path) -> None:
    """A line of OTLP becomes one record for each of its log records, with the resource's attributes."""
    result = mplog("view", log, "-o", "jsonl", "-m", "3")
    first, second, third = map(json.loads, result.out.splitlines())
    assert first == {
        "time": "2026-11-22T11:11:11.123000Z", "level": "INFO", "msg": "first", "logger": "app.db", "pid": 47,
        "func": "pay", "n": 3, "tags": ["a", 2], "service.name": "shop",
    }  # fmt: skip
    assert (second["time"], second["level"], second["msg"]) == ("2026-11-22T11:11:12.124000Z", "ERROR", '{"a":true}')
    assert second["exc"]["type"] == "ValueError"
    assert (third["level"], third["msg"], third.get("logger")) == ("WARNING", "third", None)


@pytest.mark.parametrize("options", [[], ["-n", "2"], ["-r"], ["-C", "0"]])
def test_each_is_selected_for_itself(log: Path, options: list[str]) -> None:
    """Selection, -n and -r are about records, not about the lines that hold them; also in an archive."""
    packed = log.with_suffix(".json.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    for path in (log, packed):
        assert mplog("view", path, "-l", "e", "--template", "{level}", *options).out == "ERROR\nERROR\n"


def test_raw_writes_the_line_once(log: Path) -> None:
    """`-o raw` writes the file's lines: one that holds several records is written once."""
    assert mplog("view", log, "-o", "raw").out == log.read_text()


def test_summaries_count_records(log: Path) -> None:
    """`stats`, `errors` and `check` count the records of such a line, not the lines."""
    assert json.loads(mplog("stats", log, "--json").out)["records"] == 6
    assert "2 exceptions of 1 kind" in mplog("errors", log).out
    assert json.loads(mplog("check", log, "--json").out)["records"] == 6


@pytest.mark.parametrize(
    "odd", ["x", [], [1], [{"scopeLogs": 3}], [{"resource": [], "scopeLogs": [{"logRecords": 1}]}]]
)
def test_what_only_resembles_it_is_shown_as_it_is(tmp_path: Path, odd: object) -> None:
    """A line without log records is one record, whatever stands in their place."""
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"resourceLogs": odd}) + "\n")
    assert json.loads(mplog("view", path, "-o", "jsonl").out) == {"msg": "", "resourceLogs": odd}
