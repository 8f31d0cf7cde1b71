"""The spool: the directory of one session, where its journals lie. Runs in every process.

    <root>/<name>.lock           held while a session is begun, joined, elected for, or cleared away
    <root>/<name>/session.json   id and configuration
                  listener.lock  held by the listener
                  status         what the listener has committed, see `Status`
                  stats.json     counts for `Session.stats`
                  control.json   levels set at run time
                  commits        intents of the listener, see `commit`
                  wake           FIFO: a byte makes the listener look at once
                  terminal       FIFO: console lines for a process with progress bars, see `router`
                  progress.*     how far loops are, see `slots`
                  journals/      owner files and segments
                  others/        those of processes that have given up root

Everything in it can be read with `cat`. Directories are 0700, files 0600, owned by the user, no links followed.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
from typing import Any, NamedTuple

try:
    from _blake2 import blake2b  # what `hashlib` gives out, without the 3 ms of loading OpenSSL
except ImportError:
    from hashlib import blake2b

from mplog._shared import lock
from mplog._shared.held import Held, make_directory, open_private
from mplog._shared.segments import parse_segment_name
from mplog.exceptions import SpoolError

BOX = "mplog-journals"
"""The directory for the journals of processes that have given up root, in `others`."""
SYSTEM_UIDS = 1000
"""Users below are system users, whose /dev/shm entries logind leaves alone (logind.conf, RemoveIPC=)."""

LEAST_ROOM, LEAST_FILES = 2 << 20, 64
"""Bytes and files that a place must have room for if another one has: commit log, owner files, first segments."""


def roots(file: str | None, explicit: str | None) -> list[str]:
    """Return the directories in which a session's spool may lie, best first."""
    if explicit or os.environ.get("MPLOG_SPOOL"):
        return [os.path.abspath(explicit or os.environ["MPLOG_SPOOL"])]
    found = []
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if runtime:
        found.append(os.path.join(runtime, "mplog"))
    if os.getuid() < SYSTEM_UIDS and os.path.isdir("/dev/shm"):
        found.append(f"/dev/shm/mplog-{os.getuid()}")
    if file:
        found.append(os.path.join(os.path.dirname(os.path.realpath(file)), ".mplog"))
    return found


def session_name(file: str | None) -> str:
    """Return the name that every process finds for the same log file, or a random one without a file."""
    if not file:
        return "console-" + os.urandom(8).hex()
    real = os.path.realpath(file)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(real))[:40]
    return f"{stem}-{blake2b(os.fsencode(real), digest_size=8).hexdigest()}"


class Status(NamedTuple):
    """What the listener says of itself, one line of fixed width, rewritten in place."""

    committed: int
    """Monotonic ns: every record whose call returned before is in the file."""
    beat: int
    """Monotonic ns of the listener's last step."""
    alive: int
    """How many owners other than the listener live."""
    pid: int

    def to_bytes(self) -> bytes:
        """Return the line."""
        return b"%020d %020d %08d %010d\n" % self

    @classmethod
    def from_bytes(cls, data: bytes) -> "Status | None":
        """Return what the line says, or None where it is not (yet) one."""
        try:
            return cls(*map(int, data.split()))
        except (TypeError, ValueError):
            return None


