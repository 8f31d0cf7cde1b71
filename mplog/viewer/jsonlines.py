"""Other programs' JSON lines, and what can be saved from damaged ones. Runs in the command `mplog`."""

from __future__ import annotations

import re
from typing import Any

from mplog.viewer import exctext, levels, otlp, times
from mplog.viewer.lines import Record, damaged_record, decode_object, own_record, text_of

_TIME = (
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "asctime",
    "datetime",
    "date",
    "t",
    "Timestamp",
    "eventTime",
    "created",
    "timeUnixNano",
    "observedTimeUnixNano",
    "timeMillis",
    "__REALTIME_TIMESTAMP",
    "@t",
)
_LEVEL = (
    "level",
    "levelname",
    "severity",
    "severity_text",
    "severityText",
    "SeverityText",
    "log.level",
    "lvl",
    "loglevel",
    "levelno",
    "severity_number",
    "severityNumber",
    "SeverityNumber",
    "@l",
    "PRIORITY",
)
_MSG = ("msg", "message", "event", "body", "Body", "MESSAGE", "short_message", "text", "@m", "@mt")
_LOGGER = (
    "logger",
    "name",
    "logger_name",
    "log.logger",
    "loggerName",
    "category",
    "component",
    "caller_name",
    "SYSLOG_IDENTIFIER",
)
_PROCESS = ("processName", "process", "process_name", "process.name", "worker")
_PID = ("pid", "process_id", "process.pid", "processId", "_PID")
_THREAD = ("thread", "threadName", "thread_name", "process.thread.name", "threadname", "thread.name")
_FILE = ("file", "pathname", "filename", "log.origin.file.name", "code.filepath", "code.file.path")
_LINE = ("line", "lineno", "line_number", "log.origin.file.line", "code.lineno", "code.line.number")
_FUNC = ("func", "funcName", "function", "func_name", "log.origin.function", "code.function", "code.function.name")
_EXC = (
    "exc",
    "exception",
    "exc_info",
    "exc_text",
    "err",
    "error.stack_trace",
    "stack",
    "stacktrace",
    "traceback",
    "exception.stacktrace",
    "@x",
)

_SYSLOG = {0: 50, 1: 50, 2: 50, 3: 40, 4: 30, 5: 25, 6: 20, 7: 10}
_PINO = {10: 5, 20: 10, 30: 20, 40: 30, 50: 40, 60: 50}


def foreign_records(data: dict[str, Any], raw: bytes, offset: int, source: str) -> list[Record]:
    """Return the records of a JSON object: one, but of OTLP's envelope each that is in it."""
    many = otlp.split(data) if "resourceLogs" in data else None
    if many is None:
        return [foreign_record(data, raw, offset, source)]
    return [foreign_record(one, raw, offset, source) for one in many]


def foreign_record(data: dict[str, Any], raw: bytes, offset: int, source: str) -> Record:
    """Return the record of a JSON object in another program's spelling; the unknown becomes fields."""
    data = _unwrap(data)
    stamp = _take(data, _TIME)
    time, time_text = _time(stamp)
    level, levelno = _level(data, stamp)
    exc = _take_exc(data)
    msg = _take(data, _MSG)
    record = Record(
        moment=time, time_text=time_text, level=level, levelno=levelno, msg=text_of(msg),
        logger=_take_text(data, _LOGGER), process=_take_text(data, _PROCESS), thread=_take_text(data,
        _THREAD),
        file=_take_text(data, _FILE), line=_take_int(data, _LINE), func=_take_text(data, _FUNC),
        pid=_take_int(data, _PID), seq=_take_int(data, ("seq",)), exc=exc,
        raw=raw, offset=offset, source=source, format="json",
    )  # fmt: skip
    if record.process.isdigit() and record.pid is None and len(record.process) < 19:
        record.pid, record.process = int(record.process), ""
    if type(data.get("process")) is int:
        record.pid = data.pop("process")
    for name in _LEVEL:
        data.pop(name, None)
    record.fields = data
    return record


def _unwrap(data: dict[str, Any]) -> dict[str, Any]:
    """Open the envelopes of loguru (`record`) and ECS/OTel (nested objects)."""
    inner = data.get("record")
    if isinstance(inner, dict) and "text" in data:
        return _loguru(inner)
    for key in ("log", "process", "attributes", "Attributes", "resource", "error"):
        value = data.get(key)
        if isinstance(value, dict):
            del data[key]
            for name, item in value.items():
                flat = name if key in ("attributes", "Attributes") else f"{key}.{name}"
                if isinstance(item, dict) and key in ("log", "process"):
                    data.update({f"{flat}.{n}": v for n, v in _flat(item)})
                else:
                    data.setdefault(flat, item)
    _place(data)
    if isinstance(data.get("log"), str) and "stream" in data:  # Docker's json-file
        data.setdefault("msg", data.pop("log").rstrip("\n"))
    if isinstance(body := data.get("body"), dict):
        data["body"] = otlp.value_of(body)
    if otlp.is_pairs(data.get("attributes")):
        for pair in data.pop("attributes"):
            data.setdefault(pair["key"], otlp.value_of(pair["value"]))
    return data


def _place(data: dict[str, Any]) -> None:
    """Take slog's `source` apart into file, line and function."""
    source = data.get("source")
    if isinstance(source, dict) and {"file", "line"} <= source.keys() <= {"file", "line", "function"}:
        del data["source"]
        for name, value in source.items():
            data.setdefault(name, value)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, item in value.items():
        if isinstance(item, dict) and len(prefix) < 100:
            found += _flat(item, f"{prefix}{name}.")
        else:
            found.append((prefix + name, item))
    return found


