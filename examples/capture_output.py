"""Have everything that workers say in one log: prints, warnings, C code, child programs.

    Worker-1 stdout: printed
    Worker-1 py.warnings: UserWarning: low on paper
    Worker-1 stdout: written by C
    Worker-1 stderr: written by a child program
    Worker-1 app: logged
"""

import ctypes
import logging
import multiprocessing
import subprocess
import sys
import warnings

import mplog


def work():
    print("printed")
    warnings.warn("low on paper", stacklevel=1)
    libc = ctypes.CDLL(None)
    libc.puts(b"written by C")
    libc.fflush(None)
    subprocess.run(["sh", "-c", "echo written by a child program >&2"], check=True)
    logging.getLogger("app").info("logged")


if __name__ == "__main__":
    multiprocessing.set_start_method(*sys.argv[1:] or ["spawn"])
    with mplog.setup(
        "capture_output.log",
        console="stdout",
        format="%(processName)s %(name)s: %(message)s",
        capture=("warnings", "stdout", "stderr", "fd"),
    ):
        worker = multiprocessing.Process(target=work, name="Worker-1")
        worker.start()
        worker.join()
