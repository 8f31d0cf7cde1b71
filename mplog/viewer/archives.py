"""Compressed files, unpacked on the way. Runs in the command `mplog`."""

from __future__ import annotations

import importlib
import io
from typing import Any, BinaryIO, cast

from mplog.viewer.exceptions import ViewerError

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_CHUNK = 1 << 17


def is_compressed(path: str) -> bool:
    """Say whether a file is compressed, by its name."""
    return path.endswith(SUFFIXES)


def open_archive(path: str) -> BinaryIO:
    """Open a compressed file for reading.

    Raises:
        ViewerError: a `.zst` file and no module that reads it.
        OSError: the file cannot be opened.
    """
    if path.endswith(".zst"):
        return cast("BinaryIO", _Archive(_open_zstd(path)))
    name = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}[path[path.rindex(".") :]]
    return cast("BinaryIO", _Archive(importlib.import_module(name).open(path)))


class _Archive(io.RawIOBase):
    """Read a compressed stream; whatever error its module has for damage becomes an `OSError`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return cast("bytes", self._read(self._inner.read, size))

    def read1(self, size: int = -1) -> bytes:
        """Return what there is before an archive breaks off; the next call raises."""
        return cast("bytes", self._read(getattr(self._inner, "read1", self._inner.read), size))

    def seek(self, offset: int, _whence: int = 0) -> int:
        return cast("int", self._read(self._inner.seek, offset))

    @staticmethod
    def _read(read: Any, argument: int) -> Any:
        try:
            return read(argument)
        except (OSError, EOFError, MemoryError):
            raise
        except Exception as error:  # zlib.error, lzma.LZMAError, ZstdError of any of four modules
            raise OSError(f"the archive is damaged: {error}") from None

    def close(self) -> None:
        self._inner.close()
        super().close()


def _open_zstd(path: str) -> Any:
    """Open a zstd file with whichever module there is; Python 3.14 has one of its own."""
    for name in ("compression.zstd", "backports.zstd", "pyzstd", "zstandard"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return _Frames(path, module) if name == "zstandard" else module.open(path, "rb")
    raise ViewerError(
        f"{path}: reading .zst needs Python 3.14 or the module zstandard (pip install zstandard); "
        f"or unpack it on the way: zstd -dc {path} | mplog view -"
    )


class _Frames:
    """Read a zstd file with `zstandard`, whose own reader ends at the first frame and is silent about a torn one."""

    def __init__(self, path: str, module: Any) -> None:
        self._decompressor = module.ZstdDecompressor()
        self._frame: Any = None
        self._packed = b""
        self._ready = b""
        self._file = open(path, "rb", buffering=0)

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or all there are."""
        parts = []
        while size and (part := self.read1(size)):
            parts.append(part)
            size -= len(part) if size > 0 else 0
        return b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        """Return some bytes, none at the end."""
        while not self._ready:
            if not self._packed:
                self._packed = self._file.read(_CHUNK)
            if not self._packed:
                if self._frame is None:
                    return b""
                raise EOFError("Compressed file ended before the end of its last frame")
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            self._ready = self._frame.decompress(self._packed)
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        if size < 0:
            size = len(self._ready)
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def seek(self, offset: int) -> int:
        """Go to an offset: back to the beginning, and read up to there."""
        self._file.seek(0)
        self._frame, self._packed, self._ready = None, b"", b""
        left = offset
        while left > 0 and (part := self.read1(min(left, _CHUNK))):
            left -= len(part)
        return offset - left

    def close(self) -> None:
        self._file.close()
