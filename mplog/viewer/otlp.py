"""OpenTelemetry's log records: the values of OTLP/JSON, and lines that hold many. Runs in the command `mplog`.

Format: opentelemetry-proto, `logs/v1/logs.proto` and `common/v1/common.proto`, in proto3's JSON mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_PLAIN = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue")
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_DEEP = 50


def split(data: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return each log record of a line as the collector's file exporter writes them, as an object of its own.

    The attributes of the resource are added to the record's, the scope's name is its logger. None when the line is no
    such line.
    """
    resources = data.get("resourceLogs")
    if not isinstance(resources, list):
        return None
    found = []
    for resource in _objects(resources):
        shared = _pairs(_object(resource, "resource").get("attributes"))
        for scope in _objects(resource.get("scopeLogs")):
            about = _object(scope, "scope")
            more = {**shared, **_pairs(about.get("attributes"))}
            name = str(about.get("name") or "")
            found += [_record(record, name, more) for record in _objects(scope.get("logRecords"))]
    return found or None


def _record(record: dict[str, Any], logger: str, shared: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in record.items() if value != "" and value != []}
    if str(data.get("timeUnixNano", "")) == "0":  # not known
        del data["timeUnixNano"]
    if "timeUnixNano" in data:
        data.pop("observedTimeUnixNano", None)
    number = data.pop("severityNumber", None)
    data.setdefault("severityText", severity(number))
    data["body"] = value_of(data.get("body"))
    own = _pairs(data.pop("attributes", None))
    if logger:
        data["logger"] = logger
    for name, value in (*own.items(), *shared.items()):
        data.setdefault(name, value)
    return data


def severity(number: object) -> str:
    """Return the name of a severity's number, 1 to 24; nothing for any other."""
    return _SEVERITIES[(number - 1) // 4] if type(number) is int and 1 <= number <= 24 else ""


def _objects(values: object) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else iter(())


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _pairs(values: object) -> dict[str, Any]:
    return {pair["key"]: value_of(pair.get("value")) for pair in _objects(values) if isinstance(pair.get("key"), str)}


def is_pairs(value: object) -> bool:
    """Say whether this is a list of OTLP's key-value pairs."""
    return isinstance(value, list) and all(
        isinstance(pair, dict) and isinstance(pair.get("key"), str) and "value" in pair for pair in value
    )


def value_of(value: Any, depth: int = 0) -> Any:
    """Return the value in OTLP's envelope, such as `{"stringValue": "x"}`; anything else unchanged."""
    if not isinstance(value, dict) or len(value) != 1 or depth > _DEEP:
        return value
    ((name, inner),) = value.items()
    if name == "intValue" and isinstance(inner, str) and _INTEGER.fullmatch(inner):
        return int(inner)
    if name in _PLAIN:
        return inner
    if name == "arrayValue" and isinstance(inner, dict):
        return [value_of(one, depth + 1) for one in _objects(inner.get("values"))]
    if name == "kvlistValue" and isinstance(inner, dict):
        pairs = (pair for pair in _objects(inner.get("values")) if isinstance(pair.get("key"), str))
        return {pair["key"]: value_of(pair.get("value"), depth + 1) for pair in pairs}
    return value
