"""Exceptions as data, across processes, and without their secrets."""

import pytest

POOLS = """
    import logging
    import multiprocessing
    import sys
    from concurrent.futures import ProcessPoolExecutor

    import mplog

    log = logging.getLogger("app")

    def work(number):
        secret = "local secret"
        try:
            {}["missing"]
        except KeyError as error:
            error.add_note("looked for in vain")
            raise ValueError(f"number {number}") from error

    def both(logger, number):
        try:
            work(number)
        except ValueError:
            logger.exception("in the worker")
            raise

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with mplog.setup("app.json", console=False):
            with context.Pool(1) as pool:
                try:
                    pool.apply(both, (logging.getLogger("app"), 1))
                except ValueError:
                    log.exception("from the pool")
            with ProcessPoolExecutor(1, mp_context=context) as executor:
                try:
                    executor.submit(both, mplog.get_logger("app"), 2).result()
                except ValueError:
                    mplog.get_logger("app").exception("from the executor")
                errors = [executor.submit(work, number).exception() for number in (3, 4)]
                try:
                    raise ExceptionGroup("two of them", errors)
                except* ValueError:
                    log.exception("a group")
"""


def test_a_pools_exception_is_unfolded(program, read_log, tmp_path, start_method):
    """Chains, notes and groups are data under every start method; the text that a pool sends as `RemoteTraceback`
    is unfolded into the worker's frames with their source; no local variable is written."""
    program(POOLS, start_method)
    log = {(record["msg"], record["logger"]): record for record in read_log(tmp_path / "app.json")}
    assert "local secret" not in (tmp_path / "app.json").read_text().replace('secret = \\"local secret\\"', "")
    worker = log["in the worker", "app"]["exc"]
    assert (worker["type"], worker["cause"]["type"], worker["cause"]["notes"]) == (
        "ValueError", "KeyError", ["looked for in vain"],
    )  # fmt: skip
    assert [frame["func"] for frame in worker["frames"]] == ["both", "work"]
    assert worker["frames"][0]["source"] == "work(number)"
    for name in ("from the pool", "from the executor"):
        remote = log[name, "app"]["exc"]["cause"]
        assert remote["remote"] is True
        assert (remote["type"], remote["message"].split()[0]) == ("ValueError", "number")
        assert [frame["func"] for frame in remote["frames"]][-2:] == ["both", "work"]
        assert remote["frames"][-1]["source"] == 'raise ValueError(f"number {number}") from error'
        assert (remote["cause"]["type"], remote["cause"]["frames"][-1]["func"]) == ("KeyError", "work")
        assert "looked for in vain" in log[name, "app"]["exc"]["text"]
    group = log["a group", "app"]["exc"]
    assert group["type"] == "ExceptionGroup"
    assert sorted(member["message"] for member in group["group"]) == ["number 3", "number 4"]
    assert {member["cause"]["frames"][-1]["func"] for member in group["group"]} == {"work"}


SECRETS = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work():
        token = "in the source"
        for logger, fields in ((logging.getLogger("app"), "extra"), (mplog.get_logger("app"), "event")):
            own = {"password": "p1", "card": "4111-1111", "nested": {"api_key": "p2"}}
            logger.warning("plain card 4111-1111", **({"extra": own} if fields == "extra" else own))
            try:
                try:
                    raise KeyError("password=p3")
                except KeyError as error:
                    error.add_note("card 4111-1111")
                    raise ValueError("login with token: 'p4'") from error
            except ValueError:
                logger.exception("failed, password=p5", password="p6") if fields == "event" else logger.exception(
                    "failed, password=%s", "p5"
                )

    if __name__ == "__main__":
        redact = ["password", "token", "api_key", "re:4111-[0-9]{4}", "secrets_of_mine:hide"]
        with mplog.setup("app.json", console=False, redact=redact):
            mplog.bind(session_token="p7")
            process = multiprocessing.get_context(sys.argv[1]).Process(target=mplog.with_context(work))
            process.start()
            process.join()
"""


def test_no_secret_is_written(program, read_log, tmp_path, start_method):
    """Keys, patterns and functions take secrets out of message, fields, context, exception, chain, notes, source and
    text, in every process, before anything is written."""
    (tmp_path / "secrets_of_mine.py").write_text("def hide(text):\n    return text.replace('failed', 'FAILED')\n")
    program(SECRETS, start_method)
    text = (tmp_path / "app.json").read_text()
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log] == [
        "plain card [redacted]",
        "FAILED, password=[redacted]",
    ] * 2
    for secret in ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "4111-1111"):
        found = [record for record in log if secret in str({**record, "exc": without_source(record.get("exc"))})]
        assert found == [], (secret, found)
    assert "4111-1111" not in text
    assert all(record["session_token"] == "[redacted]" for record in log)


def without_source(exc):
    """Return the messages, notes and text of an exception; its text without the lines of the program."""
    if exc is None:
        return None
    lines = [line for line in exc.get("text", "").splitlines() if not line.startswith("    ")]
    return [exc["message"], exc.get("notes"), lines, without_source(exc.get("cause"))]


FAILING = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work():
        logging.getLogger("app").warning("secret")
        mplog.get_logger("app").warning("secret", a="secret")

    if __name__ == "__main__":
        with mplog.setup("app.json", console=False, redact=[sys.argv[2]]):
            process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            process.start()
            process.join()
"""


@pytest.mark.parametrize("function", ["broken_redaction:hide", "broken_redaction:answer"])
def test_a_redaction_that_raises_fails_closed(program, read_log, tmp_path, start_method, function):
    """A redaction that raises, or returns no text, leaves `[redaction failed]` and nothing else."""
    module = "def hide(text):\n    raise RuntimeError\n\ndef answer(text):\n    return 42\n"
    (tmp_path / "broken_redaction.py").write_text(module)
    program(FAILING, start_method, function)
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["[redaction failed]"] * 2
    assert "secret" not in (tmp_path / "app.json").read_text()


LOCALS = """
    import logging
    import multiprocessing
    import sys

    import mplog

    def work():
        password, answer = "hidden", 42
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("app").exception("x")
            mplog.get_logger("app").exception("x")

    if __name__ == "__main__":
        with mplog.setup("app.json", console=False, show_locals=sys.argv[2] == "asked", redact=["password"]):
            process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            process.start()
            process.join()
"""


@pytest.mark.parametrize("asked", ["asked", "not asked"])
def test_local_variables_only_if_asked_for(program, read_log, tmp_path, start_method, asked):
    """`show_locals=True` writes the local variables of each frame, without secrets; by default there are none."""
    program(LOCALS, start_method, asked)
    frames = [record["exc"]["frames"][-1] for record in read_log(tmp_path / "app.json")]
    assert len(frames) == 2
    expected = {"password": "[redacted]", "answer": "42"} if asked == "asked" else None
    assert [frame.get("locals") for frame in frames] == [expected] * 2