class Spool:
    """One session's directory and the paths in it.

    Args:
        path: the session's directory.
        second: where journals may continue when there is no room or no right to write in `path`.
    """

    def __init__(self, path: str, second: str | None = None) -> None:
        self.path = path
        self.second = second
        self.journals = os.path.join(path, "journals")
        self.journal_directories = [self.journals]
        if second:
            self.journal_directories.append(os.path.join(second, "journals"))
        self._way: Held | None = None
        self._box = os.path.join(path, "others", BOX)
        if os.geteuid() == 0:
            self.journal_directories.append(self._box)
        self.lock_path = path + ".lock"
        self.listener_lock = os.path.join(path, "listener.lock")

    def file(self, name: str) -> str:
        """Return the path of one of the session's files."""
        return os.path.join(self.path, name)

    def create(self) -> None:
        """Make the directories that are missing and check the owner and mode of those that exist.

        Raises:
            SpoolError: one cannot be made or trusted.
        """
        for path in (os.path.dirname(self.path), self.path, self.journals):
            private_directory(path)
        if os.geteuid() == 0:
            _open_box(self._box)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.file("wake"), 0o600)
            os.chmod(self.file("wake"), 0o600)

    def keep_way(self) -> None:
        """Keep a way to a directory in which this process may make its journal when it has given up root.

        Others may make files there (never list, read or remove those of somebody else), but nobody comes to it by its
        name, through directories that are root's alone: only by the descriptor, which children inherit.
        """
        if os.geteuid() == 0 and self._way is None:
            with contextlib.suppress(OSError, AttributeError):
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                self._way = Held(os.open(os.path.dirname(self._box), flags))

    def leave_way(self) -> None:
        """Give the descriptor back."""
        way, self._way = self._way, None
        if way is not None:
            way.close()

    def writable_directories(self) -> list[str]:
        """Return where this process may begin journals and segments, best first."""
        # The name at its end is in no directory that the application may have opened by this number meanwhile.
        way = [f"/proc/self/fd/{self._way.fd}/{BOX}"] if self._way is not None else []
        return [path for path in self.journal_directories if path != self._box] + way

    def revive(self, directory: str) -> None:
        """Make a directory of journals again that somebody removed; never raises."""
        with contextlib.suppress(OSError):
            if directory in (self.journals, self._box):
                self.create()
            elif self.second and directory == os.path.join(self.second, "journals"):
                for path in (os.path.dirname(self.second), self.second, directory):
                    private_directory(path)

    def read_session(self) -> dict[str, Any] | None:
        """Return what `session.json` holds, or None if there is no session."""
        try:
            with open(self.file("session.json"), "rb") as file:
                content = json.loads(file.read())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def write_file(self, name: str, data: bytes) -> None:
        """Replace one of the session's files as a whole."""
        path = self.file(name)
        temporary = f"{path}.{os.getpid()}.tmp"
        fd = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.replace(temporary, path)

    def status(self) -> Status | None:
        """Return what the listener last said of itself."""
        try:
            with open(self.file("status"), "rb", buffering=0) as file:
                return Status.from_bytes(file.read(128))
        except OSError:
            return None

    def wake(self) -> bool:
        """Make the listener look at once; return False if there is none. Never raises, never waits."""
        try:
            fd = os.open(self.file("wake"), os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            return error.errno not in (errno.ENXIO, errno.ENOENT)
        try:
            with contextlib.suppress(OSError):
                os.write(fd, b"w")
        finally:
            os.close(fd)
        return True

    def listener_pid(self) -> int | None:
        """Return the pid of the live listener (0 if the kernel does not tell), or None if there is none."""
        with contextlib.suppress(OSError):
            found = lock.holder(self.listener_lock)
            return None if found is None else found.pid
        return None

    def lock_session(self) -> int | None:
        """Take the session's lock, for its end; None if it is held, -1 if it went with the directory around it."""
        return lock.acquire(self.lock_path) if os.path.isdir(os.path.dirname(self.path)) else -1

    def close_journals(self) -> bool:
        """Remove the directories of journals; return False, and leave them, if a journal is in one or being made.

        Nobody can begin a journal afterwards without making the directory again. The caller holds the session's lock.
        """
        for directory in self.journal_directories:
            with contextlib.suppress(OSError):
                for name in os.listdir(directory):
                    path = os.path.join(directory, name)
                    if not (name.endswith(".owner") or parse_segment_name(name)) and _age(path) > 1.0:
                        os.unlink(path)
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError:
                if directory != self.journals and not os.path.lexists(directory):
                    continue  # in somebody else's directory beside the log
                self.revive(self.journals)
                return False
        return True

    def clear(self) -> None:
        """Remove the session's directory, unless somebody has begun a journal in it again.

        The caller holds the session's lock and has closed the journals.
        """
        for top in (self.second, self.path):
            if top:
                remove_tree(top)
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.dirname(top))


