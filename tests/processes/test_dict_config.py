"""`logging.config.dictConfig` in front of mplog, and behind it."""

import pytest

WIRED = """
    import logging
    import logging.config
    import multiprocessing
    import sys

    import mplog

    CONFIG = {
        "version": 1,
        "handlers": {"journal": {"()": "mplog.WorkerHandler", "level": "INFO"}},
        "root": {"handlers": ["journal"], "level": "DEBUG"},
    }

    def work():
        logging.getLogger("app").info("child")
        logging.getLogger("app").debug("too low")

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        logging.config.dictConfig(CONFIG)
        with mplog.setup("app.json", console=False):
            child = multiprocessing.Process(target=work)
            child.start()
            child.join()
            logging.getLogger("app").info("parent")
        assert len(logging.root.handlers) == 1
"""

TAKEN_OVER = """
    import logging
    import logging.config
    import multiprocessing
    import sys

    import mplog

    old = logging.getLogger("old")

    def work(number):
        logging.config.dictConfig({
            "version": 1,
            "disable_existing_loggers": sys.argv[2] == "disable",
            "handlers": {"null": {"class": "logging.NullHandler"}},
            "root": {"handlers": ["null"], "level": "INFO"},
        })
        logging.getLogger("app").info("after %d", number)
        logging.shutdown()
        logging.getLogger("app").info("after shutdown %d", number)
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])
        logging.getLogger("app").info("after all %d", number)

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", console=False):
            child = multiprocessing.Process(target=work, args=(1,))
            child.start()
            child.join()
            work(2)
        assert not any(isinstance(handler, mplog.WorkerHandler) for handler in logging.root.handlers)
"""


def test_the_factory_form_of_dict_config_works(program, read_log, tmp_path, start_method):
    """dictConfig through the `"()"` form: one handler, each record once."""
    done = program(WIRED, start_method)
    assert done.err == ""
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == ["child", "parent"]


@pytest.mark.parametrize("disable", ["disable", "keep"])
def test_other_configurations_do_not_silence_a_process(program, read_log, tmp_path, start_method, disable):
    """`disable_existing_loggers`, a second dictConfig, `logging.shutdown`: reconnected at the next record."""
    done = program(TAKEN_OVER, start_method, disable)
    assert done.err == ""
    messages = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert messages == [f"after {what}{n}" for n in (1, 2) for what in ("", "shutdown ", "all ")]
