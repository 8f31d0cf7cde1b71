"""Output of processes that live, that fork, that never end a line, and of listeners that are killed."""

import time

PROGRAM = """
    import logging
    import multiprocessing
    import os
    import subprocess
    import sys
    import time

    import mplog

    {body}

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with mplog.setup("app.json", capture=("stdout", "stderr", "fd"), console=False) as session:
            child = multiprocessing.Process(target=work, name="W")
            child.start()
            {wait}
            child.join()
"""


def write(body, wait="pass"):
    indented = "\n    ".join(body.strip("\n").split("\n"))
    return PROGRAM.format(body=indented, wait=wait)


def test_a_line_without_end_appears_after_a_while(program, read_log, tmp_path, start_method):
    """Output without newline appears after a short while, whole; what follows is a record of its own."""
    body = """
def work():
    print("a question", end="? ")
    os.write(1, b"raw question? ")
    log = lambda: open("app.json").read()
    deadline = time.monotonic() + 10
    while ("a question" not in log() or "raw question" not in log()) and time.monotonic() < deadline:
        time.sleep(0.02)
    sys.stderr.write(f"waited {time.monotonic() < deadline}")
    print("an answer")
    print("in", end=" ")
    print("pieces", "joined")
"""
    program(write(body), start_method)
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log if record["logger"] == "stdout" and "fd" not in record] == [
        "a question? ",
        "an answer",
        "in pieces joined",
    ]
    assert [record["msg"] for record in log if record.get("fd") == 1] == ["raw question? "]
    assert [record["msg"] for record in log if record["logger"] == "stderr"] == ["waited True"]
    assert {record["process"] for record in log} == {"W"}


def test_a_progress_bar_is_one_record(program, read_log, tmp_path):
    """Progress bars are not a thousand records: only their last state is one."""
    body = """
def work():
    for number in range(1001):
        sys.stderr.write(f"\\\\r{number / 10:.0f}%|bar|")
        sys.stderr.flush()
    sys.stderr.write("\\\\n")
    for number in range(1000):
        os.write(2, b"\\\\r%d of 1000" % (number + 1))
    os.write(2, b"\\\\n")
"""
    program(write(body.replace("\\\\", "\\")), "fork")
    log = read_log(tmp_path / "app.json")
    assert sorted(record["msg"] for record in log) == ["100%|bar|", "1000 of 1000"]


def test_a_forked_child_has_output_of_its_own(program, read_log, tmp_path):
    """After a fork each process's output is its own, also by descriptor, also by `os.fork`."""
    body = """
def work():
    print("begun", end=" ")
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.write(1, b"of the child\\n")
        print("printed by the child")
        os._exit(0)
    os.waitpid(pid, 0)
    print("and ended")
    os.write(1, b"of the parent\\n")
    print(pid, file=sys.stderr)
"""
    program(write(body), "fork")
    log = read_log(tmp_path / "app.json")
    child = int(next(record["msg"] for record in log if record["logger"] == "stderr"))
    assert {record["msg"] for record in log if record["pid"] == child} == {"of the child", "printed by the child"}
    others = {record["msg"] for record in log if record["pid"] != child}
    assert others == {"begun and ended", "of the parent", str(child)}


def test_a_killed_listener_takes_no_output_with_it(program, read_log, tmp_path):
    """However often the listener is killed, each line of output is in the file once, in order."""
    body = """
def work():
    for number in range(3000):
        os.write(1, b"line %d\\n" % number)
        if number % 30 == 0:
            print("printed", number)
            time.sleep(0.002)
"""
    wait = """
            while child.is_alive():
                time.sleep(0.01)
                pid = session._spool.listener_pid()
                if pid:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
    """
    program(write(body, wait.strip()), "fork")
    log = read_log(tmp_path / "app.json")
    assert [record["msg"] for record in log if "fd" in record] == [f"line {number}" for number in range(3000)]
    assert [record["msg"] for record in log if record["msg"].startswith("printed")] == [
        f"printed {number}" for number in range(0, 3000, 30)
    ]


def test_binary_output_is_escaped(program, read_log, tmp_path):
    """What is no UTF-8, and what would drive a terminal, is escaped."""
    body = """
def work():
    os.write(1, b"\\xff\\x00\\x1b[2J\\n")
    sys.stdout.buffer.write(b"caf\\xc3")
    sys.stdout.buffer.write(b"\\xa9 \\xfe\\n")
    sys.stdout.write("lone \\udc80\\n")
"""
    program(write(body), "fork")
    assert b"\x1b" not in (tmp_path / "app.json").read_bytes()
    msgs = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert sorted(msgs) == sorted(["\\xff\x00\x1b[2J", "caf\u00e9 \\xfe", "lone \\udc80"])


def test_flush_includes_output(program, read_log, tmp_path):
    """After `flush` what was written to a descriptor before is in the file."""
    program(
        """
        import os, sys
        import mplog

        with mplog.setup("app.json", capture=("fd",), console=False) as session:
            for number in range(20):
                os.write(1, b"number %d\\n" % number)
                assert session.flush()
                last = open("app.json").read().splitlines()[-1]
                assert f'"number {number}"' in last, last
        """
    )
    assert len(read_log(tmp_path / "app.json")) == 20


