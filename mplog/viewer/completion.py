"""`mplog completion`: scripts for bash, zsh and fish; names come from the file. Runs in `mplog`."""

from __future__ import annotations

import argparse
import importlib
import sys

from mplog.viewer import names, shells
from mplog.viewer.commands import available
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.shells import Option, Sub
from mplog.viewer.tables import finish, write

EPILOG = """examples:
  eval "$(mplog completion bash)"                              now; in ~/.bashrc for ever
  mplog completion zsh > "${fpath[1]}/_mplog"                  zsh
  mplog completion fish > ~/.config/fish/completions/mplog.fish

Options, their values and files are completed, and after -p, -L, --thread, -k, -K and --values the names that
occur in the logs on the command line (or in the one that MPLOG_FILE names)."""

_SHELLS = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}
_KINDS = {"keys": "field", "hide": "field", "values": "field"} | {kind: kind for kind in names.KINDS}
_FILES = ("FILE", "DIR", "PATH", "SPOOL")
_LEVELS = ("debug", "info", "warning", "error", "critical")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog completion`."""
    parser.epilog = EPILOG
    parser.add_argument("shell", nargs="?", metavar="SHELL", help=", ".join(_SHELLS))
    # What the scripts call, see `prepare_arguments`.
    parser.add_argument("--names", choices=names.KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--line", default="", help=argparse.SUPPRESS)


def prepare_arguments(argv: list[str]) -> list[str]:
    """Return the arguments, what follows `--` (the words of an unfinished command line) as one of them."""
    if "--" not in argv:
        return argv
    at = argv.index("--")
    return [*argv[:at], "--line=" + "\n".join(argv[at + 1 :])]


def run(args: argparse.Namespace) -> int:
    """Print a completion script, or the names that a script asks for.

    Raises:
        ViewerError: there is no script for this shell.
    """
    if args.names:
        found = names.names(args.names, args.line.split("\n"))
        write("".join(f"{name}\n" for name in found), sys.stdout)
        return finish(0)
    if args.shell not in _SHELLS:
        choices = ", ".join(_SHELLS)
        raise ViewerError(f"no completion for the shell {args.shell or ''!r}; choose one of {choices}")
    write(_SHELLS[args.shell](commands()), sys.stdout)
    return finish(0)


def commands() -> list[Sub]:
    """Return the sub-commands with their options, as their own parsers know them."""
    return [_sub(command.name, command.module, command.summary) for command in available()]


def _sub(name: str, module: str, summary: str) -> Sub:
    parser = argparse.ArgumentParser(prog=f"mplog {name}")
    importlib.import_module(module).add_arguments(parser)
    options, words = [], tuple(_SHELLS) if name == "completion" else ()
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        if action.option_strings:
            options.append(_option(action, parser))
        elif action.choices and not words:
            words = tuple(str(choice) for choice in action.choices)
        elif action.metavar == "LEVEL":
            words = _LEVELS
    return Sub(name, summary, tuple(options), words)


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Option:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    choices = tuple(str(choice) for choice in action.choices or ())
    if action.nargs == 0:
        kind = "flag"
    elif action.dest in _KINDS:
        kind = _KINDS[action.dest]
    elif metavar in _FILES:
        kind = "file"
    else:
        kind = "any"
    if metavar == "LEVEL" and not choices:
        choices = _LEVELS
    formatter = parser.formatter_class(prog=parser.prog)
    text = formatter._expand_help(action) if action.help else ""
    # Completion has room for a clause.
    return Option(tuple(action.option_strings), text.split(";")[0].split(" (")[0], metavar, choices, kind)
