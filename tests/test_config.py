"""Settings: where they come from, what is refused and with which words."""

import json
import logging
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mplog._parent import settings as _settings
from mplog._parent.handler_specs import build_handler
from mplog.config import CAPTURES, UNSET, Config, load, parse_interval, parse_level, parse_levels, parse_size
from mplog.exceptions import ConfigError, MplogError, SessionError, SpoolError


def settings(**arguments: object) -> Config:
    return load(arguments, environ={})


def refusal(**arguments: object) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**arguments)
    return str(caught.value)


def outcome(field: str, value: object) -> str:
    """Return the refusal's text, or the field's name in backticks if there is none."""
    try:
        settings(**{field: value})
    except ConfigError as error:
        return str(error)
    return f"`{field}`"


class Recorder(logging.Handler):
    """A handler that any process can import."""

    def __init__(self, colour: str = "red") -> None:
        super().__init__()
        self.colour = colour


def without_names(text: str) -> str:
    return text.replace("Alice", "somebody")


def not_a_handler() -> int:
    return 3


# Where settings come from


def test_every_field_is_checked():
    """Every setting has a range or type check."""
    assert set(Config._fields) == {*_settings.CHECKS, "format"}


def test_nothing_given_means_the_defaults():
    """Without arguments, environment and file a session has its defaults."""
    assert settings() == Config()


def test_argument_beats_environment_beats_file_beats_default(tmp_path: Path):
    """Argument > environment > file > default."""
    path = tmp_path / "mplog.toml"
    path.write_text('level = "ERROR"\nquota = "1 MiB"\noverflow = "drop"\n')
    environ = {"MPLOG_LEVEL": "WARNING", "MPLOG_QUOTA": "2 MiB", "MPLOG_CONFIG": str(path)}
    config = load({"level": "DEBUG"}, environ=environ)
    assert (config.level, config.quota, config.overflow) == ({"": 10}, 2 << 20, "drop")
    assert config.block_timeout == Config().block_timeout


def test_an_argument_that_is_unset_is_not_given():
    """An argument counts as given only if it is not the sentinel."""
    config = load({"level": UNSET, "file": UNSET}, environ={"MPLOG_LEVEL": "ERROR"})
    assert config.level == {"": 40}
    assert repr(UNSET) == "UNSET"


def test_an_empty_variable_is_not_set():
    """An environment variable that is empty is as if it were not there."""
    assert load({}, environ={"MPLOG_LEVEL": " ", "MPLOG_FILE": "", "MPLOG_CONFIG": ""}) == Config()


def test_the_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch):
    """Without `environ` the process's own environment counts."""
    monkeypatch.setenv("MPLOG_BLOCK_TIMEOUT", "500ms")
    assert load({}).block_timeout == 0.5


def test_mplog_auto_switches_off_what_children_do():
    """MPLOG_AUTO=0 is the switch of auto_attach."""
    assert load({}, environ={"MPLOG_AUTO": "0"}).auto_attach is False


def test_variables_of_other_parts_are_let_through():
    """MPLOG_SESSION, and names with two underscores, belong to mplog itself."""
    assert load({}, environ={"MPLOG_SESSION": "x", "MPLOG__FD": "3", "PATH": "/bin"}) == Config()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", 'level = "debug"\n[[handlers]]\nclass = "logging.NullHandler"\n'),
        ("b.toml", '[mplog]\nlevel = "debug"\nhandlers = [{class = "logging.NullHandler"}]\n'),
        (
            "pyproject.toml",
            '[project]\nname = "x"\n[tool.mplog]\nlevel = "debug"\nhandlers=[{class="logging.NullHandler"}]',
        ),
        ("c.json", '{"level": "debug", "handlers": [{"class": "logging.NullHandler"}]}'),
    ],
)
def test_a_file_may_be_toml_or_json(tmp_path: Path, name: str, text: str):
    """A configuration file is TOML or JSON; its table may be called mplog, in pyproject.toml tool.mplog."""
    (tmp_path / name).write_text(text)
    config = settings(config=tmp_path / name)
    assert (config.level, config.handlers) == ({"": 10}, ({"class": "logging.NullHandler"},))


