"""A CANISP client written from docs/canisp.md alone: Python and its standard library, nothing of CANIS.

Environment: CANIS_ADDR, CANIS_CACERT, CANIS_TOKEN. Prints `ok` when everything came back as it should.
"""

import os
import socket
import ssl
import struct

HELLO, REQUEST, RESPONSE, ERROR, PING, PONG = 1, 2, 3, 4, 5, 6


def head(major, n):
    """Section 3: every head in its shortest form."""
    if n < 24:
        return bytes([major << 5 | n])
    for info, form, limit in ((24, ">B", 8), (25, ">H", 16), (26, ">I", 32), (27, ">Q", 64)):
        if n < 1 << limit:
            return bytes([major << 5 | info]) + struct.pack(form, n)
    raise ValueError(n)


def encode(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    pairs = sorted((encode(key), encode(item)) for key, item in value.items())
    return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


def decode(data, at=0):
    """One value and where it ends."""
    major, info = data[at] >> 5, data[at] & 31
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    n = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else info
    at += 1 + size
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major in (2, 3):
        raw = data[at : at + n]
        return (raw if major == 2 else raw.decode()), at + n
    if major == 4:
        items = []
        for _ in range(n):
            item, at = decode(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(n):
            key, at = decode(data, at)
            pairs[key], at = decode(data, at)
        return pairs, at
    return {20: False, 21: True, 22: None}[n], at


class CanisError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['message']} ({error['name']})")
        self.name = error["name"]


class Client:
    def __init__(self, addr, ca, token):
        host, port = addr.rsplit(":", 1)
        tls = ssl.create_default_context(cafile=ca)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.set_alpn_protocols(["canisp/1"])
        self.socket = tls.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=host)
        self.last = 0
        self.send(HELLO, 0, encode({"client": "stranger/1", "token": token}))
        kind, _, payload = self.receive()
        if kind != HELLO:
            raise CanisError(decode(payload)[0])
        self.server = decode(payload)[0]

    def send(self, kind, request, payload):
        self.socket.sendall(struct.pack(">BBBBII", 0xCA, 1, kind, 0, request, len(payload)) + payload)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        magic, version, kind, flags, request, length = struct.unpack(">BBBBII", self.read(12))
        assert (magic, version, flags) == (0xCA, 1, 0)
        return kind, request, self.read(length)

    def call(self, op, **args):
        self.last += 1
        self.send(REQUEST, self.last, encode({"op": op, "args": args}))
        kind, request, payload = self.receive()
        answer, end = decode(payload)
        assert end == len(payload) and encode(answer) == payload, "not deterministic"
        if kind == ERROR:
            raise CanisError(answer)
        assert (kind, request) == (RESPONSE, self.last)
        return answer


def main():
    env = os.environ
    client = Client(env["CANIS_ADDR"], env["CANIS_CACERT"], env["CANIS_TOKEN"])
    assert client.server["max_in_flight"] == 64
    assert client.call("status")["sealed"] is False
    made = client.call("key.create", name="stranger/box", kind="aes256-gcm")
    assert made["kind"] == "aes256-gcm" and made["versions"][0]["version"] == 1
    sealed = client.call("encrypt", name="stranger/box", plaintext=b"\0hello\xff", context=b"invoice 7")
    assert sealed["ciphertext"].startswith("canis:v1:stranger/box:1:")
    opened = client.call("decrypt", name="stranger/box", ciphertext=sealed["ciphertext"], context=b"invoice 7")
    assert opened["plaintext"] == b"\0hello\xff"
    client.call("key.create", name="stranger/pen", kind="ed25519")
    signed = client.call("sign", name="stranger/pen", message=b"hello")
    for message, valid in ((b"hello", True), (b"hellO", False)):
        verified = client.call("verify", name="stranger/pen", message=message, signature=signed["signature"])
        assert verified["valid"] is valid
    listed = client.call("key.list", prefix="stranger/")
    assert [key["name"] for key in listed["keys"]] == ["stranger/box", "stranger/pen"]
    try:
        client.call("decrypt", name="stranger/box", ciphertext=sealed["ciphertext"])
        raise AssertionError("decrypted without its context")
    except CanisError as error:
        assert error.name == "decryption_failed"
    client.send(PING, 9, b"hi")
    assert client.receive() == (PONG, 9, b"hi")
    print("ok")


main()
