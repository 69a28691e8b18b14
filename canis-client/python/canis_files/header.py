"""What stands before a file's body: the file key, wrapped for each key of the server, and a MAC."""

import base64
import hmac
import os
from dataclasses import dataclass
from typing import BinaryIO

from canis import CanisError, Client
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CONTEXT = b"age-encryption.org/v1/canis"
VERSION = b"age-encryption.org/v1\n"
LONGEST = 1 << 20
# Headers are a multiple of so many bytes long, so that `canis file rewrap` can write them over (docs/files.md).
STEP, ROOM, PADDING = 256, 64, "-> canis-grease "


@dataclass
class Stanza:
    kind: str
    arguments: list[str]
    body: bytes

    def text(self) -> str:
        body = base64.b64encode(self.body).decode().rstrip("=")
        lines = [body[at : at + 64] for at in range(0, len(body) + 1, 64)]
        return "\n".join([" ".join(["->", self.kind, *self.arguments]), *lines, ""])


class FileError(ValueError):
    """The file is none of age's, was changed, or is for others."""


def derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def make(client: Client, keys: list[str], file_key: bytes) -> bytes:
    """A header in which each of these keys wraps the file key."""
    if not keys:
        raise ValueError("a file must be for somebody: name a key")
    text = VERSION.decode()
    for key in keys:
        _, _, name, version, body = client.encrypt(key, file_key, CONTEXT).split(":")
        text += Stanza("canis", [name, version], base64.b64decode(body)).text()
    around = len(PADDING) + 2 + 48
    total = -(-(len(text) + around + ROOM) // STEP) * STEP
    text += PADDING + "." * (total - len(text) - around) + "\n\n---"
    return f"{text} {_base64(_mac(file_key, text.encode()))}\n".encode()


def open_header(client: Client, file: BinaryIO, key: str | None) -> bytes:
    """Reads a header, and has the server open the file key by `key`, or by any that the header names."""
    text, stanzas, mac = _read(file)
    refused: Exception = FileError("none of the server's keys is named in this file")
    for stanza in stanzas:
        if stanza.kind != "canis" or key not in (None, stanza.arguments[0]):
            continue
        try:
            file_key = _unwrap(client, stanza)
        except CanisError as error:
            refused = error
            continue
        if not hmac.compare_digest(_mac(file_key, text), mac):
            raise FileError("the file's header was changed after it was made")
        return file_key
    raise refused


def _unwrap(client: Client, stanza: Stanza) -> bytes:
    name, version, *share = stanza.arguments
    if not share:
        sealed = base64.b64encode(stanza.body).decode()
        file_key = client.decrypt(name, f"canis:v1:{name}:{version}:{sealed}", CONTEXT)
    else:
        peer, info = _bytes(share[0]), CONTEXT + f" {name} {version}".encode()
        wrapping = client.call("derive", name=name, version=int(version), peer=peer, salt=peer, info=info)["key"]
        try:
            file_key = ChaCha20Poly1305(wrapping).decrypt(bytes(12), stanza.body, None)
        except InvalidTag:
            raise FileError("the file's header was changed after it was made") from None
    if len(file_key) != 16:
        raise FileError("what the header holds is no file key")
    return file_key


def _read(file: BinaryIO) -> tuple[bytes, list[Stanza], bytes]:
    text, stanzas = _line(file, b""), []
    if text != VERSION:
        raise FileError("this is no file in the format age v1")
    while (line := _line(file, text)).startswith(b"-> "):
        text += line
        kind, *arguments = line[3:-1].decode("ascii", "replace").split(" ")
        body, full = "", True
        while full:
            line = _line(file, text)
            text, body, full = text + line, body + line[:-1].decode("ascii", "replace"), len(line) == 65
        stanzas.append(Stanza(kind, arguments, _bytes(body)))
    if not line.startswith(b"--- "):
        raise FileError("the file's header ends in no MAC")
    if not all(stanza.kind != "canis" or len(stanza.arguments) in (2, 3) for stanza in stanzas):
        raise FileError("a section `canis` of the header is not as it should be")
    return text + b"---", stanzas, _bytes(line[4:-1].decode("ascii", "replace"))


def _line(file: BinaryIO, before: bytes) -> bytes:
    line = file.readline(LONGEST)
    if not line.endswith(b"\n") or len(before) + len(line) > LONGEST:
        raise FileError("the file ends within its header, or is none of age's")
    return line


def _mac(file_key: bytes, text: bytes) -> bytes:
    return hmac.digest(derive(file_key, b"", b"header"), text, "sha256")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Base64 without padding, in the one form that is canonical."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        data = b""
    if _base64(data) != text:
        raise FileError("the file's header is not Base64 as it should be")
    return data


def new_file_key() -> bytes:
    return os.urandom(16)
