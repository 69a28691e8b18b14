"""The operations of a server, over a connection that is made when it is needed, for any thread."""

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Self, TypeVar, cast

from .connection import Connection
from .wire import CanisError, ConnectionLost, encode

T = TypeVar("T")
# Changes carry an idempotency key, so that the server knows one that comes again (docs/canisp.md, section 7).
OF_KEYS = "create update activate disable enable destroy cancel-destroy rotate import"
CHANGES = frozenset({"kv.put", "kv.delete"} | {f"key.{change}" for change in OF_KEYS.split()})
# What must not be asked twice when it is not known whether it has happened; everything else reads or computes.
ONCE = ("batch", "slot.", "tenant.", "credential.", "policy.put", "policy.delete", "role.put", "role.delete", "approval.approve", "approval.deny", "approval.cancel",
        "token.", "object.")  # fmt: skip
# A key's metadata (docs/canisp.md, section 7). Times are microseconds since 1970-01-01 UTC.
Key = dict[str, Any]


class Client(AbstractContextManager["Client"]):
    """Connects when it is first used, and anew after the connection was lost.

    `address` is `host`, `host:port`, `[v6]:port` or `unix:DIRECTORY`, or several with commas between: the first that answers
    is taken. `ca_file` holds the only authorities that are trusted, `certificate` the client's own and its key (PEM),
    `application` the secret of a PKCS#11 application.
    `timeout` is how long to wait for the next bytes, `retry_for` how long a lost request is sent again, in seconds. Every
    method raises `CanisError` when the server refuses, and `ConnectionLost` when it cannot be known whether it did.
    """

    def __init__(
        self, address: str, *, ca_file: str | None = None, token: str | None = None, certificate: str | None = None,
        application: bytes | None = None, timeout: float = 120.0, retry_for: float = 3.0,
    ) -> None:  # fmt: skip
        self._addresses = address.split(",")
        self._hello = {"token": token, "application": application}
        self._timeout, self._retry_for = timeout, retry_for
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        if certificate is not None:
            self._tls.load_cert_chain(certificate)
        self._tls.set_alpn_protocols(["canisp/1"])

    @classmethod
    def from_environment(cls) -> Self:
        """As CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN say, which the program `canis` reads too."""
        address, ca_file = os.environ.get("CANIS_ADDR", "127.0.0.1"), os.environ.get("CANIS_CACERT")
        return cls(address, ca_file=ca_file, token=os.environ.get("CANIS_TOKEN"))

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._drop()

    def call(self, op: str, **args: Any) -> dict[str, Any]:
        """Asks for any operation by its name and arguments; an argument that is None has its default."""
        request = _request(op, args) | {"deadline": max(1, int(self._timeout * 1000))}
        if change := op in CHANGES or (op == "batch" and args.get("atomic") is True):
            request["idempotency_key"] = os.urandom(16)
        payload = encode(request)
        return self._ask(lambda connection: connection.request(payload), change or not op.startswith(ONCE))

    def stream(self, op: str, source: BinaryIO, sink: BinaryIO | None = None, **args: Any) -> dict[str, Any]:
        """The same for data of any length, which `source` gives; what comes of them is written into `sink`."""
        return self._ask(lambda connection: connection.stream(_request(op, args), source, sink), False)

    def batch(self, *operations: dict[str, Any], atomic: bool = False) -> list[dict[str, Any] | CanisError]:
        """Runs operations in order: `op`, and its arguments beside it. Each has its own answer or error."""
        results = self.call("batch", operations=list(operations), atomic=atomic)["results"]
        return [CanisError.read(one["error"]) if one.get("error") else one["result"] for one in results]

    def status(self) -> dict[str, Any]:
        """The server's version, and whether it is sealed and why; answered without a token too."""
        return self.call("status")

    def create_key(self, name: str, kind: str, **config: Any) -> Key:
        """Makes a key of type `kind`, `aes256-gcm` for example; `config` as `key.create` takes it."""
        return self.call("key.create", name=name, kind=kind, **config)

    def keys(self, prefix: str = "") -> Iterator[Key]:
        """All keys whose names begin with `prefix`, in the order of names; asked for page by page."""
        page: dict[str, Any] = {"more": True, "keys": [{"name": ""}]}
        while page["more"]:
            page = self.call("key.list", prefix=prefix, after=page["keys"][-1]["name"])
            yield from page["keys"]

    def key(self, name: str) -> Key:
        """A key's metadata with its newest versions."""
        return self.call("key.show", name=name)

    def rotate_key(self, name: str) -> int:
        """Gives the key a new version, and its number back."""
        return cast(int, self.call("key.rotate", name=name)["version"])

    def public_key(self, name: str, version: int = 0) -> bytes:
        """A version's public key, the current one's if 0: SubjectPublicKeyInfo in DER."""
        return cast(bytes, self.call("key.public", name=name, version=version)["spki"])

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
        """The signature, `canis:v1:…`, as base64 behind the last colon; options: `scheme`, `prehashed`, `form`, `version`, `context`."""
        return cast(str, self.call("sign", name=name, message=message, **options)["signature"])

    def verify(self, name: str, message: bytes, signature: str, **options: Any) -> bool:
        """Whether the signature is right; `scheme`, `prehashed`, `form` and `context` as they were given to `sign`."""
        return cast(bool, self.call("verify", name=name, message=message, signature=signature, **options)["valid"])

    def encapsulate(self, name: str, version: int = 0) -> tuple[bytes, str]:
        """A fresh secret of 32 bytes, and the ciphertext by which the holder of the ML-KEM key comes to it."""
        made = self.call("encapsulate", name=name, version=version)
        return made["secret"], made["ciphertext"]

    def decapsulate(self, name: str, ciphertext: str) -> bytes:
        """The secret of a ciphertext. One that was altered gives another secret, and no error."""
        return cast(bytes, self.call("decapsulate", name=name, ciphertext=ciphertext)["secret"])

    def _ask(self, ask: Callable[[Connection], T], again: bool) -> T:
        until, lost = time.monotonic() + self._retry_for, False
        with self._lock:
            while True:
                try:
                    return ask(self._connected())
                except CanisError as error:
                    lost |= isinstance(error, ConnectionLost)
                    if error.name != "unavailable" or not (again and lost) or time.monotonic() > until:
                        raise
                time.sleep(0.1)

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.is_usable():
            return self._connection
        self._drop()
        for address in self._addresses:
            try:
                self._connection = Connection(address.strip(), self._tls, self._hello, self._timeout)
                break
            except CanisError as error:
                if error.name != "unavailable" or address == self._addresses[-1]:
                    raise
        return cast(Connection, self._connection)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _request(op: str, args: dict[str, Any]) -> dict[str, Any]:
    return {"op": op, "args": {name: value for name, value in args.items() if value is not None}}
