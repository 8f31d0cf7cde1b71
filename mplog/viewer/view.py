"""`mplog view`: from options to output. Runs in the command `mplog`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mplog.viewer import colours, options
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.lines import Record
from mplog.viewer.longlines import MAX_LINE, MAX_WHOLE
from mplog.viewer.look import FOR_PROGRAMS, Look
from mplog.viewer.output import Output, Progress, is_terminal, say, terminal_width
from mplog.viewer.reading import Source, expand
from mplog.viewer.scan import Damage, Plan
from mplog.viewer.selection import Selection, build, is_condition
from mplog.viewer.showing import groups_of, in_batches, joined, plain_way, selected, write, write_groups
from mplog.viewer.timespec import zone_of
from mplog.viewer.walk import forward

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAGED = ("pretty", "short", "raw")

add_arguments = options.add
prepare_arguments = options.with_defaults


class View:
    """Hold one call of `mplog view`: the options, what is shown, and what is to be said at the end."""

    def __init__(self, args: argparse.Namespace) -> None:
        from mplog.viewer.comparisons import level_number

        self.args = args
        paths = [path for path in args.paths if not is_condition(path)]
        conditions = [path for path in args.paths if is_condition(path)]
        self.zone = zone_of(args.tz, utc=args.utc)
        self.selection: Selection = build(args, conditions, self.zone)
        self.last = _last(args.lines)
        self.keys = _names(args.keys)
        self.fail_on = None if args.fail_on is None else level_number(args.fail_on)
        self.before = args.before if args.before is not None else args.context or 0
        self.after = args.after if args.after is not None else args.context or 0
        self.damage = Damage(args.errors)
        self.sources: list[Source] = expand(paths or [_default_path()], rotated=args.rotated)
        self.shown = 0
        self.worst = -1

    @property
    def for_programs(self) -> bool:
        """Say whether the output is a data format, in which damaged lines have no place."""
        return self.args.output in (*FOR_PROGRAMS, "html", "trace") or self.args.template is not None

    @property
    def longest(self) -> int:
        """Return how long a line may be that is shown whole."""
        whole = self.args.output in ("raw", *FOR_PROGRAMS) or self.args.template is not None
        return MAX_WHOLE if whole else MAX_LINE

    def plan(self) -> Plan:
        """Return what the scanners are to find."""
        show = self.args.errors == "show" and self.selection.everything and not self.for_programs
        context = bool(self.before or self.after)
        return Plan(self.selection, self.args.input_format, self.damage, show, context, self.longest)

    def look(self, output: Output) -> Look:
        """Return how records are to be shown."""
        args = self.args
        return Look(
            output=args.output, colour=colours.wanted(args.color, output.terminal), colour_by=args.color_by,
            zone=self.zone, tb=args.tb, delta=args.delta, lanes=args.lanes, keys=self.keys,
            hide=_names(args.hide), skip_unchanged=args.skip_unchanged, template=args.template,
            width=terminal_width(), sources=_labels(self.sources), context=bool(self.before or self.after),
        )  # fmt: skip

    def count(self, records: Sequence[Record]) -> None:
        """Note what is shown, for the exit code."""
        self.shown += len(records)
        self.damage.note_cut(records)
        if self.fail_on is not None and records:
            self.worst = max(self.worst, max(record.levelno for record in records))

    def exit_code(self) -> int:
        """Say on stderr what is to be said at the end, and return the exit code."""
        if self.damage.count and self.damage.mode != "skip":
            say(self.damage.sentence())
        if self.damage.cut:
            say(self.damage.cut_sentence(self.longest))
        if self.shown and (self.keys or self.args.template is not None):
            from mplog.viewer.ask import unknown_keys

            hint = unknown_keys(self)
            if hint:
                say(hint)
        if self.damage.count and self.damage.mode == "fail":
            return 3
        if self.fail_on is not None and self.worst >= self.fail_on:
            return 4
        if self.shown:
            return 0
        if not (self.damage.count and self.damage.mode == "count"):
            from mplog.viewer.ask import why_nothing

            say(why_nothing(self))
        return 1


def run(args: argparse.Namespace) -> int:
    """Run `mplog view` and return its exit code.

    Raises:
        ViewerError: wrong usage, or a source that cannot be read.
    """
    view = View(args)
    _check_together(args)
    _check_out(args.out, view.sources)
    if args.explain or args.fields or args.values is not None:
        from mplog.viewer import ask

        return ask.run(view)
    if args.follow and not (_from_pipe(view) and _streams(view)):
        from mplog.viewer.following import follow

        return follow(view)
    if _from_pipe(view) and _streams(view):
        return _stream(view)
    with Output(args.out, pager=not args.no_pager and args.output in _PAGED) as output:
        try:
            if args.output in ("html", "trace"):
                _picture(view, output)
            else:
                _show(view, output)
        except BrokenPipeError:
            return 0
    return view.exit_code()


def _from_pipe(view: View) -> bool:
    return [source.path for source in view.sources] == ["-"]


def _streams(view: View) -> bool:
    """Say whether standard input can be shown as it arrives."""
    args = view.args
    apart = args.lines or args.reverse or view.before or view.after or args.cursor_file
    return not apart and args.output not in ("html", "trace")


def _stream(view: View) -> int:
    """Show standard input as it arrives; the first Ctrl-C ends its writer, and we show the rest."""
    import signal

    from mplog.viewer.following import Shown
    from mplog.viewer.reading import arriving
    from mplog.viewer.scan import Scanner

    def once(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if not is_terminal(0):
        signal.signal(signal.SIGINT, once)
    with Output(view.args.out, pager=not view.args.no_pager and view.args.output in _PAGED) as output:
        shown, scanner = Shown(view, output), Scanner("-", view.plan())
        try:
            for at, block in arriving():
                if shown.add(scanner.block(block, at) if block else scanner.finish()):
                    break
            else:
                shown.add(scanner.finish())
            shown.end()
        except BrokenPipeError:
            return 0
    return view.exit_code()


def _check_together(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    if args.utc and args.tz:
        raise ViewerError("--utc and --tz contradict each other; leave one out")
    if args.follow and args.reverse:
        raise ViewerError("--follow and --reverse contradict each other; leave one out")
    if args.follow and args.output in ("html", "trace", "json"):
        raise ViewerError(f"--follow and -o {args.output} contradict each other: that document ends; use -o jsonl")
    if args.reverse and (args.after or args.before or args.context):
        raise ViewerError("--reverse and context lines contradict each other; leave one out")
    if args.cursor_file and (args.reverse or args.lines or args.output in ("html", "trace")):
        raise ViewerError("--cursor-file goes on from the last call; it cannot be used with -n, -r, -o html or trace")


def _check_out(out: str | None, sources: list[Source]) -> None:
    """Refuse to write over what is read."""
    if out is not None and os.path.exists(out):
        for path in (path for source in sources for path in source.files if path != "-"):
            if os.path.exists(path) and os.path.samefile(path, out):
                raise ViewerError(f"--out {out} is the log itself; name another file")


def _default_path() -> str:
    path = os.environ.get("MPLOG_FILE")
    if path:
        return path
    if is_terminal(0):
        raise ViewerError("no file given; name one, pipe something in, or set MPLOG_FILE (mplog view --help)")
    return "-"


def _names(lists: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for text in lists or () for name in text.split(",") if name.strip())


def _last(text: str | None) -> int | None:
    if text is None or text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ViewerError(f"-n {text!r} is not a number of records; write a number or all")
    return int(text)


def _labels(sources: list[Source]) -> dict[str, str]:
    """Return the column that tells several logs apart; nothing for one."""
    if len(sources) < 2:
        return {}
    names = [os.path.basename(source.path) for source in sources]
    if len(set(names)) < len(names):
        names = [source.path for source in sources]
    width = min(24, max(len(name) for name in names))
    from mplog.viewer.escapes import escape

    return {
        path: f"{escape(name)[-24:]:<{width}}"
        for name, source in zip(names, sources, strict=True)
        for path in source.files
    }


def _show(view: View, output: Output) -> None:
    from mplog.viewer import parallel

    plan, look = view.plan(), view.look(output)
    total = sum(os.path.getsize(path) for source in view.sources for path in source.files if path != "-")
    progress = Progress(total, shown=not output.paged)
    if parallel.fits(view, look):
        parallel.show(view, plan, look, output, progress)
        return
    if plain_way(view, plan):
        write(view, joined(forward(view.sources[0], plan, progress)), look, output, progress)
        return
    if plan.every_record:
        write_groups(view, groups_of(view, plan, progress), look, output, progress)
        return
    if view.args.cursor_file:
        from mplog.viewer.cursors import from_cursor

        records: Iterable[Record] = from_cursor(view, plan)
    else:
        records = selected(view, plan, progress)
    write(view, in_batches(records), look, output, progress)


def _picture(view: View, output: Output) -> None:
    """Write a page or a trace of the selected records."""

    def counted() -> Iterator[Record]:
        for record in selected(view, view.plan()):
            view.count([record])
            yield record

    def damaged() -> int:
        return 0 if view.damage.mode == "skip" else view.damage.count

    with output.stream() as stream:
        if view.args.output == "html":
            from mplog.viewer.html import MOST, write_html

            title = ", ".join(os.path.basename(source.path) for source in view.sources)
            total = write_html(counted(), stream, title=title, damaged=damaged)
            if total > MOST:
                say(f"the page shows the newest {MOST:,} of {total:,} records; -S, -l, -p and so on select fewer")
        else:
            from mplog.viewer.trace import write_trace

            write_trace(counted(), stream)
