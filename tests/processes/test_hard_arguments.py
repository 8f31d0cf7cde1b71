"""Arguments that cannot even be asked what they are."""

PROGRAM = """
    import logging

    import mplog

    class Undecided:
        def __bool__(self):
            raise ValueError("neither")

        def __repr__(self):
            return "<undecided>"

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("working outside of a context")

        def __repr__(self):
            return "<proxy>"

    with mplog.setup("app.json", console=False):
        log, event = logging.getLogger("app"), mplog.get_logger("app")
        for odd in (Undecided(), Proxy()):
            log.info("%s", odd)
            log.log(20, "%s", odd, extra={"x": odd})
            event.info("event", x=odd)
        event.info("event", exc_info=Undecided())
        event.info("event", stack_info=Undecided())
        log._log(20, "direct", None)
        log._log(20, "direct %(a)s", ({"a": 1},))
"""


def test_an_argument_that_raises_whatever_it_is_asked_costs_no_record(program, read_log, tmp_path):
    """A proxy outside of its context, an object that is neither true nor false: a record each, and nothing raised."""
    done = program(PROGRAM)
    assert done.err == ""
    found = [record["msg"] for record in read_log(tmp_path / "app.json")]
    odd = [text for name in ("<undecided>", "<proxy>") for text in (name, name, "event")]
    assert found == [*odd, "event", "event", "direct", "direct 1"]
