"""One connection to a server: HELLO, then one request at a time, from any thread."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Self, TypedDict, cast
from urllib.parse import urlsplit

from .errors import CanisError, ConnectionLost
from .wire import Kind, decode, encode, frame, protocol_error, read_frame

PORT = 7443
FIRST_FRAME = 1 << 16
# The server lets go of a connection after 600 s without a request; a new one is made before it may be doing that.
IDLE = 300.0


class Key(TypedDict):
    """A key's metadata (docs/canisp.md, section 6). Times are microseconds since 1970-01-01 UTC."""

    name: str
    id: str
    tenant: str
    kind: str
    state: str
    usage: int
    current_version: int
    min_decryption_version: int
    min_encryption_version: int
    deletion_allowed: bool
    exportable: bool
    allow_plaintext_backup: bool
    versions: list[dict[str, Any]]
    created_at: int
    updated_at: int
    interval: str
    retain_versions: int
    destroy_at: int | None
    next_rotation_at: int | None


class Client:
    """Connects when it is first used, and anew after the connection was lost.

    `address` is `host`, `host:port` or `[v6]:port`; `ca_file` holds the only certificate authorities that are trusted (PEM);
    `timeout` is how long to wait for the next bytes, in seconds. Every method raises `CanisError` when the server
    refuses, and `ConnectionLost` when it cannot be known whether it did.
    """

    def __init__(self, address: str, *, ca_file: str, token: str | None = None, timeout: float = 120.0) -> None:
        self.address = address
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._stream: ssl.SSLSocket | None = None
        self._used = 0.0
        self._last_request = 0
        self._longest = FIRST_FRAME
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.load_verify_locations(ca_file)
        self._tls.set_alpn_protocols(["canisp/1"])

    @classmethod
    def from_environment(cls) -> Self:
        """As CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN say, which the program `canis` reads too."""
        address, ca_file = os.environ.get("CANIS_ADDR", "127.0.0.1"), os.environ["CANIS_CACERT"]
        return cls(address, ca_file=ca_file, token=os.environ.get("CANIS_TOKEN"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._drop()

    def call(self, op: str, **args: Any) -> dict[str, Any]:
        """Asks for any operation by its name and arguments; an argument that is None has its default."""
        given = {name: value for name, value in args.items() if value is not None}
        payload = encode({"op": op, "args": given})
        with self._lock:
            return self._exchange(payload)

    def status(self) -> dict[str, Any]:
        """The server's version, and whether it is sealed and why; answered without a token too."""
        return self.call("status")

    # Keys

    def create_key(self, name: str, kind: str, **config: Any) -> Key:
        """Makes a key of type `kind`, `aes256-gcm` for example; `config` as `key.create` takes it."""
        return self._key("key.create", name=name, kind=kind, **config)

    def keys(self, prefix: str = "") -> Iterator[Key]:
        """All keys whose names begin with `prefix`, in the order of names; asked for page by page."""
        after = ""
        while True:
            page = self.call("key.list", prefix=prefix, after=after)
            yield from page["keys"]
            if not page["more"]:
                return
            after = page["keys"][-1]["name"]

    def key(self, name: str) -> Key:
        """A key's metadata with its newest versions."""
        return self._key("key.show", name=name)

    def update_key(self, name: str, **config: Any) -> Key:
        """Changes what `config` names, as `key.update` takes it."""
        return self._key("key.update", name=name, **config)

    def rotate_key(self, name: str) -> int:
        """Gives the key a new version, and its number back."""
        return cast(int, self.call("key.rotate", name=name)["version"])

    def activate_key(self, name: str) -> Key:
        """Makes a created key usable."""
        return self._key("key.activate", name=name)

    def disable_key(self, name: str) -> Key:
        """From now on the key decrypts and verifies only."""
        return self._key("key.disable", name=name)

    def enable_key(self, name: str) -> Key:
        """Makes a disabled key usable again."""
        return self._key("key.enable", name=name)

    def destroy_key(self, name: str, delay: str | None = None) -> Key:
        """Destroys a disabled key, now or after `delay` (`7d`)."""
        return self._key("key.destroy", name=name, delay=delay)

    def public_key(self, name: str, version: int = 0) -> bytes:
        """A version's public key, the current one's if 0: SubjectPublicKeyInfo in DER."""
        return cast(bytes, self.call("key.public", name=name, version=version)["spki"])

    def _key(self, op: str, **args: Any) -> Key:
        return cast(Key, self.call(op, **args))

    # Uses of keys

    def encrypt(self, name: str, plaintext: bytes, context: bytes = b"") -> str:
        """The ciphertext, `canis:v1:…`; decrypting it needs the same `context`."""
        return cast(str, self.call("encrypt", name=name, plaintext=plaintext, context=context)["ciphertext"])

    def decrypt(self, name: str, ciphertext: str, context: bytes = b"") -> bytes:
        """The plaintext."""
        return cast(bytes, self.call("decrypt", name=name, ciphertext=ciphertext, context=context)["plaintext"])

    def rewrap(self, name: str, ciphertexts: list[str], context: bytes = b"") -> list[str | CanisError]:
        """Each ciphertext under the current version, or why it is not; the plaintexts stay in the server."""
        items = self.call("rewrap", name=name, ciphertexts=ciphertexts, context=context)["items"]
        return [CanisError.read(item["error"]) if item.get("error") else item["ciphertext"] for item in items]

    def data_key(self, name: str, length: int = 32, context: bytes = b"") -> tuple[bytes, str]:
        """A random key of 16 to 64 bytes, in plain and encrypted."""
        made = self.call("datakey", name=name, length=length, context=context)
        return made["plaintext"], made["ciphertext"]

    def sign(self, name: str, message: bytes, **options: Any) -> str:
        """The signature, `canis:v1:…`; its base64 part is the one that other programs verify. Options: `scheme`,
        `prehashed`, `form`, `version`."""
        return cast(str, self.call("sign", name=name, message=message, **options)["signature"])

    def verify(self, name: str, message: bytes, signature: str, **options: Any) -> bool:
        """Whether the signature is right; `scheme`, `prehashed` and `form` as they were given to `sign`."""
        return cast(bool, self.call("verify", name=name, message=message, signature=signature, **options)["valid"])

    def mac(self, name: str, message: bytes, hash: str = "sha256") -> str:
        """HMAC, `canis:v1:…`."""
        return cast(str, self.call("mac", name=name, message=message, hash=hash)["mac"])

    def verify_mac(self, name: str, message: bytes, mac: str, hash: str = "sha256") -> bool:
        """Whether the MAC is right."""
        return cast(bool, self.call("verify-mac", name=name, message=message, mac=mac, hash=hash)["valid"])

    def derive(self, name: str, *, peer: bytes = b"", salt: bytes = b"", info: bytes = b"", length: int = 32) -> bytes:
        """Bytes by HKDF from the key, or from the secret that it shares with `peer` (SubjectPublicKeyInfo)."""
        return cast(bytes, self.call("derive", name=name, peer=peer, salt=salt, info=info, length=length)["key"])

    def random(self, length: int) -> bytes:
        """1 to 65536 random bytes."""
        return cast(bytes, self.call("random", length=length)["bytes"])

    # The connection

    def _exchange(self, payload: bytes) -> dict[str, Any]:
        stream = self._connected()
        if len(payload) > self._longest:
            raise CanisError(6, "too_large", f"a request has at most {self._longest} bytes; send less at a time")
        self._last_request = self._last_request % 0xFFFFFFFF + 1
        request = self._last_request
        try:
            stream.sendall(frame(Kind.REQUEST, request, payload))
            return self._answer(stream, request)
        except OSError as error:
            self._drop()
            raise ConnectionLost(self.address, error) from error
        except CanisError as error:
            if error.name == "protocol_error":
                self._drop()
            raise

    def _answer(self, stream: ssl.SSLSocket, request: int) -> dict[str, Any]:
        ending = False
        while True:
            kind, id, answer = read_frame(stream, self._longest)
            if kind == Kind.GOAWAY:
                # What is in flight is still answered; the next request goes over a new connection.
                ending = True
                continue
            if kind == Kind.PING:
                stream.sendall(frame(Kind.PONG, id, answer))
                continue
            if ending or (kind == Kind.ERROR and id == 0):
                self._drop()
            if kind == Kind.ERROR and id in (0, request):
                raise CanisError.read(decode(answer))
            if kind != Kind.RESPONSE or id != request:
                raise protocol_error(f"the server sends a frame of type {kind} that nothing asked for")
            return decode(answer)

    def _connected(self) -> ssl.SSLSocket:
        if time.monotonic() - self._used > IDLE:
            self._drop()
        self._used = time.monotonic()
        if self._stream is None:
            address = urlsplit(f"//{self.address}")
            try:
                self._stream = self._greet(address.hostname or "", address.port or PORT)
            except OSError as error:
                raise CanisError(70, "unavailable", f"cannot reach {self.address}: {error}") from error
        return self._stream

    def _greet(self, host: str, port: int) -> ssl.SSLSocket:
        plain = socket.create_connection((host, port), timeout=self._timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        try:
            hello: dict[str, Any] = {"client": "canis-python/0.1.0"}
            if self._token is not None:
                hello["token"] = self._token
            stream.sendall(frame(Kind.HELLO, 0, encode(hello)))
            kind, _, answer = read_frame(stream, FIRST_FRAME)
            fields = decode(answer)
            if kind in (Kind.ERROR, Kind.GOAWAY):
                raise CanisError.read(fields)
            if kind != Kind.HELLO or stream.selected_alpn_protocol() != "canisp/1":
                raise protocol_error(f"what listens at {self.address} does not speak CANISP")
            self._longest = fields["max_payload"]
            return stream
        except BaseException:
            stream.close()
            raise

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
