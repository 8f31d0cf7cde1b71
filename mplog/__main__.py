"""The command `mplog`: parses arguments and starts one sub-command. Runs in a process of its own."""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import os
import signal
import sys
from typing import NoReturn

from mplog.viewer.commands import COMMANDS, Command, available


class _Help(argparse.RawDescriptionHelpFormatter):
    """Use the width of the terminal, up to what reads well."""

    def __init__(self, prog: str) -> None:
        import shutil

        super().__init__(prog, max_help_position=26, width=min(shutil.get_terminal_size().columns, 110))


class _Parser(argparse.ArgumentParser):
    """Say what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        from mplog.viewer.escapes import escape

        self.exit(2, f"{self.prog}: {escape(message)} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code. Never shows a traceback for a mistake of the caller."""
    args = sys.argv[1:] if argv is None else argv
    if argv is None:
        # Records have no cycles; looking for some costs a third of the time of a large file.
        gc.disable()
        # glibc gives blocks as large as ours back to the kernel, and pays for each page when the next one comes, until
        # it has seen a larger one freed (mallopt(3), M_MMAP_THRESHOLD); with two processes that was half of the time.
        large = bytes(1 << 23)
        del large
    if sys.stderr is None:  # closed: what is said there must not get into the output
        sys.stderr = open(os.devnull, "w")
    from mplog.exceptions import MplogError
    from mplog.viewer.exceptions import ViewerError
    from mplog.viewer.output import clear_progress, say

    try:
        if sys.stdout is None:
            raise ViewerError("standard output is closed; redirect it to /dev/null if nothing is to be shown")
        return _run(args)
    except ViewerError as error:
        clear_progress()
        say(error.sentence)
        return error.exit_code
    except MplogError as error:  # `demo` was given a log that cannot be written
        say(str(error))
        return 2
    except Exception as error:
        # What is wrong in a file must not look like a crash; what is wrong here must be reported.
        if isinstance(error, BrokenPipeError):
            return _quiet()
        if os.environ.get("MPLOG_TRACEBACK"):
            raise
        clear_progress()
        say(f"{type(error).__name__}: {error}; please report it, MPLOG_TRACEBACK=1 shows where")
        return 2
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        clear_progress()
        return 130


def _quiet() -> int:
    """Let nothing complain about a reader that went away, also at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _run(args: list[str]) -> int:
    name = args[0] if args and not args[0].startswith("-") else None
    chosen = next((command for command in COMMANDS if command.name == name), None)
    if chosen is None or importlib.util.find_spec(chosen.module) is None:
        return _overview(args, available())
    module = importlib.import_module(chosen.module)
    parser = _Parser(
        prog=f"mplog {name}",
        description=chosen.summary[0].upper() + chosen.summary[1:] + ".",
        formatter_class=_Help,
    )
    module.add_arguments(parser)
    prepare = getattr(module, "prepare_arguments", None)
    rest = args[1:] if prepare is None else prepare(args[1:])
    return int(module.run(parser.parse_intermixed_args(rest)))


def _overview(args: list[str], commands: list[Command]) -> int:
    from mplog.viewer.exceptions import ViewerError

    first = args[0] if args else "--help"
    if first in ("-h", "--help", "help"):
        width = max(len(command.name) for command in commands)
        print("usage: mplog COMMAND [ARGUMENTS]\n\nRead the logs that mplog writes, and those of others.\n")
        for command in commands:
            print(f"  {command.name:<{width}}  {command.summary}")
        print("\nmplog COMMAND --help says more, with examples. A file in its place is viewed: mplog app.log")
        return 0
    if first in ("-V", "--version"):
        from importlib.metadata import version

        print(f"mplog {version('mplog')}")
        return 0
    if os.path.exists(first):
        return _run(["view", *args])
    import difflib

    close = difflib.get_close_matches(first, [command.name for command in commands], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "see mplog --help"
    raise ViewerError(f"there is no command or file {first!r}; {hint}")


if __name__ == "__main__":
    sys.exit(main())