def test_a_dict_is_a_configuration_too():
    """`config` may be a dict, and beats MPLOG_CONFIG."""
    config = load({"config": {"level": {"": "info", "app": 10}}}, environ={"MPLOG_CONFIG": "/no/such/file"})
    assert config.level == {"": 20, "app": 10}


def test_loading_creates_nothing(tmp_path: Path):
    """Nothing is started or created by load."""
    settings(
        file=tmp_path / "logs" / "a.log", spool=tmp_path / "spool", max_bytes="1MB", handlers=["logging.NullHandler"]
    )
    assert list(tmp_path.iterdir()) == []


# What travels


def test_json_round_trip(tmp_path: Path):
    """Worker and listener processes read what the parent has checked."""
    config = settings(
        file=tmp_path / "a.jsonl",
        level="info,app.db=debug",
        rotate_every="midnight",
        handlers=["logging.NullHandler", {"class": "logging.FileHandler", "filename": "x", "level": "error"}],
        capture=["stdout", "fd"],
        redact=["password", "re:\\d{16}"],
    )
    assert Config.from_json(config.to_json()) == config
    assert Config.from_json(config.to_json().encode()) == config


def test_handler_objects_do_not_travel():
    """A live handler stays in the process that made it, and the listener in a thread."""
    config = settings(handlers=[logging.NullHandler(), "logging.NullHandler"])
    assert config.handler_objects
    assert config.listener == "thread"
    sent = Config.from_json(config.to_json())
    assert sent.handlers == ("logging.NullHandler",)
    assert not sent.handler_objects


def test_a_newer_session_file_can_be_read():
    """Settings that only a newer mplog knows are ignored; what is missing has its default."""
    assert Config.from_json('{"quota": 100000, "invented": 1}') == Config(quota=100000)


@pytest.mark.parametrize("text", ["", "{", "[1]", b"\xff"])
def test_a_damaged_session_file_is_an_error(text: str | bytes):
    """What is no JSON object raises ConfigError, not something else."""
    with pytest.raises(ConfigError, match="JSON"):
        Config.from_json(text)


def test_config_is_frozen():
    """Settings cannot be changed in place; `replace` makes a copy."""
    config = Config()
    with pytest.raises(AttributeError):
        config.quota = 1  # type: ignore[misc]
    assert config.replace(quota=99).quota == 99
    assert config.quota == 64 << 20


# Levels, sizes, intervals


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("INFO", {"": 20}),
        (" debug ", {"": 10}),
        (15, {"": 15}),
        ("35", {"": 35}),
        (logging.WARNING, {"": 30}),
        ("info,app.db=debug", {"": 20, "app.db": 10}),
        ("app.db=DEBUG , urllib3=50", {"app.db": 10, "urllib3": 50}),
        ("root=error", {"": 40}),
        ({"": "INFO", "a": 5}, {"": 20, "a": 5}),
        ({"*": "warn"}, {"": 30}),
    ],
)
def test_levels(value: object, expected: dict[str, int]):
    """A level is a name, a number, a list in one string, or a mapping."""
    assert parse_levels(value) == expected


def test_custom_level_names_count(monkeypatch: pytest.MonkeyPatch):
    """Names added with addLevelName are levels."""
    for table in ("_levelToName", "_nameToLevel"):
        monkeypatch.setattr(logging, table, dict(getattr(logging, table)))
    logging.addLevelName(25, "NOTICE")
    assert parse_level("notice") == 25


def test_the_root_logger_always_has_a_level():
    """Levels for some loggers leave the root logger at INFO."""
    assert settings(level={"app": "DEBUG"}).level == {"": 20, "app": 10}


