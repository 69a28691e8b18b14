"""The client against a real server, which CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from canis import CanisError, Client, ConnectionLost
from canis.wire import Kind, decode, encode, frame, read_frame

VECTORS = Path(__file__).parents[3] / "tests/vectors/canisp.json"


@pytest.fixture(scope="session")
def canis() -> Iterator[Client]:
    with Client.from_environment() as client:
        yield client


def refused(error: str, call: Callable[..., object], *args: object, **more: object) -> CanisError:
    with pytest.raises(CanisError) as caught:
        call(*args, **more)
    assert caught.value.name == error
    return caught.value


def test_status(canis: Client) -> None:
    assert canis.status()["sealed"] is False


def test_encrypt(canis: Client) -> None:
    canis.create_key("py/aes", "aes256-gcm")
    sealed = canis.encrypt("py/aes", b"plain", context=b"here")
    assert sealed.startswith("canis:v1:py/aes:1:")
    assert canis.decrypt("py/aes", sealed, context=b"here") == b"plain"
    refused("decryption_failed", canis.decrypt, "py/aes", sealed, context=b"there")
    assert canis.rotate_key("py/aes") == 2
    rewrapped, failed = canis.rewrap("py/aes", [sealed, "canis:v1:py/aes:1:AAAA"], context=b"here")
    assert isinstance(rewrapped, str) and canis.decrypt("py/aes", rewrapped, context=b"here") == b"plain"
    assert isinstance(failed, CanisError)
    plain, wrapped = canis.data_key("py/aes", 48)
    assert len(plain) == 48 and canis.decrypt("py/aes", wrapped) == plain


def test_large_values_and_limits(canis: Client) -> None:
    canis.create_key("py/large", "aes256-gcm")
    large = bytes(8 << 20)
    assert canis.decrypt("py/large", canis.encrypt("py/large", large)) == large
    refused("too_large", canis.encrypt, "py/large", bytes(17 << 20))
    assert canis.call("random", length=65536) != canis.call("random", length=65536)


@pytest.mark.parametrize("kind", ["rsa-2048", "ecdsa-p256", "ecdsa-p521", "ed25519"])
def test_sign(canis: Client, kind: str) -> None:
    canis.create_key(f"py/{kind}", kind)
    signature = canis.sign(f"py/{kind}", b"message")
    assert canis.verify(f"py/{kind}", b"message", signature)
    assert not canis.verify(f"py/{kind}", b"another", signature)
    assert canis.public_key(f"py/{kind}")[0] == 0x30


def test_macs_and_derivation(canis: Client) -> None:
    canis.create_key("py/mac", "generic")
    mac = canis.call("mac", name="py/mac", message=b"message", hash="sha512")["mac"]
    assert canis.call("verify-mac", name="py/mac", message=b"message", mac=mac, hash="sha512")["valid"]
    assert not canis.call("verify-mac", name="py/mac", message=b"another", mac=mac, hash="sha512")["valid"]
    for name in ("py/x1", "py/x2"):
        canis.create_key(name, "x25519")
    one, two = (
        canis.call("derive", name=f"py/{own}", peer=canis.public_key(f"py/{other}"), info=b"test")["key"]
        for own, other in [("x1", "x2"), ("x2", "x1")]
    )
    assert one == two and len(one) == 32


def test_the_life_of_a_key(canis: Client) -> None:
    assert canis.create_key("py/life", "ed25519", activate=False)["state"] == "created"
    refused("operation_not_allowed", canis.sign, "py/life", b"")
    for change, state in [("activate", "active"), ("disable", "disabled"), ("enable", "active")]:
        assert canis.call(f"key.{change}", name="py/life")["state"] == state
    assert canis.call("key.update", name="py/life", interval="30d")["interval"] == "30d"
    canis.call("key.disable", name="py/life")
    assert canis.call("key.destroy", name="py/life", delay="7d")["destroy_at"]
    canis.call("key.destroy", name="py/life")
    refused("key_destroyed", canis.key, "py/life")


def test_lists_go_by_pages(canis: Client) -> None:
    names = [f"py/page/{n:03}" for n in range(120)]
    for name in names:
        canis.create_key(name, "aes128-gcm")
    assert [key["name"] for key in canis.keys("py/page/")] == names


def test_errors_name_the_thing(canis: Client) -> None:
    error = refused("key_not_found", canis.key, "py/none")
    assert "py/none" in error.message and error.code == 9
    refused("invalid_argument", canis.call, "key.show", name="py/none", nmae="x")
    refused("unknown_operation", canis.call, "key.explode")


def test_threads_take_turns(canis: Client) -> None:
    canis.create_key("py/threads", "aes256-gcm")
    wrong: list[int] = []

    def work(n: int) -> None:
        for i in range(50):
            text = b"%d %d" % (n, i)
            if canis.decrypt("py/threads", canis.encrypt("py/threads", text)) != text:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_strangers() -> None:
    ca = os.environ["CANIS_CACERT"]
    with Client(os.environ["CANIS_ADDR"], ca_file=ca, token="canis_" + "A" * 43) as client:
        refused("unauthenticated", client.key, "x")
    with Client(os.environ["CANIS_ADDR"], ca_file=ca) as client:
        assert client.status()["version"]
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    refused("unavailable", Client(f"127.0.0.1:{port}", ca_file=ca).status)


def test_another_authority_is_refused() -> None:
    """The certificate of the server itself is no authority; nothing but the CA file is trusted."""
    with Client(os.environ["CANIS_ADDR"], ca_file="/etc/ssl/certs/ca-certificates.crt", token="t") as client:
        assert "certificate" in refused("unavailable", client.status).message.lower()


class Way:
    """A way to the server that can be cut just before an answer arrives."""

    def __init__(self) -> None:
        self.cut = self.hold = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        host, port = os.environ["CANIS_ADDR"].split(":")
        while True:
            near, far = self.listener.accept()[0], socket.create_connection((host, int(port)))
            for source, sink, back in [(near, far, False), (far, near, True)]:
                threading.Thread(target=self.carry, args=(source, sink, back), daemon=True).start()

    def carry(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                if back and self.cut:
                    self.cut = False
                    break
                if not (back and self.hold):
                    sink.sendall(part)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_changes_happen_once() -> None:
    """R65: the answer is lost after the change has happened; the client asks again, and it has happened once."""
    way = Way()
    ca_file, token = os.environ["CANIS_CACERT"], os.environ["CANIS_TOKEN"]
    with Client(way.address, ca_file=ca_file, token=token, timeout=20.0) as client:
        client.create_key("py/once", "aes256-gcm")
        for version in (2, 3, 4):
            way.cut = True
            assert client.rotate_key("py/once") == version
        way.cut = True
        assert client.key("py/once")["current_version"] == 4
        way.cut = True
        with pytest.raises(ConnectionLost):
            client.call("slot.list")
        assert client.status()["sealed"] is False


def test_silence_ends() -> None:
    way = Way()
    arguments = {"ca_file": os.environ["CANIS_CACERT"], "token": os.environ["CANIS_TOKEN"]}
    with Client(way.address, timeout=2.0, **arguments) as client:  # type: ignore[arg-type]
        client.status()
        way.hold = True
        assert "may have happened" in refused("deadline_exceeded", client.status).message
        way.hold = False
        assert client.status()["sealed"] is False


def test_the_next_address_is_taken(canis: Client) -> None:
    addresses = f"127.0.0.1:1, {os.environ['CANIS_ADDR']}"
    with Client(addresses, ca_file=os.environ["CANIS_CACERT"]) as client:
        assert client.status()["version"] == canis.status()["version"]


def test_the_socket_of_this_host() -> None:
    with Client(f"unix:{os.environ['CANIS_DATA']}") as client:
        assert client.create_key("py/local", "aes256-gcm")["name"] == "py/local"


def test_batch(canis: Client) -> None:
    canis.create_key("py/batch", "aes256-gcm")
    sealed, failed = canis.batch(
        {"op": "encrypt", "name": "py/batch", "plaintext": b"x"},
        {"op": "decrypt", "key": "py/none", "ciphertext": "canis:v1:py/none:1:AAAA"},
    )
    assert isinstance(sealed, dict) and canis.decrypt("py/batch", sealed["ciphertext"]) == b"x"
    assert isinstance(failed, CanisError) and failed.name == "key_not_found"
    rotate = {"op": "key.rotate", "name": "py/batch"}
    assert [one["version"] for one in canis.batch(rotate, rotate, atomic=True) if isinstance(one, dict)] == [2, 3]
    refused("key_not_found", canis.batch, rotate, {"op": "key.rotate", "name": "py/none"}, atomic=True)
    assert canis.key("py/batch")["current_version"] == 3


def test_streams(canis: Client) -> None:
    canis.create_key("py/stream", "aes256-gcm")
    plain = os.urandom(3_000_001)
    sealed, opened = io.BytesIO(), io.BytesIO()
    assert canis.stream("encrypt", io.BytesIO(plain), sealed, name="py/stream")["bytes"] == sealed.tell()
    sealed.seek(0)
    header = sealed.readline().decode().rstrip()
    assert canis.stream("decrypt", sealed, opened, name="py/stream", header=header)["bytes"] == len(plain)
    assert opened.getvalue() == plain
    digest = canis.stream("hash", io.BytesIO(plain))["digest"]
    assert digest == hashlib.sha256(plain).digest()
    canis.create_key("py/stream-sign", "ecdsa-p256")
    signature = canis.stream("sign", io.BytesIO(plain), name="py/stream-sign")["signature"]
    assert canis.stream("verify", io.BytesIO(plain), name="py/stream-sign", signature=signature)["valid"]
    # Refused at once or in the middle: the connection goes on.
    refused("key_not_found", canis.stream, "encrypt", io.BytesIO(plain), io.BytesIO(), name="py/none")
    spoilt = io.BytesIO(sealed.getvalue().split(b"\n", 1)[1][:-1])
    refused("decryption_failed", canis.stream, "decrypt", spoilt, io.BytesIO(), name="py/stream", header=header)
    assert canis.status()["sealed"] is False


class Bytes:
    """A peer that sends these bytes and closes."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent

    def recv(self, size: int, /) -> bytes:
        part, self.sent = self.sent[:size], self.sent[size:]
        return part


