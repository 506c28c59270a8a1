"""The entries of a ZIP file, deflated or compressed with Zstandard, one at a time and none larger than is sensible."""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.reading import open_file

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"PK\x03\x04"
ZSTANDARD = 93
MOST_ENTRY = 1 << 29  # bytes of one entry
MOST_ENTRIES = 1 << 21
_HEADER = struct.Struct("<4s5H3I2H")  # in front of an entry; the last two are the lengths of its name and extra field
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OSError, NotImplementedError)


class ZipReader:
    """A ZIP file that is open for reading."""

    def __init__(self, path: Path, file: BinaryIO, archive: zipfile.ZipFile, what: str) -> None:
        self._path, self._file, self._what = path, file, what
        # of two entries of one name the last one counts, as for the tool itself
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self._archive = archive

    @property
    def names(self) -> list[str]:
        """The names of its entries."""
        return list(self._entries)

    def read(self, name: str) -> bytes:
        """The content of an entry.

        Raises:
            Unreadable: it is damaged, encrypted or too large.
        """
        entry = self._entries[name]
        if entry.file_size > MOST_ENTRY:
            raise self._damaged(name, f"{entry.file_size:,} bytes, and at most {MOST_ENTRY:,} are read")
        try:
            content = self._zstandard(entry) if entry.compress_type == ZSTANDARD else self._archive.read(entry)
        except (*_DAMAGE, RuntimeError) as error:
            raise self._damaged(name, str(error) or type(error).__name__) from None
        if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
            raise self._damaged(name, "its checksum is another one")
        return content

    def _zstandard(self, entry: zipfile.ZipInfo) -> bytes:
        self._file.seek(entry.header_offset)
        header = _HEADER.unpack(self._file.read(_HEADER.size))
        if header[0] != MAGIC:
            raise zipfile.BadZipFile("no entry begins there")
        self._file.seek(header[-2] + header[-1], io.SEEK_CUR)
        return decompressed(self._file.read(entry.compress_size), entry.file_size)

    def _damaged(self, name: str, why: str) -> Unreadable:
        return Unreadable(self._path, self._what, f"a damaged entry {name} ({why})", "was the file cut off?")


def decompressed(content: bytes, size: int) -> bytes:
    """What Zstandard frames hold, of which `size` bytes are expected: no more than that is made."""
    made = bytearray()
    try:
        while content and len(made) <= size:
            frame = zstd.ZstdDecompressor()
            made += frame.decompress(content, size + 1 - len(made))
            if not frame.eof:
                break
            content = frame.unused_data
    except zstd.ZstdError as error:
        raise zipfile.BadZipFile(str(error)) from None
    return bytes(made)


@contextmanager
def open_zip(path: Path, what: str) -> Iterator[ZipReader]:
    """Open a ZIP file.

    Raises:
        Unreadable: it is none, or its end is missing, where the list of its entries stands.
    """
    with os.fdopen(open_file(path, what), "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            found = f"a ZIP file without its end, where the list of its entries stands ({error})"
            raise Unreadable(path, what, found, "was the file cut off?") from None
        if len(archive.infolist()) > MOST_ENTRIES:
            raise Unreadable(path, what, f"a ZIP file of more than {MOST_ENTRIES:,} entries")
        yield ZipReader(path, file, archive, what)