@pytest.mark.parametrize(
    "value",
    [
        "INFOO",
        "",
        "info,",
        "=info",
        "a=b=",
        "a=1,a=2",
        -1,
        10**9,
        True,
        None,
        1.5,
        {},
        {1: "INFO"},
        b"INFO",
        "²",
    ],
)
def test_bad_levels(value: object):
    """What is no level is refused with its value."""
    assert refusal(level=value).startswith("`level")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1234, 1234),
        ("1234", 1234),
        ("10MB", 10_000_000),
        ("10 MiB", 10 << 20),
        ("64k", 64_000),
        ("64Ki", 64 << 10),
        ("1.5 GB", 1_500_000_000),
        (".5kb", 500),
        ("7 bytes", 7),
        ("7B", 7),
        (1e6, 1_000_000),
    ],
)
def test_sizes(value: object, expected: int):
    """A size is a number of bytes, or a text with a decimal or binary unit."""
    assert parse_size(value) == expected


@pytest.mark.parametrize(
    "value", ["", "MB", "10XB", "1e6", "-1", -1, 1.5, True, None, [], float("nan"), 2**63, "9999999TB"]
)
def test_bad_sizes(value: object):
    """What is no size is refused with its value and an example."""
    with pytest.raises(ConfigError, match=r"^`max_bytes` is .*10 MiB"):
        parse_size(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("90 s", 90.0),
        ("15 min", 900.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1d 2h", 93600.0),
        ("2 weeks", 1209600.0),
    ],
)
def test_intervals(value: object, expected: float):
    """An interval is a number of seconds or a text with units."""
    assert parse_interval(value) == expected


@pytest.mark.parametrize("value", ["", "h", "1x", "1h-3m", -1, float("nan"), float("inf"), True, None, [], 10**400])
def test_bad_intervals(value: object):
    """What is no interval is refused with its value and an example."""
    with pytest.raises(ConfigError, match=r"^`block_timeout` is .*1h30m"):
        parse_interval(value, "block_timeout")


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_a_config_error(text: str):
    """Whatever people write, the answer is a value or a ConfigError."""
    for field in (
        "level",
        "max_bytes",
        "rotate_every",
        "mode",
        "capture",
        "redact",
        "format",
        "console",
        "handlers",
    ):
        assert f"`{field}" in outcome(field, text)


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
def test_any_value_is_accepted_or_a_config_error(value: object):
    """A wrong type is a ConfigError that names the argument, never a TypeError from inside."""
    for field in Config._fields:
        assert f"`{field}" in outcome(field, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0.0),
        (False, 0.0),
        (0, 0.0),
        ("hourly", "hourly"),
        ("Daily", "midnight"),
        ("midnight", "midnight"),
        ("1d", 86400.0),
    ],
)
def test_rotation_by_time(value: object, expected: float | str):
    """Rotation by time is an interval, or hourly, daily or midnight by the local clock."""
    assert settings(rotate_every=value).rotate_every == expected


# Small choices


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "stderr"),
        (False, "off"),
        (None, "off"),
        ("STDOUT", "stdout"),
        ("1", "stderr"),
        ("off", "off"),
        ("no", "off"),
    ],
)
def test_console(value: object, expected: str):
    """`console` is off, stderr or stdout; True means stderr."""
    assert settings(console=value).console == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("fd, stdout", ("fd", "stdout")),
        (["warnings"], ("warnings",)),
        (True, CAPTURES),
        ("all", CAPTURES),
        (None, ()),
        ("none", ()),
    ],
)
def test_capture(value: object, expected: tuple[str, ...]):
    """`capture` names what else becomes records."""
    assert settings(capture=value).capture == expected


@pytest.mark.parametrize(("value", "expected"), [(0o640, 0o640), ("640", 0o640), ("0o644", 0o644)])
def test_mode(value: object, expected: int):
    """`mode` takes octal digits as text."""
    assert settings(mode=value).mode == expected


def test_redact_takes_keys_patterns_and_functions():
    """Keys and patterns, and functions that every process can import, can be redacted."""
    rules = ["password", re.compile("a.c", re.IGNORECASE), "re:x+", without_names]
    assert settings(redact=rules).redact == ("password", "re:(?i)a.c", "re:x+", f"{__name__}:without_names")
    assert settings(redact={"keys": ["k"], "patterns": ["p"]}).redact == ("k", "re:p")
    assert "password" in settings(redact=True).redact
    assert settings(redact="token,pin").redact == ("token", "pin")


