"""Check dotted names, such as ``package.module:factory``, and how they are called. Runs in the parent; imports nothing.

The process that needs what a name stands for imports it; here, in the parent, that could start work of the
application's, or go round in a circle. A module that is imported already is looked at as it is; of another one the
source is parsed. Only what is certainly wrong is refused: a module with a `__getattr__`, one that imports `*`, or an
extension module may hold anything.
"""

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mplog._parent.parse import nearest
from mplog.exceptions import ConfigError

if TYPE_CHECKING:
    import inspect

__all__ = ["check_call", "check_exists", "dotted_name"]

_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?"
_DYNAMIC = ("__getattr__", "__path__", "exec(", "globals(", "import *", "setattr(", "sys.modules", "vars(")
"""A module whose source holds one of these may have names that the source does not show."""
_UNKNOWN = object()


class _MissingError(Exception):
    """A module certainly does not hold a name."""


class _Contents(NamedTuple):
    """The names of a module, and whether it has no others."""

    names: Mapping[str, object]
    complete: bool


def dotted_name(value: object) -> str | None:
    """Return `"package.module:name"` for a class or function that another process can import, else None."""
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not callable(value) or not isinstance(module, str) or not isinstance(qualname, str):
        return None
    if module in ("__main__", "__mp_main__"):
        return None
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return f"{module}:{qualname}" if found is value else None


def check_exists(value: str, name: str) -> str:
    """Return a dotted name after a look at whether it stands for something.

    Raises:
        ConfigError: it has another shape, or certainly stands for nothing.

    """
    _find(value, name)
    return value


def check_call(value: str, name: str, options: Iterable[str] | None = None, kind: type | None = None) -> str:
    """Return the dotted name of a class or function after a look at whether it can be called.

    Args:
        value: the dotted name.
        name: the setting, for the error.
        options: the names of the keyword arguments, or None for others, which are not known here.
        kind: a class it must be a child of, if it is a class.

    Raises:
        ConfigError: it has another shape, stands for nothing, or certainly cannot be called so.

    """
    found = _find(value, name)
    if found is _UNKNOWN:
        return value
    if not callable(found) and not isinstance(found, ast.AST):
        raise ConfigError(f"`{name}` is {value!r}, which is {found!r}; name a class or a function.")
    if kind is not None and isinstance(found, type) and not issubclass(found, kind) and not _makes_others(found):
        raise ConfigError(f"`{name}` is {value!r}, which is no `{kind.__module__}.{kind.__name__}`; name one.")
    signature = _signature(found)
    if signature is not None and options is not None:
        _check_arguments(signature, list(options), f"`{name}` is {value!r}, which")
    return value


def _makes_others(found: type) -> bool:
    return any("__new__" in vars(base) for base in found.mro()[:-1])


def _check_arguments(signature: "inspect.Signature", options: list[str], beginning: str) -> None:
    known = [parameter.name for parameter in signature.parameters.values() if parameter.kind.name != "VAR_KEYWORD"]
    if len(known) == len(signature.parameters):
        for option in options:
            if option not in known:
                raise ConfigError(f"{beginning} takes no argument {option!r}; correct it.{nearest(option, known)}")
    try:
        signature.bind(**dict.fromkeys(options))
    except TypeError as error:
        raise ConfigError(f"{beginning} cannot be called with these arguments ({error}); correct them.") from None


def _find(value: str, name: str) -> object:
    """Return the object a name stands for, its definition in the source, or `_UNKNOWN`."""
    if not re.fullmatch(_DOTTED, value) or not {".", ":"} & set(value):
        raise ConfigError(f"`{name}` is {value!r}, which is no dotted name; write 'package.module:name'.")
    package, *rest = re.split("[.:]", value)
    if package == "__main__":
        raise ConfigError(f"`{name}` is {value!r}, which no other process can import; move it into a module.")
    try:
        found = _module(package)
        if found is not None:
            return _walk(found, rest)
    except _MissingError as missing:
        raise ConfigError(f"`{name}` is {value!r}, but {missing}") from None
    except Exception:  # a finder or a descriptor of the application's: the process that imports it will tell
        return _UNKNOWN
    raise ConfigError(
        f"`{name}` is {value!r}, but no package {package!r} is on `sys.path`; install it or correct the name."
    )


