"""File objects that encrypt what is written, and decrypt and verify what is read, in constant memory."""

import builtins
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from canis import Client
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from . import header
from .header import FileError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CHUNK, TAG, NONCE = 65536, 16, 16


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Writer(io.RawIOBase):
    """Encrypts into `sink` what is written, for keys of the server. `finish` must follow; closing alone leaves the file
    without an end, so that nobody takes half of it for the whole."""

    def __init__(self, client: Client, sink: BinaryIO, keys: list[str]) -> None:
        file_key, nonce = header.new_file_key(), os.urandom(NONCE)
        sink.write(header.make(client, keys, file_key) + nonce)
        self._sink, self._number, self._chunk = sink, 0, bytearray()
        self._key = ChaCha20Poly1305(header.derive(file_key, nonce, b"payload"))

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        view = memoryview(data).cast("B")
        for at in range(0, len(view), CHUNK):
            self._chunk += view[at : at + CHUNK]
            # Only more shows that a full chunk was not the last.
            if len(self._chunk) > CHUNK:
                self._seal(bytes(self._chunk[:CHUNK]), False)
                del self._chunk[:CHUNK]
        return len(view)

    def finish(self) -> None:
        """Writes the last chunk; `sink` stays open."""
        self._seal(bytes(self._chunk), True)
        self._chunk.clear()
        self.close()

    def _seal(self, chunk: bytes, last: bool) -> None:
        self._sink.write(self._key.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


class Reader(io.RawIOBase):
    """Decrypts `source`, by this key of the server or by any that the file names. What comes out was verified; that it is all of
    it, only the end tells: a file that was cut or changed raises `ValueError` and never ends."""

    def __init__(self, client: Client, source: BinaryIO, key: str | None = None) -> None:
        file_key = header.open_header(client, source, key)
        nonce = source.read(NONCE)
        if len(nonce) != NONCE:
            raise FileError("the file ends behind its header")
        self._key = ChaCha20Poly1305(header.derive(file_key, nonce, b"payload"))
        self._source, self._number, self._last, self._rest = source, 0, False, memoryview(b"")
        self._ahead = source.read(CHUNK + TAG)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._rest and not self._last:
            self._rest = memoryview(self._open())
        view = memoryview(buffer).cast("B")
        taken = min(len(view), len(self._rest))
        view[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken

    def _open(self) -> bytes:
        chunk, self._ahead = self._ahead, self._source.read(CHUNK + TAG)
        last = not self._ahead
        try:
            text = self._key.decrypt(_nonce(self._number, last), chunk, None)
        except (InvalidTag, ValueError):
            raise FileError(f"the file was cut or changed: chunk {self._number} does not verify") from None
        if last and not text and self._number:
            raise FileError("the file was changed: its last chunk is empty")
        self._number, self._last = self._number + 1, last
        return text


@contextlib.contextmanager
def create(client: Client, path: str | os.PathLike[str], keys: list[str]) -> Iterator[BinaryIO]:
    """A new file at `path`, to be written in a `with`. It appears at its end, whole; after an exception there is none."""
    place = Path(path)
    draft = place.with_name(f".canis-{os.urandom(8).hex()}")
    try:
        with builtins.open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as sink:
            writer = Writer(client, sink, keys)
            buffered = cast(BinaryIO, io.BufferedWriter(writer, CHUNK))
            yield buffered
            buffered.flush()
            writer.finish()
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def open(client: Client, path: str | os.PathLike[str], key: str | None = None) -> Iterator[BinaryIO]:  # noqa: A001
    """The file at `path`, to be read in a `with`."""
    with builtins.open(path, "rb") as source:
        yield cast(BinaryIO, io.BufferedReader(Reader(client, source, key), CHUNK))
