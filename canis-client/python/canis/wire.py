"""Frames, values and errors of CANISP/1 (docs/canisp.md, sections 2, 3 and 8)."""

import enum
import io
import struct
from contextlib import suppress
from typing import Any, Protocol, Self

import cbor2

HEADER = struct.Struct(">BBBBII")
MAGIC, VERSION = 0xCA, 1

Kind = enum.IntEnum("Kind", "HELLO REQUEST RESPONSE ERROR PING PONG GOAWAY DATA END CREDIT CANCEL OPEN")


class CanisError(Exception):
    """What failed: `name` and `code` for programs, `message` for people, `retry_after` milliseconds if waiting helps."""

    def __init__(self, code: int, name: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(f"{message} ({name})")
        self.code, self.name, self.message, self.retry_after = code, name, message, retry_after

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Self:
        """The error that a map holds: the payload of ERROR, or `error` of an item."""
        return cls(fields["code"], fields["name"], fields["message"], fields.get("retry_after"))


class ConnectionLost(CanisError):
    """The connection ended before the answer came: whether the operation has happened is not known."""


class Stream(Protocol):
    def recv(self, size: int, /) -> bytes: ...


def protocol_error(message: str) -> CanisError:
    return CanisError(5, "protocol_error", message)


def frame(kind: int, request: int, payload: bytes) -> bytes:
    """A whole frame."""
    return HEADER.pack(MAGIC, VERSION, kind, 0, request, len(payload)) + payload


def read_frame(stream: Stream, longest: int) -> tuple[int, int, bytes]:
    """The next frame: type, request id, payload. The length is checked before anything is taken."""
    magic, version, kind, flags, request, length = HEADER.unpack(_exactly(stream, HEADER.size))
    if (magic, version, flags) != (MAGIC, VERSION, 0):
        raise protocol_error("what answers is no CANISP/1 server")
    if length > longest:
        raise protocol_error(f"the server sends {length} bytes where it announced {longest} at most")
    return kind, request, _exactly(stream, length)


def encode(value: dict[str, Any]) -> bytes:
    """The one encoding of a map (RFC 8949, section 4.2.1)."""
    return cbor2.dumps(value, canonical=True)


def decode(payload: bytes) -> dict[str, Any]:
    """The map that a payload holds. Encoded again it is the same bytes: so it had its one encoding, and nothing after."""
    with suppress(cbor2.CBORError, RecursionError, TypeError, ValueError, OverflowError):
        value = cbor2.CBORDecoder(io.BytesIO(payload)).decode()
        if isinstance(value, dict) and _plain(value) and encode(value) == payload:
            return value
    raise protocol_error("the server sends a payload that is not in the deterministic encoding")


def _plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(one) for key, one in value.items())
    known = value is None or isinstance(value, (bytes, str)) or (isinstance(value, int) and -1 << 63 <= value < 1 << 64)
    return all(map(_plain, value)) if isinstance(value, list) else known


def _exactly(stream: Stream, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = stream.recv(min(length - len(parts), 1 << 16))
        if not part:
            raise ConnectionResetError("the server closed it")
        parts += part
    return bytes(parts)
