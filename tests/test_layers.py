"""Who may import whom: the package's imports point one way, from the session down to the record."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mplog

PACKAGE = Path(mplog.__file__).parent

# The one table. A new module is entered here: its layer, and the process it runs in.
#   both    in workers and the listener      worker, listener  on that side only
#   parent  where the session was set up     command           in a process of its own
# A module may import modules of lower layers, and of its own layer as long as there is no cycle.
LAYERS: tuple[tuple[str, dict[str, tuple[str, ...]]], ...] = (
    ("errors", {"both": ("exceptions", "_listener", "_parent", "_shared", "_worker")}),
    (
        "values, lines and bytes",
        {
            "both": (
                "_shared.account",
                "_shared.clock",
                "_shared.context",
                "_shared.decode",
                "_shared.descriptors",
                "_shared.exceptions",
                "_shared.held",
                "_shared.journal",
                "_shared.lock",
                "_shared.pending",
                "_shared.record",
                "_shared.segments",
                "_shared.shorten",
                "_worker.template",
                "_shared.values",
            ),
            "listener": ("_listener.merge", "_listener.reader"),
            "parent": ("_parent.parse",),
        },
    ),
    (
        "the session's directory",
        {
            "both": (
                "_shared.announce",
                "_shared.control",
                "_shared.drops",
                "_shared.exits",
                "_shared.launch",
                "_shared.owner",
                "_shared.slots",
                "_shared.spool",
                "_shared.stuck",
                "redaction",
            ),
            "listener": ("_listener.commit", "formatters"),
            "command": ("_shared.sessions",),
        },
    ),
    (
        "settings, and the two ends of a journal",
        {
            "both": ("_parent.handler_specs", "config"),
            "parent": (
                "_parent.bars",
                "_parent.checks",
                "_parent.dotted",
                "_parent.paths",
                "_parent.router",
                "_parent.settings",
            ),
            "listener": (
                "_listener.batch",
                "_listener.certificate",
                "_listener.contact",
                "_listener.delivery",
                "_listener.expiry",
                "_listener.fold",
                "_listener.intake",
                "_listener.journals",
                "_listener.notes",
                "_listener.outputs",
                "_listener.raw",
                "_listener.rotation",
                "_listener.rounds",
                "_listener.stats",
                "_listener.targets",
                "_listener.terminal",
                "handlers",
            ),
            "worker": (
                "_worker.attached",
                "_worker.bound",
                "_worker.chain",
                "_worker.events",
                "_worker.fastpath",
                "_worker.inherit",
                "_worker.output",
                "_worker.progress",
                "_worker.recorded",
                "_worker.tutorial",
                "_worker.uncaught",
                "capture",
                "filters",
                "processors",
                "worker",
            ),
        },
    ),
    ("the listener", {"listener": ("_listener.supervise", "_listener.sweep", "_listener.thread", "listener")}),
    ("the session", {"parent": ("_parent.entry", "session")}),
    ("public names", {"both": ("__init__",)}),
    ("programs", {"command": ("__main__", "demo", "pytest_plugin", "recover")}),
)
# Packages whose modules are one layer each, and what of the rest they may import.
PACKAGES = {
    "viewer": frozenset({"exceptions", "config", "_parent.parse", "_shared.record"}),
    "integrations": frozenset({"__init__"}),
}
# These commands speak to a running session, or start one; every other viewer module reads files only.
RUNTIME_COMMANDS = frozenset({"demo", "level", "ps", "recover"})

RANKS = {module: rank for rank, (_, sides) in enumerate(LAYERS) for modules in sides.values() for module in modules}
SIDES = {module: side for _, sides in LAYERS for side, modules in sides.items() for module in modules}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def resolve(dotted: str) -> str:
    """Return the module of the package that an absolute name lies in; `mplog` itself is `__init__`."""
    parts = dotted.split(".")[1:]
    while parts and ".".join(parts) not in SOURCES:
        parts.pop()
    return ".".join(parts) or "__init__"


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree but those under `if TYPE_CHECKING`: names for annotations import nothing."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from executed(node)


def imported(module: str) -> Iterator[tuple[str, int]]:
    """Yield what a module imports of the package, and the line; functions and `import_module` count."""
    package = ["mplog", *module.split(".")]
    if SOURCES[module].name != "__init__.py":
        package.pop()
    for node in executed(ast.parse(SOURCES[module].read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *filter(None, [node.module])])
            names = [f"{stem}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names = [str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        for name in names:
            if name == "mplog" or name.startswith("mplog."):
                yield resolve(name), node.lineno


IMPORTS = {module: {name: line for name, line in imported(module) if name != module} for module in SOURCES}


def place(module: str, name: str) -> str:
    return f"{SOURCES[module].relative_to(PACKAGE.parent)}:{IMPORTS[module][name]} imports {name}"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_every_module_declares_its_layer():
    """A module says by its place in the table in which process it runs, and what it may import."""
    declared = {*RANKS, *(module for module in SOURCES for package in PACKAGES if within(module, package))}
    assert set(SOURCES) <= declared, f"enter {sorted(set(SOURCES) - declared)} in LAYERS of {__file__}"


def test_imports_point_down():
    """Imports point one way: from the session to the record."""
    wrong = [
        place(module, name)
        for module in SOURCES
        if module in RANKS and RANKS[module] < RANKS["__main__"]
        for name in IMPORTS[module]
        if RANKS.get(name, len(LAYERS)) > RANKS[module]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str):
    """The viewer imports the record's field names, errors and parsers; integrations the public names."""
    wrong = [
        place(module, name)
        for module in SOURCES
        if within(module, package) and module.rpartition(".")[2] not in RUNTIME_COMMANDS
        for name in IMPORTS[module]
        if not within(name, package) and name not in PACKAGES[package]
    ]
    assert wrong == []


def reachable(module: str) -> set[str]:
    seen: set[str] = set()
    todo = [module]
    while todo:
        for name in IMPORTS[todo.pop()]:
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def test_worker_and_listener_never_import_each_other():
    """The worker's side does not load the listener's, nor the listener's the worker's, however indirectly."""
    for side, other in (("worker", "listener"), ("listener", "worker")):
        for module in SOURCES:
            if SIDES.get(module) == side:
                assert [name for name in sorted(reachable(module)) if SIDES.get(name) == other] == [], module


def test_there_is_no_cycle():
    """No module imports itself through others, not even inside functions."""
    assert [module for module in SOURCES if module in reachable(module)] == []


def test_the_table_would_notice(monkeypatch: pytest.MonkeyPatch):
    """A wrong import is found: upwards, in a cycle, across the sides, out of the viewer."""
    checks = [
        ("exceptions", "config", test_imports_point_down),
        ("exceptions", "config", test_there_is_no_cycle),
        ("_listener.merge", "_worker.inherit", test_worker_and_listener_never_import_each_other),
        ("viewer.lines", "_shared.spool", lambda: test_a_package_imports_only_what_it_may("viewer")),
    ]
    for module, name, check in checks:
        with monkeypatch.context() as patch:
            patch.setitem(IMPORTS, module, {**IMPORTS.get(module, {}), name: 1})
            patch.setitem(IMPORTS, name, IMPORTS.get(name, {}))
            with pytest.raises(AssertionError):
                check()
