"""Dotted names: what is certainly wrong is refused by `setup`, and nothing is imported for that."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from mplog._parent.dotted import check_call
from mplog.exceptions import ConfigError

SOURCE = """
import logging
import shop.below
from logging import NullHandler
raise SystemExit("imported")

class Sender(logging.Handler):
    def __init__(self, address, /, *, port=25, retries):
        super().__init__()

class Heir(Sender):
    def emit(self, record): ...

def make(colour, size=1, *, shape="round", **more): ...
def plain(colour, size=1, *, shape): ...

@staticmethod
def decorated(colour): ...

if logging:
    TABLE = {}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages whose modules end the program when they are imported."""
    directory = tmp_path_factory.mktemp("shop")
    package = directory / "shop"
    package.mkdir()
    (package / "__init__.py").write_text('raise SystemExit("imported")\n')
    (package / "below.py").write_text(SOURCE)
    (package / "lazy.py").write_text("def __getattr__(name): ...\nraise SystemExit\n")
    (package / "starred.py").write_text("from shop.below import *\nraise SystemExit\n")
    (package / "broken.py").write_text("def (\n")
    (directory / "spaces").mkdir()
    (directory / "spaces" / "inner.py").write_text("x = 1\nraise SystemExit\n")
    return directory


@pytest.fixture(autouse=True)
def importable(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the packages be found."""
    monkeypatch.syspath_prepend(shop)


def refusal(value: str, *options: str, kind: type | None = logging.Handler) -> str:
    with pytest.raises(ConfigError) as caught:
        check_call(value, "handlers", options, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "logging.NulHandler",
            "module 'logging' holds no 'NulHandler'; correct the name. Did you mean 'NullHandler'?",
        ),
        ("logging:NulHandler", "Did you mean 'NullHandler'?"),
        ("logging.handler.SysLogHandler", "the module 'logging' holds no 'handler'"),
        ("logging.handlers.SyslogHandler", "Did you mean 'SysLogHandler'?"),
        ("logging.Handler.flsh", "Did you mean 'flush'?"),
        ("shop.belw:make", "the module 'shop' holds no 'belw'"),
        ("shop.below:mke", "the module 'shop.below' holds no 'mke'; correct the name. Did you mean 'make'?"),
        ("shop.below.Sendr", "Did you mean 'Sender'?"),
        ("spaces.innr.x", "the module 'spaces' holds no 'innr'"),
        ("json.tool.main.x", "holds no 'x'"),
        ("logging", "no dotted name"),
        ("no_such_package_here.x", "install it or correct the name"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused(value: str, expected: str):
    """A wrong name is said with the nearest known one, whether its module is imported already or not."""
    import json.tool
    import logging.handlers

    assert json.tool
    assert logging.handlers
    text = refusal(value)
    assert text.startswith(f"`handlers` is {value!r}, ")
    assert expected in text


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        ("logging.FileHandler", ["filenam"], "takes no argument 'filenam'; correct it. Did you mean 'filename'?"),
        ("logging.FileHandler", [], "missing a required argument: 'filename'"),
        ("logging.Filter", [], "which is no `logging.Handler`"),
        ("math.floor", [], "missing a required argument"),
        ("logging.root", [], "name a class or a function"),
        ("json.tool", [], "name a class or a function"),
        ("shop.below:plain", ["colour", "shap"], "takes no argument 'shap'; correct it. Did you mean 'shape'?"),
        ("shop.below:plain", ["colour"], "missing a required argument: 'shape'"),
        ("shop.below:make", ["size"], "missing a required argument: 'colour'"),
        ("shop.below:Sender", ["prt"], "takes no argument 'prt'; correct it. Did you mean 'port'?"),
        ("shop.below:Sender", ["address", "retries"], "'address'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(value: str, options: list[str], expected: str):
    """So is a class that is no handler, and a call that its signature does not allow."""
    assert expected in refusal(value, *options)


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("logging.NullHandler", []),
        ("logging:FileHandler", ["filename", "mode"]),
        ("shop.below:make", ["colour", "anything"]),
        ("shop.below:plain", ["colour", "shape"]),
        ("shop.below.Heir", ["anything"]),
        ("shop.below.NullHandler", ["anything"]),
        ("shop.below:decorated", ["anything"]),
        ("shop.below:TABLE", []),
        ("shop.lazy:Anything", ["anything"]),
        ("shop.starred:Anything", []),
        ("shop.broken:Anything", []),
        ("spaces.inner:x", []),
        ("_socket.socket", ["family"]),
        ("mplog.filters.Sample", ["rate"]),
    ],
)
def test_what_may_be_right_is_let_through(value: str, options: list[str]):
    """Only what is certainly wrong is refused: modules may make their names when they are imported."""
    assert check_call(value, "handlers", options) == value
    assert "shop" not in sys.modules


def test_a_module_in_the_middle_of_its_import_may_define_the_name_later(shop: Path):
    """A module that calls `setup` while it is imported may name what stands below that call."""
    (shop / "busy.py").write_text(
        "from mplog._parent.dotted import check_call\ncheck_call('busy:later', 'handlers')\ndef later(): ...\n"
    )
    subprocess.run([sys.executable, "-c", "import busy"], cwd=shop, check=True, timeout=60)


@pytest.mark.parametrize("listener", ["process", "thread"])
@pytest.mark.parametrize(
    "handlers", [["logging.NulHandler"], [{"class": "logging.FileHandler", "filenam": "x"}], ["shop.below:mke"]]
)
def test_setup_raises_and_leaves_nothing_behind(handlers: list[object], listener: str, tmp_path: Path):
    """A wrong handler is a `ConfigError` of `setup`: nothing is started, nothing is left behind."""
    import mplog

    with pytest.raises(ConfigError, match="Did you mean"):
        mplog.setup(tmp_path / "logs" / "app.log", handlers=handlers, listener=listener, spool=tmp_path / "spool")
    assert list(tmp_path.iterdir()) == []
