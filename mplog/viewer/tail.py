"""`mplog tail`: the same as `mplog view -f`. Runs in the command `mplog`."""

from __future__ import annotations

import argparse

from mplog.viewer import options, view

prepare_arguments = options.with_defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mplog view`, with following switched on."""
    options.add(parser)
    parser.set_defaults(follow=True)


def run(args: argparse.Namespace) -> int:
    """Run `mplog view -f`."""
    return view.run(args)
