"""One connection: HELLO, then one request or stream at a time (docs/canisp.md, sections 1 to 6)."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from .wire import CanisError, ConnectionLost, Kind, decode, encode, frame, protocol_error, read_frame

PORT, PIECE, WINDOW = 7443, 1 << 16, 1 << 19
# The server lets go of a connection after 600 s without a request; a new one is made before it may be doing that.
IDLE = 300.0


class Connection:
    """To a server that proved itself by its certificate, or by the socket that `unix:PATH` leads to."""

    def __init__(self, address: str, tls: ssl.SSLContext, hello: dict[str, Any], timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._longest, self._last, self._used, self._ending = PIECE, 0, time.monotonic(), False
        try:
            self._stream = _connect(address, tls, timeout)
        except OSError as error:
            raise CanisError(70, "unavailable", f"cannot reach {address}: {error}") from error
        with self._guarded():
            self._send(Kind.HELLO, 0, encode({"client": "canis-python/0.1.0"} | hello))
            self._longest = decode(self._next(0, Kind.HELLO)[1])["max_payload"]

    def is_usable(self) -> bool:
        return not self._ending and time.monotonic() - self._used < IDLE

    def close(self) -> None:
        self._ending = True
        self._stream.close()

    def request(self, payload: bytes) -> dict[str, Any]:
        """Sends a request and waits for its answer."""
        if len(payload) > self._longest:
            raise CanisError(6, "too_large", f"a request has at most {self._longest} bytes; send less at a time")
        with self._guarded():
            return decode(self._next(self._ask(Kind.REQUEST, payload), Kind.RESPONSE)[1])

    def stream(self, request: dict[str, Any], source: BinaryIO, sink: BinaryIO | None) -> dict[str, Any]:
        """Sends all that `source` gives behind the request, and writes what comes of it into `sink`."""
        with self._guarded():
            id, credit, owed, ended = self._ask(Kind.OPEN, encode(request | {"credit": WINDOW})), 0, 0, False
            while True:
                while credit and not ended:
                    piece = source.read(min(credit, PIECE))
                    self._send(Kind.DATA if piece else Kind.END, id, piece)
                    credit, ended = credit - len(piece), not piece
                try:
                    kind, answer = self._next(id, Kind.RESPONSE, Kind.CREDIT, Kind.DATA)
                except CanisError:
                    if not ended:
                        self._send(Kind.CANCEL, id, b"")
                    raise
                if kind == Kind.RESPONSE:
                    return decode(answer)
                if kind == Kind.CREDIT:
                    credit += int.from_bytes(answer)
                elif sink is not None:
                    sink.write(answer)
                    owed += len(answer)
                    if owed >= WINDOW // 4:
                        self._send(Kind.CREDIT, id, owed.to_bytes(4))
                        owed = 0

    def _ask(self, kind: Kind, payload: bytes) -> int:
        self._used = time.monotonic()
        self._last = self._last % 0xFFFFFFFF + 1
        self._send(kind, self._last, payload)
        return self._last

    def _send(self, kind: int, request: int, payload: bytes) -> None:
        self._stream.sendall(frame(kind, request, payload))

    def _next(self, request: int, *expected: Kind) -> tuple[int, bytes]:
        """The next frame of `request`; one that says why there is none is raised."""
        while True:
            kind, id, payload = read_frame(self._stream, self._longest)
            if kind == Kind.ERROR and id in (0, request) or kind == Kind.GOAWAY and request == 0:
                self._ending |= id == 0
                raise CanisError.read(decode(payload))
            if kind in expected and id == request:
                return kind, payload
            if kind != Kind.GOAWAY:
                raise protocol_error(f"what answers at {self._address} sends a frame that nothing asked for")
            # What is in flight is still answered; the next request goes over a new connection.
            self._ending = True

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """After anything but the server's own word about one request the connection is of no use."""
        try:
            yield
        except OSError as error:
            self.close()
            if isinstance(error, TimeoutError):
                late = f"no answer from {self._address} within {self._timeout} s; it may have happened or not"
                raise CanisError(18, "deadline_exceeded", late) from error
            raise ConnectionLost(70, "unavailable", f"lost {self._address}: {error}") from error
        except BaseException as error:
            if not isinstance(error, CanisError) or error.name == "protocol_error" or self._last == 0:
                self.close()
            raise


def _connect(address: str, tls: ssl.SSLContext, timeout: float) -> socket.socket:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(timeout)
        local.connect(os.path.join(path, "canis.sock") if os.path.isdir(path) else path)
        return local
    parts = urlsplit(f"//{address}")
    plain = socket.create_connection((parts.hostname or "", parts.port or PORT), timeout=timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return tls.wrap_socket(plain, server_hostname=parts.hostname)
    except BaseException:
        plain.close()
        raise