def test_bad_peers() -> None:
    for sent in (b"HTTP/1.1 400 Bad", b"\xca\x02\x01\x00" + bytes(8), b"\xca\x01\x01\x01" + bytes(8)):
        refused("protocol_error", read_frame, Bytes(sent), 100)
    refused("protocol_error", read_frame, Bytes(b"\xca\x01\x03\x00\x00\x00\x00\x01\xff\xff\xff\xff"), 100)
    with pytest.raises(ConnectionResetError):
        read_frame(Bytes(b"\xca\x01\x03\x00\x00\x00\x00\x01\x00\x00\x00\x05ab"), 100)


def test_values_have_one_encoding() -> None:
    value = {"b": 1, "aa": [b"x", None, True], "c": {"": -1}}
    assert decode(encode(value)) == value
    for wrong in ("a1617801ff", "a261620161610 2".replace(" ", ""), "a161781801", "bf617801ff", "01", "a1", "a1617801" + "00"):
        refused("protocol_error", decode, bytes.fromhex(wrong))


def test_the_frames_of_the_document() -> None:
    """R77: every frame of docs/canisp.md is read, and written again byte by byte."""
    binary = (Kind.PING, Kind.PONG, Kind.DATA, Kind.END, Kind.CREDIT, Kind.CANCEL)
    for vector in json.loads(VECTORS.read_text()):
        sent = bytes.fromhex(vector["frame"])
        if vector["what"].startswith("refused "):
            refused("protocol_error", decode, sent)
        elif not vector["what"].startswith("s1 "):
            kind, request, payload = read_frame(Bytes(sent), 1 << 24)
            again = payload if kind in binary else encode(decode(payload))
            assert frame(kind, request, again) == sent, vector["what"]