# Formats


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("a.json", "json"),
        ("a.JSONL", "json"),
        ("a.ndjson", "json"),
        ("a.log", "text"),
        ("json", "text"),
        (None, "text"),
    ],
)
def test_auto_format_is_decided_by_the_suffix(tmp_path: Path, file: str | None, expected: str):
    """`"auto"` takes JSON for .json, .jsonl and .ndjson."""
    path = None if file is None else tmp_path / file
    assert settings(file=path).format == settings(file=path, format="auto").format == expected


@pytest.mark.parametrize(
    ("style", "template"),
    [
        ("%", "%(asctime)s %(levelname)-8s %(message)s"),
        ("%", "%(relativeCreated)10.2f %(lineno)05d 100%% %(request_id)d %(message)r"),
        ("{", "{asctime} {levelname:<8} {message!r} {request_id:>10} {created:.3f}"),
        ("$", "$asctime ${message} $$ $request_id"),
    ],
)
def test_a_logging_format_string_is_taken_as_it_is(style: str, template: str):
    """Format strings of `logging` work in its three styles, own fields of records included."""
    assert settings(format=template, style=style).format == template


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"format": "jsn"}, "Did you mean 'json'?"),
        ({"format": ""}, "use 'auto', 'text', 'json'"),
        ({"format": 3}, "`format` is 3"),
        ({"format": "%(mesage)s"}, "Did you mean 'message'?"),
        ({"format": "100%"}, "does not work as a format string"),
        ({"format": "%(message)"}, "does not work as a format string"),
        ({"format": "%(message)q"}, "unsupported format character"),
        ({"format": "%(levelname)d %(message)s"}, "%d format"),
        ({"format": "{message}"}, "another `style`"),
        ({"format": "{message", "style": "{"}, "does not work"),
        ({"format": "{message:d}", "style": "{"}, "does not work"),
        ({"format": "$ message", "style": "$"}, "does not work"),
        ({"format": "text", "style": "!"}, "`style` is '!'"),
    ],
)
def test_a_format_that_cannot_work_is_refused(arguments: dict[str, object], expected: str):
    """A format string must compile and hold at least one field of a record."""
    assert expected in refusal(**arguments)


# Paths


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The log file does not move when the program changes its directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings(file="app.log").file == str(tmp_path / "app.log")
    assert settings(file="~/x.log").file == str(tmp_path / "x.log")
    assert settings(spool="spool/").spool == str(tmp_path / "spool")


def test_a_relative_path_needs_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program whose directory was removed is told to give an absolute path."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "give an absolute path" in refusal(file="app.log")


def test_one_missing_directory_is_fine_and_two_are_not(tmp_path: Path):
    """A missing directory is allowed only if its own parent exists."""
    assert settings(file=tmp_path / "logs" / "a.log").file == str(tmp_path / "logs" / "a.log")
    assert f"create {str(tmp_path / 'x' / 'y')!r} first" in refusal(file=tmp_path / "x" / "y" / "a.log")


def test_paths_that_are_no_log_file(tmp_path: Path):
    """Empty, a directory, a device, a pipe, a link, below a file: each is refused with its remedy."""
    plain = tmp_path / "plain"
    plain.write_text("")
    (tmp_path / "link").symlink_to(plain)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert "which is empty" in refusal(file="")
    assert "which is empty" in refusal(file="  ")
    assert "NUL" in refusal(file="a\0b")
    assert "no path" in refusal(file=3)
    assert "no path" in refusal(file=b"a.log")
    assert "which is a directory" in refusal(file=tmp_path)
    assert "which is a directory" in refusal(file=f"{tmp_path}/new/")
    assert "a character device" in refusal(file="/dev/null")
    assert "console='stdout'" in refusal(file="/dev/stdout")
    assert "a pipe" in refusal(file=tmp_path / "pipe")
    assert f"give the real path, {str(plain)!r}" in refusal(file=tmp_path / "link")
    assert "symbolic link" in refusal(file=tmp_path / "dangling")
    assert "no usable path" in refusal(file=plain / "a.log")
    assert "no usable path" in refusal(file=tmp_path / ("x" * 300))