def _walk(module: ModuleType | ModuleSpec, parts: list[str]) -> object:
    """Return what the parts below a module stand for."""
    for position, part in enumerate(parts, 1):
        names, complete = _contents(module)
        if part in names:
            found = names[part]
            if not isinstance(found, ModuleType):
                return _attribute(found, parts[position:])
            module = found
            continue
        below = _module(f"{_name(module)}.{part}", module)
        if below is None and complete:
            public = [name for name in names if not name.startswith("_")]
            raise _MissingError(
                f"the module {_name(module)!r} holds no {part!r}; correct the name.{nearest(part, public)}"
            )
        if below is None:
            return _UNKNOWN
        module = below
    return module


def _attribute(found: object, parts: list[str]) -> object:
    for part in parts:
        if found is _UNKNOWN or isinstance(found, ast.AST):
            return _UNKNOWN
        if not hasattr(found, part):
            raise _MissingError(f"{found!r} holds no {part!r}; correct the name.{nearest(part, dir(found))}")
        found = getattr(found, part)
    return found


def _name(module: ModuleType | ModuleSpec) -> str:
    return module.__name__ if isinstance(module, ModuleType) else module.name


def _module(name: str, parent: ModuleType | ModuleSpec | None = None) -> ModuleType | ModuleSpec | None:
    """Return a module that is imported, or from where it would be; None if there is none."""
    if name in sys.modules:
        return sys.modules[name]
    path = parent.submodule_search_locations if isinstance(parent, ModuleSpec) else getattr(parent, "__path__", None)
    if parent is not None and path is None:
        return None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find(name, path) if find is not None else None
        if spec is not None:
            return spec
    return None


def _contents(module: ModuleType | ModuleSpec) -> _Contents:
    """Return what a module holds, as far as that can be known."""
    if isinstance(module, ModuleType):
        busy = getattr(getattr(module, "__spec__", None), "_initializing", False)
        return _Contents(vars(module), not busy and not hasattr(module, "__getattr__"))
    loader: Any = module.loader
    if loader is None:  # a namespace package
        return _Contents({}, True)
    source = loader.get_source(module.name) if hasattr(loader, "get_source") else None
    if source is None:
        return _Contents({}, False)
    tree = ast.parse(source)
    names: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node if node.name not in names else _UNKNOWN
    for inner in ast.walk(tree):  # also inside functions: a name too many refuses nothing
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.setdefault(inner.name, _UNKNOWN)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names[inner.id] = _UNKNOWN
        elif isinstance(inner, ast.alias):
            names[(inner.asname or inner.name).partition(".")[0]] = _UNKNOWN
    return _Contents(names, not any(word in source for word in _DYNAMIC))


def _signature(found: Any) -> "inspect.Signature | None":
    """Return how something is called, or None if that cannot be known."""
    import inspect

    if isinstance(found, ast.AST):
        return _signature_of_source(found)
    try:
        return inspect.signature(found)
    except (ValueError, TypeError):  # of some builtins nothing is known
        return None


def _signature_of_source(node: ast.AST) -> "inspect.Signature | None":
    import inspect

    if isinstance(node, ast.ClassDef) and not node.decorator_list and not node.keywords:
        methods = [entry for entry in ast.walk(node) if isinstance(entry, ast.FunctionDef)]
        made = [method for method in methods if method.name in ("__init__", "__new__")]
        found = _signature_of_source(made[0]) if len(made) == 1 and made[0].name == "__init__" else None
        return found and found.replace(parameters=[*found.parameters.values()][1:])
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return None
    kinds, given = inspect.Parameter, node.args
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    parameters = [
        kinds(
            argument.arg,
            kinds.POSITIONAL_ONLY if position < len(given.posonlyargs) else kinds.POSITIONAL_OR_KEYWORD,
            default=kinds.empty if position < required else None,
        )
        for position, argument in enumerate(positional)
    ]
    parameters += [kinds(given.vararg.arg, kinds.VAR_POSITIONAL)] if given.vararg else []
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parameters.append(kinds(argument.arg, kinds.KEYWORD_ONLY, default=kinds.empty if default is None else None))
    parameters += [kinds(given.kwarg.arg, kinds.VAR_KEYWORD)] if given.kwarg else []
    return inspect.Signature(parameters)