def _loguru(inner: dict[str, Any]) -> dict[str, Any]:
    def part(key: str, name: str) -> Any:
        value = inner.get(key)
        return value.get(name) if isinstance(value, dict) else value

    extra = inner.get("extra")
    data: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
    data.update(
        time=part("time", "repr"), level=part("level", "name"), msg=inner.get("message"),
        logger=inner.get("name"),
        process=part("process", "name"), pid=part("process", "id"), thread=part("thread", "name"),
        file=part("file", "path"), line=inner.get("line"), func=inner.get("function"),
    )  # fmt: skip
    exception = inner.get("exception")
    if isinstance(exception, dict):
        data["exc"] = {"type": exception.get("type", ""), "message": text_of(exception.get("value"))}
    return data


def _take(data: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in data:
            return data.pop(name)
    return None


def _take_text(data: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if isinstance(data.get(name), (str, int)):
            return text_of(data.pop(name))
    return ""


def _take_int(data: dict[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = data.get(name)
        if type(value) is int:
            del data[name]
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
            del data[name]
            return int(value)
    return None


def _time(stamp: Any) -> tuple[float | None, str]:
    if stamp is None:
        return None, ""
    if isinstance(stamp, dict) and type(stamp.get("seconds")) is int:  # Google's
        nanos = stamp.get("nanos")
        stamp = stamp["seconds"] + (nanos / 1e9 if type(nanos) is int else 0)
    text = text_of(stamp)
    if isinstance(stamp, (int, float)) and not isinstance(stamp, bool):
        return times.from_number(stamp), text
    if isinstance(stamp, str):
        found = times.parse(stamp)
        if found is None:
            try:
                found = times.from_number(float(stamp))
            except ValueError:
                found = None
        return found, text
    return None, text


def _level(data: dict[str, Any], stamp: Any) -> tuple[str, int]:
    syslog = "PRIORITY" in data or "short_message" in data
    value = _take(data, _LEVEL)
    if isinstance(value, bool) or value is None:
        return "", 0
    if isinstance(value, (int, float)):
        return _number_level(data, int(value) if abs(value) < 1e9 else 0, stamp, syslog=syslog)
    text = text_of(value)
    if text.isascii() and text.isdigit() and len(text) < 6:
        return _number_level(data, int(text), stamp, syslog=syslog)
    levelno = levels.number(text)
    return (levels.STANDARD.get(levelno, text.upper()) if levelno else text), levelno


def _number_level(data: dict[str, Any], value: int, stamp: Any, *, syslog: bool) -> tuple[str, int]:
    milliseconds = type(stamp) is int and 1e11 < stamp < 1e14  # pino's time, also where it leaves out the host
    if syslog:
        value = _SYSLOG.get(value, value)
    elif "hostname" in data or milliseconds or value == 60:
        value = _PINO.get(value, value)
    return "NOTICE" if value == 25 else levels.name(value), value


def _take_exc(data: dict[str, Any]) -> dict[str, Any] | None:
    for name in _EXC:
        value = data.get(name)
        if isinstance(value, str) and value and (name != "stack" or "\n" in value):
            del data[name]
            return text_exc(value, data)
        if isinstance(value, dict) and value.keys() & {"type", "message", "frames", "stack"}:
            del data[name]
            if "text" not in value and isinstance(value.get("stack"), str):
                value["text"] = value.pop("stack")
            return value
        if isinstance(value, list) and value and isinstance(value[0], dict) and "exc_type" in value[0]:
            del data[name]
            return _structlog_exc(value)
    return None


def text_exc(text: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the exception of a traceback's text; type and message that stand beside it take precedence."""
    exc = exctext.parse(text)
    for name in ("type", "message"):
        beside = text_of(data.pop(f"error.{name}", None) or data.pop(f"exception.{name}", None))
        if beside:
            exc[name] = beside
    return exc


def _structlog_exc(chain: list[dict[str, Any]]) -> dict[str, Any]:
    built: dict[str, Any] | None = None
    for item in reversed(chain):
        frames = item.get("frames")
        exc: dict[str, Any] = {
            "type": text_of(item.get("exc_type")),
            "message": text_of(item.get("exc_value")),
            "frames": [
                {"file": text_of(f.get("filename")), "line": f.get("lineno"), "func": text_of(f.get("name"))}
                for f in (frames if isinstance(frames, list) else ())
                if isinstance(f, dict)
            ],
        }
        if built is not None:
            exc["cause" if chain[0].get("is_cause") else "context"] = built
        built = exc
    assert built is not None
    return built


def salvage(raw: bytes, offset: int, source: str) -> list[Record]:
    """Return what a line that is no JSON object still holds: whole objects after a torn one are records."""
    found: list[Record] = []
    begin = 0
    for match in re.finditer(rb'\{"time":"', raw):
        at = match.start()
        if at <= begin:
            continue
        data = decode_object(raw[at:])
        if data is None:
            continue
        record = own_record(data, raw[at:], offset + at, source)
        if record is not None:
            head = raw[begin:at]
            first = decode_object(head)
            whole = own_record(first, head, offset, source) if first is not None else None
            return [*found, whole or damaged_record(head, offset, source), record]
    return [damaged_record(raw, offset, source)]
