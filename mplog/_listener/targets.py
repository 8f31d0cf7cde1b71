"""Make what a listener writes to: file, encoder, console, handlers. Runs in the listener."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from mplog._listener.delivery import ConsoleTarget, HandlerTarget
from mplog._listener.fold import Fold
from mplog._listener.merge import PREFIX, without_keys
from mplog._listener.terminal import Terminal
from mplog._parent.handler_specs import build_handler
from mplog._shared import descriptors
from mplog._shared.descriptors import say
from mplog._shared.record import decode
from mplog._shared.spool import Spool
from mplog.config import Config
from mplog.exceptions import ConfigError
from mplog.formatters import ConsoleFormatter, JsonFormatter, PatternFormatter, TextFormatter, escape
from mplog.handlers import LogFile


def log_file(config: Config) -> LogFile | None:
    """Return the session's log file, not opened yet, or None if it has none."""
    if config.file is None:
        return None
    return LogFile(
        config.file,
        mode=config.mode,
        durable=config.durable,
        max_bytes=config.max_bytes,
        backup_count=config.backup_count,
        rotate_every=config.rotate_every,
        compress=config.compress,
    )


def encoder(config: Config) -> Callable[[list[bytes]], bytes]:
    """Return what turns a batch into the bytes of the file: always the same ones for the same batch."""
    if config.format == "json":
        return without_keys
    formatter = _formatter(config)
    plain = formatter.format_plain if isinstance(formatter, TextFormatter) else lambda line: None

    def encode(lines: list[bytes]) -> bytes:
        blocks = []
        for line in lines:
            body = line[PREFIX:]
            try:
                block = plain(body) or formatter.format_line(decode(body)).encode("utf-8", "backslashreplace")
            except Exception:  # it stays in the log as it is
                block = escape(body.decode("utf-8", "backslashreplace")).encode("utf-8", "backslashreplace")
            blocks.append(block)
        blocks.append(b"")
        return b"\n".join(blocks) if lines else b""

    return encode


def targets(
    config: Config, stream: Any, handlers: tuple[logging.Handler, ...], spool: Spool
) -> list[ConsoleTarget | HandlerTarget]:
    """Return console and handlers; one that cannot be made is said and left out."""
    found: list[ConsoleTarget | HandlerTarget] = []
    if config.console != "off":
        stream = stream or (sys.stdout if config.console == "stdout" else sys.stderr)
        fmt = config.format if config.format not in ("text", "json") else None
        formatter = ConsoleFormatter(
            stream,
            color=config.color,
            fmt=fmt,
            datefmt=config.datefmt,
            style=config.style,  # type: ignore[arg-type]
        )
        if stream is not None:
            fold = Fold() if config.fold else None
            terminal = _terminal(stream, spool)
            found.append(ConsoleTarget(stream, formatter.format_line, config.console_level, fold, terminal))
    named = {"text": TextFormatter, "json": JsonFormatter}
    for spec in (*handlers, *(spec for spec in config.handlers if not isinstance(spec, logging.Handler))):
        try:
            found.append(HandlerTarget(build_handler(spec, named)))
        except ConfigError as error:
            say(str(error))
    return found


def _terminal(stream: Any, spool: Spool) -> Terminal | None:
    """Return the terminal that a stream leads to, or None."""
    try:
        fd = descriptors.original(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return Terminal(spool, fd, getattr(stream, "encoding", None) or "utf-8") if os.isatty(fd) else None


def _formatter(config: Config) -> TextFormatter | JsonFormatter | PatternFormatter:
    if config.format == "json":
        return JsonFormatter()
    if config.format == "text":
        return TextFormatter()
    return PatternFormatter(config.format, config.datefmt, config.style)  # type: ignore[arg-type]
