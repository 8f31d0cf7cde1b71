"""A process that has imported the command `mplog`, and forks for each call of it.

A call is a process of its own, with its own descriptors, directory and environment, as if it had been started; only
the time for the interpreter and the imports is saved. What it is asked comes over a socket, a JSON object and the
descriptors of stdin, stdout and stderr; the answer is the exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import socket
import sys
import time


def serve(connection: socket.socket) -> dict[str, object] | None:
    """Fork for each request until nobody is left who asks; return the request in the child that is to answer it."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not message:
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return dict(json.loads(message))
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):
            connection.send(b"%d" % os.waitstatus_to_exitcode(status))


def begin(request: dict[str, object]) -> list[str]:
    """Be the process that was asked for; return its arguments."""
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    time.tzset()
    sys.stdin = io.TextIOWrapper(open(0, "rb"), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(open(1, "wb"), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(open(2, "wb"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.argv = ["mplog", *request["args"]]  # type: ignore[misc]
    return sys.argv[1:]


if __name__ == "__main__":
    from mplog.__main__ import main
    from mplog.viewer.commands import available

    for command in available():
        importlib.import_module(command.module)
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        sys.exit(main(begin(asked)))
