"""The records that a call shows, in their order, and the writing of them. Runs in the command `mplog`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from mplog.viewer import colours
from mplog.viewer.context import Context, Group
from mplog.viewer.exceptions import ViewerError
from mplog.viewer.formats import Renderer, renderer
from mplog.viewer.lines import Record
from mplog.viewer.look import Look
from mplog.viewer.merging import merged
from mplog.viewer.output import Output, Progress
from mplog.viewer.pretty import measure
from mplog.viewer.reading import is_plain
from mplog.viewer.scan import Plan
from mplog.viewer.walk import Batches, backward, forward

if TYPE_CHECKING:
    from mplog.viewer.view import View

_BATCH = 256
_FIRST = 1000
_HELD = 1 << 20  # bytes of records that wait for each other


def plain_way(view: View, plan: Plan) -> bool:
    """Say whether the batches of one log can be shown as they come."""
    args = view.args
    apart = args.reverse or args.cursor_file or args.max_count is not None or view.last is not None
    return len(view.sources) == 1 and not apart and not plan.every_record


def joined(batches: Batches) -> Batches:
    """Yield batches, the first ones joined until there is enough to measure the names."""
    first: list[Record] = []
    held, enough = 0, False
    try:
        for batch in batches:
            if enough:
                yield batch
                continue
            first += batch
            held += _size(batch)
            if len(first) >= _FIRST or held >= _HELD:
                enough = True
                yield first
    except ViewerError:
        if first and not enough:
            yield first
        raise
    if first and not enough:
        yield first


def _size(records: list[Record]) -> int:
    return sum(len(record.raw) for record in records)


def selected(view: View, plan: Plan, progress: Progress | None = None) -> Iterator[Record]:
    """Return the records that a call shows, in the order in which it shows them."""
    if view.args.reverse:
        return _limited(view, _newest_first(view, plan))
    if view.last is not None and not plan.every_record:
        return _limited(view, iter(last_records(view, plan, view.last)))
    if len(view.sources) == 1:
        records: Iterator[Record] = chain.from_iterable(forward(view.sources[0], plan, progress))
    else:
        records = merged(chain.from_iterable(forward(source, plan, progress)) for source in view.sources)
    return _limited(view, records) if not plan.every_record else records


def _limited(view: View, records: Iterator[Record]) -> Iterator[Record]:
    return records if view.args.max_count is None else islice(records, view.args.max_count)


def _newest_first(view: View, plan: Plan) -> Iterator[Record]:
    streams = [_reversed(backward(source, plan)) for source in view.sources]
    records = streams[0] if len(streams) == 1 else merged(streams, newest_first=True)
    return records if view.last is None else islice(records, view.last)


def _reversed(batches: Batches) -> Iterator[Record]:
    return (record for batch in batches for record in reversed(batch))


def last_records(view: View, plan: Plan, count: int) -> list[Record]:
    """Return the last records that match, of all logs together."""
    ends: list[list[Record]] = []
    for source in view.sources:
        if not all(map(is_plain, source.files)):
            tail = deque(chain.from_iterable(forward(source, plan)), maxlen=count)
            ends.append(list(tail))
            continue
        batches: list[list[Record]] = []
        found = 0
        if count:
            for batch in backward(source, plan):
                batches.append(batch[-(count - found) :])
                found += len(batches[-1])
                if found >= count:
                    break
        ends.append(list(chain.from_iterable(batches[::-1])))
    records = list(merged(ends)) if len(ends) > 1 else ends[0]
    return records[-count:] if count else []


def write(view: View, batches: Batches, look: Look, output: Output, progress: Progress | None = None) -> None:
    """Render and write batches of records; the first one decides how wide the names are."""
    render: Renderer | None = None
    for batch in batches:
        if progress is not None:
            progress.make_way()
        if render is None:
            measure(look, batch)
            render = renderer(look, grow=True)
            output.write(render.begin())
        output.write(render.render(batch))
        view.count(batch)
    if progress is not None:
        progress.clear()
    if render is None:
        render = renderer(look)
        output.write(render.begin())
    output.write(render.end())


def in_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records in batches; when reading breaks off, first what was read until then."""
    batch: list[Record] = []
    held, limit = 0, _FIRST
    try:
        for record in records:
            batch.append(record)
            held += len(record.raw)
            if len(batch) >= limit or held >= _HELD:
                yield batch
                batch, held, limit = [], 0, _BATCH
    except ViewerError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def groups_of(view: View, plan: Plan, progress: Progress) -> Iterator[Group]:
    """Return the groups of records around each match."""
    test = view.selection.predicate() or (lambda _record: True)
    logs = {path: source.path for source in view.sources for path in source.files}
    context = Context(view.before, view.after, view.args.context_by, test, logs)
    if len(view.sources) == 1 and not view.args.cursor_file:
        from mplog.viewer import neighbours

        groups = neighbours.groups(view.sources[0], plan, context, progress)
        if groups is not None:
            return groups
    if view.args.cursor_file:
        from mplog.viewer.cursors import from_cursor

        records: Iterator[Record] = from_cursor(view, plan)
    else:
        records = selected(view, plan, progress)
    return chain(chain.from_iterable(map(context.feed, records)), context.finish())


def write_groups(view: View, groups: Iterator[Group], look: Look, output: Output, progress: Progress) -> None:
    """Write the groups of records around each match, a line between them."""
    if view.last is not None:
        groups = iter(deque(groups, maxlen=view.last)) if view.last else iter(())
    if view.args.max_count is not None:
        groups = islice(groups, view.args.max_count)
    render: Renderer | None = None
    dim, reset = (colours.DIM, colours.RESET) if look.colour else ("", "")
    for group in groups:
        progress.make_way()
        shown = [record for record, _ in group]
        measure(look, shown)
        if render is None:
            render = renderer(look, grow=True)
            output.write(render.begin())
        elif not view.for_programs:
            output.write(f"{dim}--{reset}\n")
        output.write(render.render(shown))
        view.count([record for record, matched in group if matched])
    progress.clear()
    if render is not None:
        output.write(render.end())
