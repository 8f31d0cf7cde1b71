"""No code can come from a log: what the package must not contain, by its syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mplog

PACKAGE = Path(mplog.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Modules that turn bytes into objects or code, and those that listen on a network.
MODULES = frozenset(
    {
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "jsonpickle",
        "marshal",
        "shelve",
        "code",
        "codeop",
    }
    | {"socketserver", "http.server", "xmlrpc", "wsgiref"}
)
BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
CALLS = frozenset({"yaml.load", "yaml.unsafe_load", "logging.config.listen", "config.listen", "os.system", "os.popen"})
# Children that inherit the session unpickle `eval` of one constant, guarded expression; see the module.
GUARDED = ("_worker/inherit.py", "eval")


def findings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything in a syntax tree that could run or load what it is given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if forbidden(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            if forbidden(node.module):
                yield node.lineno, node.module
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in BUILTINS | {"Unpickler"})
        elif isinstance(node, ast.Name) and (node.id in BUILTINS or node.id in MODULES - {"code"}):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in CALLS | {f"builtins.{name}" for name in BUILTINS}:
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False":
            yield node.value.lineno, "shell="
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, name) for name in names if forbidden(name))


def forbidden(module: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in MODULES)


def reduce_methods(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__reduce__"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_runs_or_loads_what_it_is_given(path: Path):
    """No pickle, marshal, shelve, eval, exec or `yaml.load`, but for the one guarded `__reduce__`."""
    tree = ast.parse(path.read_text())
    found = [
        f"{path.name}:{line}: {name}"
        for line, name in findings(tree)
        if (path.relative_to(PACKAGE).as_posix(), name) != GUARDED
    ]
    assert found == []


def test_the_exception_is_one_reduce_that_returns_a_constant():
    """`eval` stands once in the package: in a `__reduce__` that returns `(eval, (text,))`."""
    path = PACKAGE / GUARDED[0]
    tree = ast.parse(path.read_text())
    uses = [line for line, name in findings(tree) if name == GUARDED[1]]
    inside = [line for method in reduce_methods(tree) for line, name in findings(method) if name == GUARDED[1]]
    returned = [node for method in reduce_methods(tree) for node in ast.walk(method) if isinstance(node, ast.Return)]
    assert len(uses) == 1
    assert uses == inside
    assert all(
        isinstance(node.value, ast.Tuple) and isinstance(node.value.elts[0], (ast.Name, ast.Call)) for node in returned
    )


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import logging, marshal as m",
        "x = eval(text)",
        "f = exec",
        "import builtins\nbuiltins.eval(text)",
        "import yaml\nyaml.load(text)",
        "import logging.config\nlogging.config.listen()",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "importlib.import_module('shelve')",
        "def f():\n    import dill.source",
    ],
)
def test_the_search_would_notice(code: str):
    """Each forbidden thing is found when it is there."""
    assert list(findings(ast.parse(code)))


@pytest.mark.parametrize("code", ["import re\nre.compile('x')", "'pickle eval('", "import copyreg", "model.eval()"])
def test_the_search_leaves_the_innocent_alone(code: str):
    """A word in a text, `re.compile` or a method of that name is no finding."""
    assert not list(findings(ast.parse(code)))
