"""Exceptions that nobody caught."""

import pytest

PROGRAM = """
    import asyncio
    import gc
    import logging
    import multiprocessing
    import sys
    import threading
    from concurrent.futures import ProcessPoolExecutor

    import mplog

    class Broken:
        def __del__(self):
            raise RuntimeError("in a finalizer")

    async def forgotten():
        async def task():
            raise OSError("in a task")
        task = asyncio.create_task(task())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    def thread():
        started = threading.Thread(target=fail, args=("thread",), name="T")
        started.start()
        started.join()

    def unraisable():
        Broken()
        gc.collect()

    def fail(where):
        raise ValueError(f"in a {where}")

    WAYS = {
        "run": lambda: fail("process"),
        "thread": thread,
        "unraisable": unraisable,
        "asyncio": lambda: asyncio.run(forgotten()),
    }

    class Subclass(multiprocessing.Process):
        def run(self):
            fail("subclass")

    def child(way):
        WAYS[way]()

    if __name__ == "__main__":
        method, way = sys.argv[1:3]
        capture = sys.argv[3:] or ("exceptions",)
        multiprocessing.set_start_method(method)
        with mplog.setup("app.json", capture=capture, console=False):
            if way == "pool":
                with multiprocessing.Pool(1) as pool:
                    try:
                        pool.apply(fail, ("pool",))
                    except ValueError as error:
                        print("caller:", error)
            elif way == "executor":
                with ProcessPoolExecutor(1) as executor:
                    print("caller:", executor.submit(fail, "executor").exception())
            else:
                process = Subclass() if way == "subclass" else multiprocessing.Process(target=child, args=(way,))
                process.start()
                process.join()
                print("exit", process.exitcode)
"""
EXPECTED = {
    "run": ("CRITICAL", "mplog.uncaught", "ValueError", "in a process", "exit 1"),
    "subclass": ("CRITICAL", "mplog.uncaught", "ValueError", "in a subclass", "exit 1"),
    "thread": ("ERROR", "mplog.uncaught", "ValueError", "in a thread", "exit 0"),
    "unraisable": ("ERROR", "mplog.uncaught", "RuntimeError", "in a finalizer", "exit 0"),
    "asyncio": ("ERROR", "asyncio", "OSError", "in a task", "exit 0"),
    "pool": ("ERROR", "mplog.uncaught", "ValueError", "in a pool", "caller: in a pool"),
    "executor": ("ERROR", "mplog.uncaught", "ValueError", "in a executor", "caller: in a executor"),
}


@pytest.mark.parametrize("way", EXPECTED)
def test_an_uncaught_exception_is_in_the_log_once(program, read_log, tmp_path, start_method, way):
    """What nobody caught in a child is one record with the exception as data; what Python does with it goes on."""
    level, logger, kind, message, printed = EXPECTED[way]
    done = program(PROGRAM, start_method, way)
    [record] = read_log(tmp_path / "app.json")
    assert (record["level"], record["logger"]) == (level, logger)
    assert (record["exc"]["type"], record["exc"]["message"]) == (kind, message)
    assert record["process"] != "MainProcess"
    assert not any("mplog/_worker/uncaught.py" in frame["file"] for frame in record["exc"]["frames"])
    assert done.out.strip() == printed
    if way in ("run", "subclass", "thread"):
        assert "Traceback" in done.err


@pytest.mark.parametrize("way", ["run", "thread", "unraisable"])
def test_a_captured_stderr_gets_no_second_report(program, read_log, tmp_path, way):
    """Where stderr is the log, Python's own traceback there is left out: it would be the same exception again."""
    done = program(PROGRAM, "fork", way, "exceptions", "stderr", "fd")
    log = read_log(tmp_path / "app.json")
    assert [record["logger"] for record in log if record["level"] != "INFO"] == ["mplog.uncaught"]
    assert done.err == ""


def test_an_uncaught_exception_of_the_program_itself(program, read_log, tmp_path):
    """The hook of the application is called after the record; one that raises costs one counted note."""
    done = program(
        """
        import sys
        import mplog

        calls = []
        def hook(kind, error, trace):
            calls.append(kind.__name__)
            raise RuntimeError("a broken hook")

        sys.excepthook = hook
        session = mplog.setup("app.json", capture=("exceptions",), console=False)
        for _ in range(12):
            sys.excepthook(ValueError, ValueError("ends it"), None)
        print(len(calls))
        raise ValueError("ends it")
        """,
        ok=False,
    )
    log = read_log(tmp_path / "app.json")
    assert sum(record["msg"] == "uncaught ValueError: the program ends" for record in log) == 13
    notes = [record for record in log if record["level"] == "WARNING"]
    assert [note["count"] for note in notes] == [1, 10]
    assert all(note["exc"]["message"] == "a broken hook" for note in notes)
    assert done.returncode == 1
    assert done.out == "12\n"
    assert "ValueError: ends it" in done.err


def test_a_keyboard_interrupt_is_no_failure(program, read_log, tmp_path):
    """Ctrl-C and `sys.exit` are no records."""
    program(
        """
        import sys, threading
        import mplog

        session = mplog.setup("app.json", capture=("exceptions",), console=False)
        thread = threading.Thread(target=sys.exit)
        thread.start()
        thread.join()
        raise KeyboardInterrupt
        """,
        ok=False,
    )
    assert read_log(tmp_path / "app.json") == []