def test_a_link_above_the_file_is_followed(tmp_path: Path):
    """Only the file itself may not be a symbolic link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert settings(file=tmp_path / "link" / "a.log").file == str(tmp_path / "link" / "a.log")


def test_a_spool_must_be_a_real_directory(tmp_path: Path):
    """The spool is a directory or can become one, and no link."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert "no directory" in refusal(spool=tmp_path / "file")
    assert "symbolic link" in refusal(spool=tmp_path / "link")
    assert settings(spool=tmp_path).spool == str(tmp_path)
    tmp_path.chmod(0o750)
    assert "open to others (drwxr-x---); run `chmod 700`" in refusal(spool=tmp_path)


@pytest.mark.parametrize(("mode", "refused"), [(0o700, False), (0o755, False), (0o777, True), (0o1777, False)])
def test_root_does_not_log_where_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, refused: bool
):
    """As root refuse a log directory that others may write, unless told."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    directory = tmp_path / "logs"
    directory.mkdir()
    directory.chmod(mode)
    file = directory / "a.log"
    if refused:
        assert "allow_insecure_dir=True" in refusal(file=file)
    else:
        settings(file=file)
    assert settings(file=file, allow_insecure_dir=True).allow_insecure_dir
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert settings(file=file).file == str(file)
    assert stat.S_IMODE(directory.stat().st_mode) == mode


# Handlers


def test_handlers_become_what_can_travel():
    """A class becomes its dotted name; what is no option stays as it is."""
    spec = {"class": Recorder, "level": "error", "formatter": "%(message)s", "colour": "blue"}
    config = settings(handlers=["logging.NullHandler", Recorder, spec])
    dotted = f"{__name__}:Recorder"
    assert config.handlers[:2] == ("logging.NullHandler", dotted)
    assert config.handlers[2] == {"class": dotted, "level": 40, "formatter": "%(message)s", "colour": "blue"}
    assert config.listener == "auto"


def test_a_handler_is_built_from_its_description():
    """The listener calls what the name stands for, with the dict's other keys."""
    (spec,) = settings(
        handlers={
            "()": Recorder,
            "level": "error",
            "colour": "blue",
            "formatter": {"format": "{message}!", "style": "{"},
            "filters": ["app", {"()": "logging.Filter", "name": "other"}],
            ".": {"tag": "x"},
        }
    ).handlers
    handler = build_handler(spec)
    assert isinstance(handler, Recorder)
    assert (handler.colour, handler.level, handler.tag, len(handler.filters)) == ("blue", 40, "x", 2)
    assert handler.format(logging.makeLogRecord({"msg": "hi"})) == "hi!"


