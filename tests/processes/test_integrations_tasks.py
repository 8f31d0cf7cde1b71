"""joblib, Dask, Celery and torch: what other people's workers log."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def test_joblib(program, read_log, tmp_path):
    """Workers of an executor that is warm already attach in `attached`; new ones do by themselves."""
    pytest.importorskip("joblib")
    program(
        """
        import logging
        import mplog
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        from mplog.integrations.joblib import attached

        def work(number):
            logging.getLogger("app").info("number %d", number)

        if __name__ == "__main__":
            Parallel(n_jobs=2)(delayed(abs)(n) for n in range(4))
            with mplog.setup("app.json", console=False) as session:
                with attached(session):
                    Parallel(n_jobs=2)(delayed(work)(n) for n in range(6))
                get_reusable_executor(kill_workers=True).shutdown()
                Parallel(n_jobs=2)(delayed(work)(n) for n in range(6, 9))
                get_reusable_executor().shutdown()
        """
    )
    log = read_log(tmp_path / "app.json")
    assert sorted(record["msg"] for record in log) == [f"number {n}" for n in range(9)]
    assert all(record["process"].startswith("LokyProcess") for record in log)


def test_dask(program, read_log, tmp_path):
    """With the plugin Dask's workers attach, also after a restart, and Dask's own records come to the log."""
    pytest.importorskip("distributed")
    program(
        """
        import logging
        import mplog
        from distributed import Client, LocalCluster
        from mplog.integrations.dask import MplogPlugin

        def work(number):
            logging.getLogger("app").info("number %d", number)
            logging.getLogger("distributed.worker").warning("of dask itself")

        if __name__ == "__main__":
            with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
                with Client(cluster) as client, mplog.setup("app.json", console=False, auto_attach=False) as session:
                    client.register_plugin(MplogPlugin(session))
                    client.gather(client.map(work, range(4)))
                    client.restart()
                    client.gather(client.map(work, range(4, 8)))
        """
    )
    log = read_log(tmp_path / "app.json")
    assert sorted(r["msg"] for r in log if r["logger"] == "app") == [f"number {n}" for n in range(8)]
    assert sum(record["msg"] == "of dask itself" for record in log) == 8


JOBS = """
    import logging
    from celery import Celery
    from celery.utils.log import get_task_logger
    from mplog.integrations.celery import connect

    app = Celery("jobs", broker="filesystem://", backend="file://{directory}/results")
    app.conf.broker_transport_options = {{
        "data_folder_in": "{directory}/broker", "data_folder_out": "{directory}/broker",
        "control_folder": "{directory}/control",
    }}
    connect("{directory}/app.json", console=False)
    log, task_log = logging.getLogger("app"), get_task_logger(__name__)

    @app.task
    def work(number):
        log.info("number %d", number)
        task_log.info("task of number %d", number)
        return number
"""


def test_celery(tmp_path, read_log, eventually):
    """Celery's worker, its pool's processes and its tasks write into one log; loggers of tasks, too."""
    pytest.importorskip("celery")
    (tmp_path / "broker").mkdir()
    (tmp_path / "control").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS).format(directory=tmp_path))
    command = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "-c", "2", "--without-gossip", "-l", "INFO"]
    with (tmp_path / "out").open("w") as out, subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out) as worker:
        try:
            ask = "import jobs; print([r.get(timeout=20) for r in [jobs.work.delay(n) for n in range(4)]])"
            done = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, timeout=40)
            assert done.stdout == "[0, 1, 2, 3]\n", done.stderr + (tmp_path / "out").read_text()
        finally:
            worker.terminate()
            worker.wait(timeout=20)
    log = read_log(tmp_path / "app.json")
    pool = [record for record in log if record["logger"] in ("app", "jobs")]
    expected = [f"number {n}" for n in range(4)] + [f"task of number {n}" for n in range(4)]
    assert sorted(record["msg"] for record in pool) == sorted(expected)
    assert {record["process"] for record in pool} <= {"ForkPoolWorker-1", "ForkPoolWorker-2"}
    assert any(record["logger"] == "celery.app.trace" for record in log)


def test_torch(program, read_log, tmp_path, start_method):
    """`worker_init_fn` attaches a DataLoader's workers, names them, and calls the user's own function."""
    pytest.importorskip("torch")
    program(
        """
        import logging, sys
        import mplog
        from mplog.integrations.torch import worker_init_fn
        from torch.utils.data import DataLoader, Dataset

        class Data(Dataset):
            def __len__(self):
                return 4
            def __getitem__(self, at):
                logging.getLogger("data").info("item %d", at)
                return at

        def mine(number):
            logging.getLogger("data").info("mine")

        if __name__ == "__main__":
            with mplog.setup("app.json", console=False, auto_attach=False) as session:
                loader = DataLoader(
                    Data(), num_workers=2, multiprocessing_context=sys.argv[1],
                    worker_init_fn=worker_init_fn(session, mine),
                )
                assert len(list(loader)) == 4
        """,
        start_method,
    )
    log = read_log(tmp_path / "app.json")
    assert sorted(record["msg"] for record in log) == [*(f"item {n}" for n in range(4)), "mine", "mine"]
    assert {record["process"] for record in log} == {"DataLoader-0", "DataLoader-1"}


def test_a_workers_init_function_without_torch(program, read_log, tmp_path, start_method):
    """The same in a process that torch has not started: it pickles, attaches, names, and calls the user's own."""
    program(
        """
        import logging, multiprocessing, sys
        import mplog
        from mplog.integrations.torch import worker_init_fn

        def mine(number):
            logging.getLogger("data").info("mine %d", number)

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with mplog.setup("app.json", console=False, auto_attach=False) as session:
                worker = context.Process(target=worker_init_fn(session, mine), args=(3,))
                worker.start()
                worker.join()
                assert worker.exitcode == 0
        """,
        start_method,
    )
    (record,) = read_log(tmp_path / "app.json")
    assert (record["process"], record["msg"]) == ("DataLoader-3", "mine 3")
