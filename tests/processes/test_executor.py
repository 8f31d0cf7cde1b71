"""Workers of a ProcessPoolExecutor."""

from collections import Counter

import pytest

PROGRAM = """
    import logging
    import multiprocessing
    import sys
    from concurrent.futures import ProcessPoolExecutor

    import mplog

    def work(number):
        logging.getLogger("app").info("task %d", number)
        return number

    if __name__ == "__main__":
        options = {"mp_context": multiprocessing.get_context(sys.argv[1])}
        if sys.argv[2] != "0":
            options["max_tasks_per_child"] = int(sys.argv[2])
        with mplog.setup("app.json", console=False) as session:
            if sys.argv[3] == "initializer":
                options["initializer"] = session.attach
            with ProcessPoolExecutor(2, **options) as executor:
                # One after the other: with more, stock executors hang (python/cpython#115634).
                for number in range(8):
                    assert executor.submit(work, number).result(20) == number
"""


@pytest.mark.parametrize("wired", ["initializer", "nothing"])
@pytest.mark.parametrize("most", [0, 2])
def test_executor_workers_attach(program, read_log, tmp_path, start_method, most, wired):
    """ProcessPoolExecutor with and without `max_tasks_per_child`, by itself and by its initializer."""
    if most and start_method == "fork":
        pytest.skip("ProcessPoolExecutor refuses max_tasks_per_child under fork")
    done = program(PROGRAM, start_method, most, wired)
    assert done.err == ""
    log = read_log(tmp_path / "app.json")
    assert Counter(record["msg"] for record in log) == Counter(f"task {number}" for number in range(8))
