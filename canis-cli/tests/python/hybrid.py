"""Hybrid keys out of Python into CANIS and back; both sides come to the same secrets.

Run by key_encapsulation.rs, with `canis` on the path and a server in its environment. Prints ` ok` once a check.
"""

import base64
import os
import subprocess
import tempfile

import xwing
from program import canis, write

os.chdir(tempfile.mkdtemp())
KIND = "ml-kem-768-x25519"


def read(name):
    with open(name, "rb") as file:
        return file.read()


def pem(label, der):
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def public_of(name):
    lines = canis("key", "public", name).decode().splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    assert lines[0] == "-----BEGIN PUBLIC KEY-----" and der.startswith(xwing.SPKI), name
    return der[len(xwing.SPKI) :]


def both_ways(name, private):
    """Either side opens what the other one made; an altered ciphertext gives both the same wrong secret."""
    raw = ["--raw", "--key-version", "1", "--out", "secret"]
    secret, ciphertext = xwing.encapsulate(public_of(name))
    canis("decapsulate", name, "--ciphertext", write("ciphertext", ciphertext), *raw)
    assert read("secret") == secret == private.decapsulate(ciphertext), name
    canis("encapsulate", name, "--raw", "--ciphertext", "ciphertext", "--out", "secret")
    ciphertext = read("ciphertext")
    assert private.decapsulate(ciphertext) == read("secret"), name
    for at in (0, 1087, 1088, 1119):
        altered = bytearray(ciphertext)
        altered[at] ^= 1
        canis("decapsulate", name, "--ciphertext", write("altered", bytes(altered)), *raw)
        assert private.decapsulate(bytes(altered)) == read("secret"), (name, at)


private = xwing.Private(os.urandom(32))
forms = {
    "pkcs8.der": (xwing.PKCS8 + private.seed, []),
    "pkcs8.pem": (pem("PRIVATE KEY", xwing.PKCS8 + private.seed), []),
    "raw": (private.seed, ["--format", "raw"]),
}
for form, (data, args) in forms.items():
    name = f"py/hybrid/in/{form}"
    canis("key", "import", name, "--type", KIND, "--in", write("key", data), *args)
    assert public_of(name) == private.public, name
    both_ways(name, private)
print("in ok")

half = "py/hybrid/half"
canis("key", "import", half, "--in", write("half", pem("PUBLIC KEY", xwing.SPKI + private.public)))
canis("encapsulate", half, "--raw", "--ciphertext", "ciphertext", "--out", "secret")
assert private.decapsulate(read("ciphertext")) == read("secret"), half
opened = ["canis", "decapsulate", half, "--raw", "--key-version", "1", "--ciphertext", "ciphertext", "--print"]
assert subprocess.run(opened, capture_output=True).returncode != 0, half
small = xwing.SPKI + private.public[:-32] + bytes(32)
refused = ["canis", "key", "import", "py/hybrid/small", "--in", write("small", pem("PUBLIC KEY", small))]
assert b"small order" in subprocess.run(refused, capture_output=True).stderr
print("half ok")

out = "py/hybrid/out"
canis("key", "create", out, "--type", KIND, "--exportable", "--allow-plaintext-backup")
seed = canis("key", "export", out, "--format", "raw")
ours = xwing.Private(seed)
assert canis("key", "export", out, "--format", "pkcs8") == pem("PRIVATE KEY", xwing.PKCS8 + seed), out
both_ways(out, ours)
print("out ok")