def test_dotted_names_find_modules_classes_and_external_objects():
    """'package.module.name' and 'package.module:name' are the same; ext:// finds an object."""
    import logging.handlers
    import sys

    assert type(build_handler("logging.NullHandler")) is logging.NullHandler
    memory = build_handler({"class": "logging.handlers.MemoryHandler", "capacity": 3})
    assert isinstance(memory, logging.handlers.MemoryHandler)
    assert build_handler({"class": "logging:StreamHandler", "stream": "ext://sys.stdout"}).stream is sys.stdout
    memory.close()
    made = logging.NullHandler()
    assert build_handler(made) is made
    named = build_handler({"class": "logging.NullHandler", "formatter": "json"}, {"json": logging.Formatter})
    assert type(named.formatter) is logging.Formatter


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("logging.NoSuchHandler", "logging.NoSuchHandler"),
        (f"{__name__}:not_a_handler", "returned 3"),
        ({"class": "logging.FileHandler"}, "TypeError"),
    ],
)
def test_a_handler_that_cannot_be_built_is_a_config_error(spec: object, expected: str):
    """A name that cannot be imported or called is said with its name."""
    with pytest.raises(ConfigError, match=re.escape(expected)):
        build_handler(spec)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([3], "holds 3"),
        (["no dots"], "no dotted name"),
        (["nodots"], "no dotted name"),
        (["__main__:f"], "move it into a module"),
        (["no_such_package_here.x"], "no package 'no_such_package_here'"),
        ([lambda: None], "no other process can import"),
        ([{}], "either 'class' or '()'"),
        ([{"class": "a.b", "()": "a.b"}], "either 'class' or '()'"),
        ([{"class": "logging.NullHandler", "level": "LOUD"}], "`handlers['level']` is 'LOUD'"),
        ([{"class": "logging.NullHandler", "formatter": "jsn"}], "Did you mean 'json'?"),
        ([{"class": "logging.NullHandler", "formatter": {"fromat": "x"}}], "Did you mean 'format'?"),
        ([{"class": "logging.NullHandler", "formatter": 3}], "`handlers['formatter']` is 3"),
        ([{"class": "logging.NullHandler", "filters": "x"}], "use a list"),
        ([{"class": "logging.NullHandler", "filters": [3]}], "`handlers['filters']` holds 3"),
        ([{"class": "logging.NullHandler", "filters": [{"()": "logging.Filtre"}]}], "holds no 'Filtre'"),
        ([{"class": "logging.NullHandler", "formatter": {"()": "logging.Formater"}}], "Did you mean 'Formatter'?"),
        ([{"class": "logging.StreamHandler", "stream": "ext://sys.stdeer"}], "Did you mean 'stderr'?"),
        ([{"class": "logging.StreamHandler", "stream": object()}], "JSON cannot hold"),
    ],
)
def test_handlers_that_cannot_work_are_refused(value: list[object], expected: str):
    """A handler that could not reach the listener is refused in the caller."""
    assert expected in refusal(handlers=value)


def test_a_handler_object_cannot_go_to_a_process():
    """Handler objects with a process listener raise with the remedy."""
    text = refusal(handlers=[logging.NullHandler()], listener="process")
    assert text.startswith("`handlers` holds <NullHandler")
    assert "listener='thread'" in text


# Refusals


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"levl": 1}, "`levl` is no argument of `setup`; see `help(mplog.setup)`. Did you mean 'level'?"),
        (
            {"config": {"max_byte": 1}},
            "`config: max_byte` is no setting of mplog; remove or correct it. Did you mean 'max_bytes'?",
        ),
        ({"config": {"level": "LOUD"}}, "`config: level` is 'LOUD'"),
        ({"config": 3}, "`config` is 3"),
        (
            {"config": "/no/such.toml"},
            "`config` is '/no/such.toml', which cannot be read (No such file or directory)",
        ),
        ({"console": "stder"}, "Did you mean 'stderr'?"),
        ({"listener": "proces"}, "Did you mean 'process'?"),
        ({"overflow": "wait"}, "use one of 'block', 'drop'"),
        ({"capture": ["stdot"]}, "`capture` holds 'stdot'"),
        ({"capture": [3]}, "`capture` holds 3"),
        ({"block_timeout": 7200}, "use at most 3600 seconds"),
        ({"max_record": 10}, "between 1,024 and"),
        ({"quota": "1k"}, "between 65,536 and"),
        ({"rotate_every": 0.5}, "shorter than a second"),
        ({"rotate_every": "dayly"}, "Did you mean 'daily'?"),
        ({"backup_count": -1}, "`backup_count` is -1"),
        ({"mode": 600}, "`mode` is 600 (0o1130)"),
        ({"mode": "rw"}, "no octal digits"),
        ({"mode": 0o200}, "let the owner read and write"),
        ({"durable": "maybe"}, "True or False"),
        ({"redact": ["re:("]}, "which is no pattern"),
        ({"redact": [lambda r: r]}, "every process can import"),
        ({"redact": {"key": []}}, "'keys' and 'patterns'"),
        ({"datefmt": ""}, "`datefmt` is ''"),
        ({"color": "blue"}, "'auto', 'always', 'never'"),
    ],
)
def test_refusals_name_the_argument_the_value_and_the_remedy(arguments: dict[str, object], expected: str):
    """Wrong arguments raise at once, a full sentence with the argument, the value and the remedy."""
    text = refusal(**arguments)
    assert expected in text
    assert re.match(r"`[^`]+` ", text)
    assert text.endswith((".", "?"))


