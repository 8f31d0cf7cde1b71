"""gunicorn and uvicorn with several workers, asked over HTTP."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

APP = """
    import logging, os

    log = logging.getLogger("app")

    def wsgi(environ, start_response):
        log.info("served %s", environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    async def asgi(scope, receive, send):
        if scope["type"] == "http":
            log.info("served %s", scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def get(port, path):
    """Return the answer of a server, or None."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except OSError:
        return None
    finally:
        connection.close()


def serve(tmp_path, eventually, port, *command):
    """Run a server, ask it until two workers have answered, end it; return the pids that answered."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    errors = (tmp_path / "errors").open("w")
    with errors, subprocess.Popen([sys.executable, *command], cwd=tmp_path, stdout=errors, stderr=errors) as server:
        try:
            assert eventually(lambda: get(port, "/first"), 20.0), (tmp_path / "errors").read_text()
            pids = set()
            assert eventually(lambda: pids.add(get(port, "/again")) or len(pids - {None}) >= 2, 20.0)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=20)
    return pids - {None}


def check(log, pids, own):
    served = [record for record in log if record["logger"] == "app"]
    assert served[0]["msg"] == "served /first"
    assert pids <= {str(record["pid"]) for record in served}
    assert any(record["logger"].startswith(own) for record in log)


def test_gunicorn(tmp_path, eventually, read_log):
    """gunicorn's workers attach by themselves; its own logs come to the same file, and nothing to stderr twice."""
    pytest.importorskip("gunicorn")
    port = free_port()
    (tmp_path / "gunicorn.conf.py").write_text(
        textwrap.dedent(f"""
        import mplog
        from mplog.integrations.gunicorn import log_config, post_fork

        mplog.setup("app.json", console=False)
        logconfig_dict = log_config()
        accesslog = "-"
        bind = "127.0.0.1:{port}"
        workers = 2
        """)
    )
    pids = serve(tmp_path, eventually, port, "-m", "gunicorn", "app:wsgi")
    log = read_log(tmp_path / "app.json")
    check(log, pids, "gunicorn.error")
    assert any(record["logger"] == "gunicorn.access" and "/first" in record["msg"] for record in log)
    assert {"gunicorn-1", "gunicorn-2"} <= {record["process"] for record in log if record["logger"] == "app"}
    assert "Listening" not in (tmp_path / "errors").read_text()


def test_uvicorn(tmp_path, eventually, read_log):
    """uvicorn's spawned workers attach by themselves; its own logs come to the same file."""
    pytest.importorskip("uvicorn")
    port = free_port()
    (tmp_path / "serve.py").write_text(
        textwrap.dedent(f"""
        import mplog, uvicorn
        from mplog.integrations.uvicorn import log_config

        if __name__ == "__main__":
            with mplog.setup("app.json", console=False):
                uvicorn.run("app:asgi", port={port}, workers=2, log_config=log_config())
        """)
    )
    pids = serve(tmp_path, eventually, port, "serve.py")
    log = read_log(tmp_path / "app.json")
    check(log, pids, "uvicorn")
    assert any(record["logger"] == "uvicorn.access" and "/first" in record["msg"] for record in log)
    assert "Started" not in (tmp_path / "errors").read_text()
