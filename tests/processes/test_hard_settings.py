"""Programs that configure logging twice, embed Python, or begin while another one's session is alive."""

from __future__ import annotations

import logging
import logging.config

import mplog
from mplog._shared import launch

PLAIN = {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}}

INI = """
[loggers]
keys=root
[handlers]
keys=
[formatters]
keys=
[logger_root]
level=INFO
handlers=
"""

SECOND = """
import subprocess, sys
import mplog

if __name__ == "__main__":
    with mplog.setup("app.json", console={console!r}) as session:
        session.flush()
        code = "import mplog; mplog.setup('app.json', console={console!r}).close()"
        print(subprocess.run([sys.executable, "-c", code], {where}).stderr)
"""


def test_every_configuration_of_logging_is_survived_not_only_the_first(tmp_path, read_log):
    """A `dictConfig` or `fileConfig` after another one does not take the log away."""
    ini = tmp_path / "logging.ini"
    ini.write_text(INI)
    before = logging.root.handlers[:], logging.root.level
    log = logging.getLogger("hard.configured")
    try:
        with mplog.setup(tmp_path / "app.json", console=False):
            for number in range(3):
                logging.config.dictConfig(PLAIN)
                log.info("dict %d", number)
                logging.config.fileConfig(ini, disable_existing_loggers=False)
                log.info("file %d", number)
    finally:
        logging.root.handlers[:] = before[0]
        logging.root.setLevel(before[1])
    expected = [f"{kind} {number}" for number in range(3) for kind in ("dict", "file")]
    assert [record["msg"] for record in read_log(tmp_path / "app.json")] == expected


def test_a_program_that_embeds_python_is_not_started_as_its_interpreter(monkeypatch, tmp_path):
    """Where `sys.executable` is the embedding program the installed interpreter is used, else a thread listens."""
    monkeypatch.setattr(launch.sys, "executable", "/usr/bin/env")
    assert "python" in (launch._python() or "python")
    monkeypatch.setattr(launch.sys, "exec_prefix", str(tmp_path))
    assert launch._python() is None


def test_who_joins_a_session_is_told_that_its_console_is_elsewhere(program):
    """A second program with another stderr learns, once, that the console of the session is not there."""
    done = program(SECOND.format(console=True, where="stderr=subprocess.PIPE, text=True"))
    assert done.out.count("its console is where that was started") == 1


def test_who_joins_at_the_same_console_is_told_nothing(program):
    """Programs that share a stderr share the console."""
    assert program(SECOND.format(console=True, where="")).err == ""
    assert program(SECOND.format(console=False, where="")).err == ""


def test_a_process_that_may_write_no_large_file_loses_nothing(program, read_log, tmp_path):
    """RLIMIT_FSIZE in a worker, below the size of a segment: every record is there, or counted."""
    program(
        """
        import logging, multiprocessing, resource
        import mplog

        def work():
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
            for number in range(500):
                logging.warning("record %d", number)

        if __name__ == "__main__":
            with mplog.setup("app.json", console=False):
                process = multiprocessing.Process(target=work)
                process.start()
                process.join()
                assert process.exitcode == 0
        """
    )
    records = read_log(tmp_path / "app.json")
    dropped = sum(record.get("dropped", 0) for record in records)
    assert sum(record["msg"].startswith("record ") for record in records) + dropped == 500
