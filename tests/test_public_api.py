"""The names users import: documented, typed, and free until used."""

import inspect
import json
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import mplog

IMPORT = """
import json, logging, multiprocessing, os, sys, threading
def state():
    fds = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    tasks = "/proc/self/task"
    names = sorted(os.listdir(fds)), len(os.listdir(tasks)) if os.path.isdir(tasks) else 0
    return [*names, threading.active_count(), len(logging.getLogger().handlers), sorted(dict(os.environ))]
before, modules = state(), set(sys.modules)
import mplog
after = state()
print(json.dumps({"before": before, "after": after, "new": sorted(set(sys.modules) - modules)}))
"""
NOT_BEFORE_USE = (
    "structlog",
    "colorlog",
    "argparse",
    "msgspec",
    "asyncio",
    "multiprocessing.pool",
    "mplog.viewer",
)


@pytest.fixture(scope="module")
def fresh_import() -> dict[str, list[object]]:
    """Return what `import mplog` changes in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def test_import_starts_nothing_and_opens_nothing(fresh_import: dict[str, list[object]]):
    """`import mplog` starts no thread, opens no file, adds no handler and no environment variable."""
    assert fresh_import["after"] == fresh_import["before"]


@pytest.mark.parametrize("module", NOT_BEFORE_USE)
def test_import_loads_nothing_that_is_not_used_yet(fresh_import: dict[str, list[object]], module: str):
    """`import mplog` imports neither structlog nor colorlog nor argparse until needed."""
    assert not [name for name in fresh_import["new"] if name == module or str(name).startswith(module + ".")]


def test_the_promised_names_are_public():
    """Setup, session, attach, loggers and the handler are there, under these names."""
    promised = {
        "Session",
        "WorkerHandler",
        "attach",
        "configure_structlog",
        "get_logger",
        "log_to_stderr",
        "setup",
    }
    assert promised <= set(mplog.__all__)


def test_all_names_exist_and_no_other_is_given_out():
    """`__all__` is the whole surface: sorted, each name there, anything else an AttributeError."""
    assert len(set(mplog.__all__)) == len(mplog.__all__)
    assert set(mplog.__all__) <= set(dir(mplog))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = mplog.no_such_name


def described(function: Callable[..., object], where: str) -> list[str]:
    """Return what a public function lacks: a docstring, annotations."""
    missing = [] if (function.__doc__ or "").strip() else [f"{where}: no docstring"]
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if name not in ("self", "cls") and parameter.annotation is inspect.Parameter.empty:
            missing.append(f"{where}: `{name}` has no annotation")
    if signature.return_annotation is inspect.Signature.empty:
        missing.append(f"{where}: no annotation of what it returns")
    return missing


def methods(kind: type) -> list[tuple[str, Callable[..., object]]]:
    """Return the public methods and properties that mplog itself defines on a class."""
    found = []
    for name, member in vars(kind).items():
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        if not name.startswith("_") and inspect.isfunction(member):
            found.append((name, member))
    return found


@pytest.mark.parametrize("name", getattr(mplog, "__all__", ()))
def test_public_names_have_docstrings_and_annotations(name: str):
    """Every public name has a docstring and types, and so has every public method."""
    value = getattr(mplog, name)
    if inspect.isclass(value):
        missing = [] if (value.__doc__ or "").strip() else [f"{name}: no docstring"]
        for method_name, method in methods(value):
            missing += described(method, f"{name}.{method_name}")
        assert missing == []
    elif callable(value):
        assert described(value, name) == []


def test_docstrings_begin_with_a_sentence():
    """The first line of a public docstring is a whole sentence."""
    for name in mplog.__all__:
        value = getattr(mplog, name)
        if callable(value):
            first = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0]
            assert first[:1].isupper(), name
            assert first.rstrip().endswith((".", ":")), name


def test_the_package_says_that_it_is_typed():
    """Type checkers of users read mplog's annotations."""
    import importlib.resources

    assert importlib.resources.files("mplog").joinpath("py.typed").is_file()


def test_a_worker_imports_nothing_heavy() -> None:
    """Attaching a process imports neither what the parent and the listener need nor what costs milliseconds."""
    program = (
        "import logging, multiprocessing, sys; before = set(sys.modules); "
        "import mplog.worker; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "argparse", "ast", "colorlog", "dataclasses", "email", "hashlib", "inspect", "msgspec"}
    heavy |= {"random", "secrets", "shutil", "socket", "structlog", "subprocess", "tempfile", "tomllib", "traceback"}
    assert heavy.isdisjoint(done.stdout.split())


def test_a_worker_compiles_nothing(tmp_path: Path) -> None:
    """Neither importing mplog nor a record of plain text compiles source or patterns: milliseconds each.

    `typing` compiles the fields of a named tuple where annotations are strings, and the first call of `compile` in a
    process makes the types of `ast`.
    """
    program = """
        import builtins, json, logging.handlers, pickle, re, string, sys, typing

        compile = builtins.compile

        def refuse(source, *arguments, **options):
            if type(source) is bytes:  # a module without a compiled file
                return compile(source, *arguments, **options)
            raise AssertionError(f"compiled: {source!r}")

        builtins.compile = re._compiler.compile = refuse
        pickle.loads(bytes.fromhex(sys.argv[1]))()
        logging.getLogger("app").info("job %d", 1)
        """
    with mplog.setup(tmp_path / "app.jsonl", console=False) as session:
        attach = pickle.dumps(session.attach).hex()
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), attach], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "job 1" in (tmp_path / "app.jsonl").read_text()