def test_a_wrong_variable_is_named():
    """An environment variable is named as itself, an unknown one with the nearest known."""
    with pytest.raises(ConfigError, match=r"^`MPLOG_LEVEL` is 'LOUD'"):
        load({}, environ={"MPLOG_LEVEL": "LOUD"})
    with pytest.raises(ConfigError, match=r"^`MPLOG_LEVL` is 'x'.*Did you mean 'MPLOG_LEVEL'\?$"):
        load({}, environ={"MPLOG_LEVL": "x"})


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "level = "), ("a.json", "{"), ("a.toml", "\xff"), ("b.json", "[]")]
)
def test_a_configuration_file_that_does_not_parse(tmp_path: Path, name: str, text: str):
    """A damaged configuration file is named, with the parser's own words."""
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert str(tmp_path / name) in refusal(config=tmp_path / name)


def test_errors_are_also_what_python_calls_them():
    """Callers can catch ValueError, RuntimeError and OSError, or MplogError for all."""
    assert issubclass(ConfigError, ValueError)
    assert issubclass(SessionError, RuntimeError)
    assert issubclass(SpoolError, OSError)
    assert all(issubclass(kind, MplogError) for kind in (ConfigError, SessionError, SpoolError))


def test_every_variable_that_mplog_reads_is_known():
    """A variable that some part of mplog reads is never refused as unknown."""
    package = Path(_settings.__file__).parent
    read = {
        name for path in package.rglob("*.py") for name in re.findall(r"[\"'](MPLOG_[A-Z]\w*)[\"']", path.read_text())
    }
    load({}, environ=dict.fromkeys(read - {"MPLOG_CONFIG"}, ""))


def test_the_documented_names_are_there():
    """`mplog.config` gives out every name it promises, and no other."""
    import mplog.config

    for name in mplog.config.__all__:
        assert getattr(mplog.config, name) is not None
    with pytest.raises(AttributeError):
        _ = mplog.config.nothing


def test_a_worker_does_not_import_what_checks():
    """A worker reads its settings without the modules that check them."""
    import subprocess
    import sys

    code = "import json, sys, mplog.config as c; c.Config.from_json('{}'); print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parents_only = {
        "mplog._parent.parse",
        "mplog._parent.settings",
        "mplog._parent.checks",
        "dataclasses",
        "inspect",
        "tomllib",
        "difflib",
    }
    assert parents_only.isdisjoint(json.loads(done.stdout))


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no words for it")


@pytest.mark.parametrize(
    "name", ["file", "level", "max_bytes", "format", "handlers", "redact", "spool", "config", "mode"]
)
def test_a_value_that_cannot_be_looked_at_is_refused_like_others(name):
    """Whatever `setup` is given that is wrong is a `ConfigError` with the name, also what has no `repr`."""
    with pytest.raises(ConfigError, match=f"`{name}`.*[.]$"):
        load({name: Unprintable()}, environ={})


@pytest.mark.parametrize("name", ["level", "max_bytes", "backup_count", "quota"])
def test_thousands_of_digits_are_no_number(name):
    """Python itself turns no more than 4,300 digits into a number."""
    with pytest.raises(ConfigError, match=rf"`{name}` is '99.*cut.*99', which cannot be used .*[.]$"):
        load({name: "9" * 5000}, environ={})


@pytest.mark.parametrize("name", ["file", "spool", "config"])
def test_a_path_with_a_lone_surrogate_is_refused(name):
    """A character that no path can hold is said as such, not as an error of encoding."""
    with pytest.raises(ConfigError, match=f"`{name}` is '.ud800'.*surrogates not allowed"):
        load({name: "\ud800"}, environ={})