def variable(path: str, second: str | None) -> str:
    """Return what `MPLOG_SESSION` says of a session whose spool has these directories."""
    return path + (os.pathsep + second if second else "")


def of_variable(value: str) -> Spool:
    """Return the spool that `variable` named. Both directories end with the session's name; a colon may be in each."""
    end = f"{os.sep}{os.path.basename(value)}"
    first, both, second = value.partition(f"{end}{os.pathsep}{os.sep}")
    return Spool(first + end, os.sep + second) if both else Spool(value)


def place(file: str | None, explicit: str | None) -> Spool:
    """Return the spool for a log file, its directories made, in the first place that allows it.

    Where the file has a session already comes first, and last where there is no room.

    Raises:
        SpoolError: no place allows it; the message names each with its reason.
    """
    name = session_name(file)
    tried = []
    candidates = roots(file, explicit)
    has_session = [os.path.exists(os.path.join(root, name, "session.json")) for root in candidates]
    order = sorted(range(len(candidates)), key=lambda index: (not has_session[index], not has_room(candidates[index])))
    for index in order:
        root = candidates[index]
        second = next((os.path.join(other, name) for other in candidates[index + 1 :]), None)
        spool = Spool(os.path.join(root, name), second)
        try:
            spool.create()
        except OSError as error:
            tried.append(f"{root} ({error.strerror or error})")
            continue
        return spool
    if not file and not explicit:
        return _temporary(name)
    raise SpoolError(f"`spool` cannot be created in {' or '.join(tried)}; name a writable directory with `spool=`.")


def has_room(root: str) -> bool:
    """Tell whether a session can begin in a directory that need not exist yet: a /dev/shm of 64 MiB is soon full."""
    with contextlib.suppress(OSError):
        found = os.statvfs(root if os.path.isdir(root) else os.path.dirname(root))
        enough = found.f_bavail * found.f_frsize >= LEAST_ROOM
        return enough and (not found.f_files or found.f_favail >= LEAST_FILES)
    return False


def _temporary(name: str) -> Spool:
    """Return a spool for a session without a file: nobody has to find it, so the directory is a fresh one."""
    import tempfile

    spool = Spool(os.path.join(tempfile.mkdtemp(prefix="mplog-"), name))
    spool.create()
    return spool


def private_directory(path: str) -> None:
    """Make a directory with mode 0700, or check that the one which exists is ours and nobody else's.

    Raises:
        SpoolError: it belongs to somebody else, others may use it, or it is no directory.
    """
    with contextlib.suppress(FileExistsError):
        make_directory(path, 0o700)
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise SpoolError(errno.ENOTDIR, f"`spool` needs {path!r}, which is no directory; remove it or set `spool`.")
    if found.st_uid != os.geteuid():
        raise SpoolError(
            errno.EPERM, f"`spool` {path!r} belongs to user {found.st_uid}; remove it or set another `spool`."
        )
    if found.st_mode & 0o077:
        raise SpoolError(errno.EPERM, f"`spool` {path!r} is open to others; run `chmod 700` on it or set `spool`.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise SpoolError(errno.EACCES, f"`spool` {path!r} is not writable; set another `spool`.")


def _open_box(path: str) -> None:
    """Make the directory in which processes that were root make their journals."""
    for directory, mode in ((os.path.dirname(path), 0o711), (path, 0o1733)):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
            os.chmod(directory, mode)  # whatever the umask


def _age(path: str) -> float:
    return time.time() - os.stat(path, follow_symlinks=False).st_mtime


def remove_tree(path: str) -> None:
    """Remove one session's directory; what is missing already is fine, and what is in use stays."""
    for name in ("journals", f"others/{BOX}", "others"):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(path, name))
    try:
        names = os.listdir(path)
    except OSError:
        return
    if "journals" in names or "others" in names:
        return
    # The session's own file last: a listener that is killed in here is started again, and finds what to do.
    for name in sorted(names, key=lambda name: name == "session.json"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(path, name))
    with contextlib.suppress(OSError):
        os.rmdir(path)
