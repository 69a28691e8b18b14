"""ML-KEM keys, out of Python's cryptography (OpenSSL 3.5 or later) into CANIS and back; both sides come to the same secrets.

Run by key_encapsulation.rs, with `canis` on the path and a server in its environment. Prints ` ok` once a check.
"""

import os
import subprocess
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mlkem
from program import canis, write

os.chdir(tempfile.mkdtemp())
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
PKCS8, PLAIN = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
KINDS = {"ml-kem-768": mlkem.MLKEM768PrivateKey, "ml-kem-1024": mlkem.MLKEM1024PrivateKey}


def read(name):
    with open(name, "rb") as file:
        return file.read()


def public_pem(key):
    return key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def ours_opens(name, public, version="1"):
    """What OpenSSL encapsulates, CANIS decapsulates; an altered ciphertext gives another secret."""
    secret, ciphertext = public.encapsulate()
    raw = ["--raw", "--key-version", version, "--out", "secret"]
    canis("decapsulate", name, "--ciphertext", write("ciphertext", ciphertext), *raw)
    assert read("secret") == secret, name
    altered = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    canis("decapsulate", name, "--ciphertext", write("ciphertext", altered), *raw)
    assert len(read("secret")) == 32 and read("secret") != secret, name


def theirs_opens(name, private):
    """The other way about, implicit rejection included: both sides make the same of what is wrong."""
    canis("encapsulate", name, "--raw", "--ciphertext", "ciphertext", "--out", "secret")
    ciphertext = read("ciphertext")
    assert private.decapsulate(ciphertext) == read("secret"), name
    altered = ciphertext[:-1] + bytes([ciphertext[-1] ^ 0x80])
    raw = ["--raw", "--key-version", "1", "--out", "secret"]
    canis("decapsulate", name, "--ciphertext", write("ciphertext", altered), *raw)
    assert private.decapsulate(altered) == read("secret"), name


for kind, maker in KINDS.items():
    private = maker.generate()
    public = private.public_key()
    forms = {
        "pkcs8.der": (private.private_bytes(DER, PKCS8, PLAIN), []),
        "pkcs8.pem": (private.private_bytes(PEM, PKCS8, PLAIN), []),
        "raw": (private.private_bytes_raw(), ["--format", "raw"]),
    }
    for form, (data, args) in forms.items():
        name = f"py/{kind}/in/{form}"
        canis("key", "import", name, "--type", kind, "--in", write("key", data), *args)
        assert canis("key", "public", name) == public_pem(public), name
        ours_opens(name, public)
        theirs_opens(name, private)
    print(f"{kind} in ok")

    half = f"py/{kind}/half"
    canis("key", "import", half, "--in", write("half", public_pem(public)))
    theirs = ["encapsulate", half, "--raw", "--ciphertext", "ciphertext", "--out", "secret"]
    canis(*theirs)
    assert private.decapsulate(read("ciphertext")) == read("secret"), half
    opened = ["canis", "decapsulate", half, "--raw", "--key-version", "1", "--ciphertext", "ciphertext", "--print"]
    assert subprocess.run(opened, capture_output=True).returncode != 0, half
    print(f"{kind} half ok")

    out = f"py/{kind}/out"
    canis("key", "create", out, "--type", kind, "--exportable", "--allow-plaintext-backup")
    ours = serialization.load_pem_private_key(canis("key", "export", out, "--format", "pkcs8"), None)
    assert canis("key", "public", out) == public_pem(ours.public_key()), out
    ours_opens(out, ours.public_key())
    theirs_opens(out, ours)
    assert canis("key", "export", out, "--format", "raw") == ours.private_bytes_raw(), out
    print(f"{kind} out ok")
