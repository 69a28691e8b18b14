"""Writes the first inputs of each target: the frames of docs/canisp.md, cut as the targets want them, keys in every form
that openssl writes, policies of the documents, and files of age's test vectors."""

import base64
import hashlib
import json
import re
import subprocess
import zlib
from pathlib import Path

HERE = Path(__file__).parent
FRAMES = json.loads((HERE / "../tests/vectors/canisp.json").read_text())
HELLO, REQUEST, OPEN = 1, 2, 12


def keep(target: str, data: bytes) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def wire_operations() -> list[str]:
    table = (HERE / "../canis-proto/src/operation.rs").read_text()
    rows = re.findall(r'= \d+, "([^"]+)", \S+, \w+, (true|false);', table)
    return [name for name, wire in rows if wire == "true"]


def frames() -> None:
    operations = wire_operations()
    for vector in FRAMES:
        if vector["what"].startswith("s1"):
            continue
        frame = bytes.fromhex(vector["frame"])
        if vector["what"].startswith("refused"):
            keep("value", frame)
            continue
        kind, payload = frame[2], frame[12:]
        keep("frame", frame[:12])
        keep("connection", b"\1" + frame)
        keep("connection", b"\0" + frame)
        keep("value", payload)
        if kind == HELLO:
            keep("hello", payload)
        if kind == REQUEST:
            name = vector["what"].split()[1]
            args = payload.split(b"\x64args", 1)[1]
            keep("request", operations.index(name).to_bytes(2, "big") + args)
        for text in re.findall(rb"canis:[sv]1:[!-~]+|\d+[wdhms]|[0-9a-f-]{36}", payload):
            keep("text", text)
    # A whole stream on one connection.
    stream = [bytes.fromhex(v["frame"]) for v in FRAMES if v["what"] in ("open encrypt", "credit", "data", "end", "cancel")]
    keep("connection", b"\0" + b"".join(stream[:4]))
    keep("connection", b"\0" + b"".join(stream))
    keep("stream", b"\0\0" + bytes(70_000))
    keep("stream", b"\7\1" + b"hello")


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def keys() -> None:
    for kind in (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["ED25519"], ["X25519"]):
        private = openssl("genpkey", "-algorithm", *kind)
        forms = [private, openssl("pkey", "-pubout", given=private)]
        for more in ([], ["-traditional"], ["-pubout"]):
            forms.append(openssl("pkey", "-outform", "DER", *more, given=private))
        for form in forms:
            # Every form is tried under every claim: the first byte is which, the second is the type.
            for claim in range(8):
                keep("key", bytes([claim, claim]) + form)
    certificate = HERE / "corpus" / "key.pem"
    certificate.write_bytes(openssl("genpkey", "-algorithm", "ED25519"))
    for form in ("PEM", "DER"):
        keep("key", b"\0\0" + openssl("req", "-x509", "-key", str(certificate), "-subj", "/CN=seed", "-outform", form))
    certificate.unlink()


def policies() -> None:
    keep("policy", b'path "kms/keys/production/*" {\n  capabilities = ["encrypt", "decrypt"]\n}\n')
    for example in (HERE / "..").glob("docs/**/*.md"):
        for block in re.findall(r"```hcl\n(.*?)```", example.read_text(), re.S):
            keep("policy", block.encode())


def files() -> None:
    """The vectors of age: fields, an empty line, the file."""
    for text in json.loads((HERE / "../canis-client/tests/age_vectors.json").read_text()).values():
        fields, _, file = base64.b64decode(text).partition(b"\n\n")
        if b"compressed: zlib" in fields:
            file = zlib.decompress(file)
        if len(file) < 20_000:
            keep("file", file)


frames()
keys()
policies()
files()