SECRETS = """
    import ctypes, glob, multiprocessing, os, stat, subprocess, sys
    import mplog

    def work(session):
        print("by print: password=hunter2 4111-1111")
        sys.stderr.write("to stderr: password=hunter2 4111-1111\\n")
        print("in two parts: password=", end="")
        print("hunter2", "4111-1111")
        print("unfinished: password=hunter2 4111-1111", end="")
        libc = ctypes.CDLL(None)
        libc.puts(b"from C: password=hunter2 4111-1111")
        libc.fflush(None)
        os.write(2, b"by descriptor: password=hunter2 4111-1111\\n")
        subprocess.run(["sh", "-c", "echo by a child program: password=hunter2 4111-1111; echo more 4111-1111 >&2"])
        os.write(1, b"long: " + b"x" * (EDGE - 12) + b" 4111-1111 " + b"x" * 5000 + b"\\n")
        modes = [stat.S_IMODE(os.stat(path).st_mode) for path in glob.glob(session.spool + "/journals/*.fd*")]
        assert len(modes) >= 2 and set(modes) == {0o600}, modes
        os._exit(0)

    # Of a long line the listener keeps the first three quarters of this, and the end.
    EDGE = 8192 * 3 // 4

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        redact = ["password", "re:4111-[0-9]{4}"]
        with mplog.setup("app.json", capture=("stdout", "stderr", "fd"), redact=redact, max_record=65536) as session:
            child = multiprocessing.Process(target=work, args=(session,))
            child.start()
            child.join()
            assert child.exitcode == 0, child.exitcode
"""


def test_secrets_are_redacted_in_output(program, read_log, tmp_path, start_method):
    """Secrets are taken out of captured lines as out of records: of prints in the process, of what C code and
    child programs write to descriptors in the listener; neither file nor console shows one, also not half of one."""
    done = program(SECRETS, start_method)
    text = (tmp_path / "app.json").read_text()
    for secret in ("hunter2", "1111", "4111"):
        assert secret not in text
        assert secret not in done.err + done.out
    found = [record["msg"] for record in read_log(tmp_path / "app.json") if record["logger"] in ("stdout", "stderr")]
    assert sorted(msg for msg in found if not msg.startswith("long: ")) == [
        "by a child program: password=[redacted] [redacted]",
        "by descriptor: password=[redacted] [redacted]",
        "by print: password=[redacted] [redacted]",
        "from C: password=[redacted] [redacted]",
        "in two parts: password=[redacted] [redacted]",
        "more [redacted]",
        "to stderr: password=[redacted] [redacted]",
        "unfinished: password=[redacted] [redacted]",
    ]
    assert sum(msg.startswith("long: ") for msg in found) == 1


def test_rules_that_the_listener_does_not_know_are_kept_all_the_same(program, read_log, tmp_path):
    """Who joins a session with rules of its own does not have descriptors captured, and is told so: the listener,
    which would have to take the secrets out, has the rules of whoever began the session."""
    program(
        """
        import os, subprocess, sys
        import mplog

        redact = ["password", "token"][: int(sys.argv[1])]
        with mplog.setup("app.json", capture=("stdout", "fd"), console=False, redact=redact):
            print("print token=hunter2")
            os.write(1, b"descriptor token=hunter2\\n")
            if sys.argv[1] == "0":
                done = subprocess.run([sys.executable, __file__, "2"], capture_output=True, text=True)
                assert done.stdout == "descriptor token=hunter2\\n"
                assert "not captured here; give the same `redact` to the `setup` that begins it" in done.stderr
        """,
        0,
    )
    said = [record["msg"] for record in read_log(tmp_path / "app.json")]
    assert sorted(said) == ["descriptor token=hunter2", "print token=[redacted]", "print token=hunter2"]


def test_the_console_shows_each_line_once(program, start_method):
    """With everything captured, the console shows each line once, and not as it was written."""
    done = program(
        """
        import multiprocessing, os, sys
        import mplog

        def work():
            print("by print")
            os.write(2, b"by descriptor\\n")

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            with mplog.setup(None, capture=("stdout", "stderr", "fd"), listener=sys.argv[2]):
                child = multiprocessing.Process(target=work)
                child.start()
                child.join()
                print("of the parent")
                os.write(1, b"by its descriptor\\n")
            print("afterwards")
        """,
        start_method,
        "thread" if start_method == "spawn" else "process",
    )
    lines = done.err.splitlines()
    for text in ("by print", "by descriptor", "of the parent", "by its descriptor"):
        assert sum(text in line for line in lines) == 1, (text, lines)
    assert done.out == "afterwards\n"


def test_a_full_raw_file_never_blocks(program, read_log, tmp_path):
    """A stopped listener holds up nobody who writes to a descriptor; above the quota output is left out, noted."""
    began = time.monotonic()
    program(
        """
        import logging, os, signal, time
        import mplog
        import mplog.worker as worker

        with mplog.setup("app.json", capture=("fd",), console=False, quota="1 MB") as session:
            session.flush()
            listener = session._spool.listener_pid()
            os.kill(listener, signal.SIGSTOP)
            for number in range(3000):
                os.write(1, b"x" * 999 + b"\\n")
            worker.current.check_at = 0  # the next record looks
            logging.warning("look")
            for number in range(3000):
                os.write(1, b"y" * 999 + b"\\n")
            os.kill(listener, signal.SIGCONT)
            deadline = time.monotonic() + 10
            while os.readlink("/proc/self/fd/1") == "/dev/null" and time.monotonic() < deadline:
                worker.current.check_at = 0
                logging.warning("look")
                time.sleep(0.01)
            os.write(1, b"again\\n")
        """
    )
    assert time.monotonic() - began < 20
    log = read_log(tmp_path / "app.json")
    assert sum(record["msg"][0] == "x" for record in log) == 3000
    assert sum(record["msg"][0] == "y" for record in log) == 0
    assert sum("left out from now on" in record["msg"] for record in log) == 1
    assert [record["msg"] for record in log if record.get("fd")][-1] == "again"
