"""The client against a real server, which CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN name."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from canis import CanisError, Client
from canis.wire import decode, encode, read_frame


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
    assert canis.random(65536) != canis.random(65536)


@pytest.mark.parametrize("kind", ["rsa-2048", "ecdsa-p256", "ecdsa-p521", "ed25519"])
def test_sign(canis: Client, kind: str) -> None:
    canis.create_key(f"py/{kind}", kind)
    signature = canis.sign(f"py/{kind}", b"message")
    assert canis.verify(f"py/{kind}", b"message", signature)
    assert not canis.verify(f"py/{kind}", b"another", signature)
    assert canis.public_key(f"py/{kind}")[0] == 0x30


def test_macs_and_derivation(canis: Client) -> None:
    canis.create_key("py/mac", "generic")
    mac = canis.mac("py/mac", b"message", "sha512")
    assert canis.verify_mac("py/mac", b"message", mac, "sha512")
    assert not canis.verify_mac("py/mac", b"another", mac, "sha512")
    for name in ("py/x1", "py/x2"):
        canis.create_key(name, "x25519")
    one = canis.derive("py/x1", peer=canis.public_key("py/x2"), info=b"test")
    assert one == canis.derive("py/x2", peer=canis.public_key("py/x1"), info=b"test") and len(one) == 32


def test_the_life_of_a_key(canis: Client) -> None:
    assert canis.create_key("py/life", "ed25519", activate=False)["state"] == "created"
    refused("operation_not_allowed", canis.sign, "py/life", b"")
    assert canis.activate_key("py/life")["state"] == "active"
    assert canis.disable_key("py/life")["state"] == "disabled"
    assert canis.enable_key("py/life")["state"] == "active"
    assert canis.update_key("py/life", interval="30d")["interval"] == "30d"
    canis.disable_key("py/life")
    assert canis.destroy_key("py/life", delay="7d")["destroy_at"]
    canis.destroy_key("py/life")
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
