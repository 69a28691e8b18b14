"""Post-quantum keys, out of Python's cryptography (OpenSSL 3.5 or later) into CANIS and back, used on both sides.

Run by post_quantum.rs, with `canis` on the path and a server in its environment. Prints ` ok` once a check.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa
from program import canis, write

os.chdir(tempfile.mkdtemp())
MESSAGE, CONTEXT = b"to be signed", b"of python"
with open("message", "wb") as file:
    file.write(MESSAGE)
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
PKCS8, PLAIN = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
KINDS = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}


def public_pem(key):
    return key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def both_sign(name, private, public):
    """Each side verifies what the other signs, with a context and without, and refuses another context."""
    for context in (b"", CONTEXT):
        with_context = ["--context", context.decode()]
        public.verify(canis("sign", name, "--raw", "--in", "message", *with_context), MESSAGE, context)
        theirs = private.sign(MESSAGE, context)
        text = f"canis:v1:{name}:1:{base64.b64encode(theirs).decode()}"
        verify = ["verify", name, "--in", "message", "--signature", write("signature", text.encode())]
        assert canis(*verify, *with_context) == b"valid\n", name
        wrong = subprocess.run(["canis", *verify, "--context", "another"], capture_output=True)
        assert (wrong.returncode, wrong.stdout) == (1, b"invalid\n"), name
    try:
        public.verify(canis("sign", name, "--raw", "--in", "message"), MESSAGE, CONTEXT)
    except InvalidSignature:
        return
    sys.exit(f"{name}: a signature without context passes for one with")


for kind, maker in KINDS.items():
    private = maker.generate()
    public = private.public_key()
    jwk = {
        "kty": "AKP",
        "alg": kind.upper(),
        "pub": base64.urlsafe_b64encode(public.public_bytes_raw()).decode().rstrip("="),
        "priv": base64.urlsafe_b64encode(private.private_bytes_raw()).decode().rstrip("="),
    }
    forms = {
        "pkcs8.der": (private.private_bytes(DER, PKCS8, PLAIN), []),
        "pkcs8.pem": (private.private_bytes(PEM, PKCS8, PLAIN), []),
        "raw": (private.private_bytes_raw(), ["--format", "raw"]),
        "jwk": (json.dumps(jwk).encode(), []),
    }
    for form, (data, args) in forms.items():
        name = f"py/{kind}/in/{form}"
        canis("key", "import", name, "--type", kind, "--in", write("key", data), *args)
        assert canis("key", "public", name) == public_pem(public), name
        both_sign(name, private, public)
    print(f"{kind} in ok")

    half = f"py/{kind}/half"
    canis("key", "import", half, "--in", write("half", public_pem(public)))
    text = f"canis:v1:{half}:1:{base64.b64encode(private.sign(MESSAGE)).decode()}"
    signature = write("signature", text.encode())
    assert canis("verify", half, "--in", "message", "--signature", signature) == b"valid\n", half
    assert subprocess.run(["canis", "sign", half, "--in", "message"], capture_output=True).returncode != 0
    print(f"{kind} half ok")

    out = f"py/{kind}/out"
    canis("key", "create", out, "--type", kind, "--exportable", "--allow-plaintext-backup")
    ours = serialization.load_pem_private_key(canis("key", "export", out, "--format", "pkcs8"), None)
    assert canis("key", "public", out) == public_pem(ours.public_key()), out
    both_sign(out, ours, ours.public_key())
    jwk = json.loads(canis("key", "export", out, "--format", "jwk"))
    seed = base64.urlsafe_b64decode(jwk["priv"] + "==")
    assert (jwk["kty"], jwk["alg"], seed) == ("AKP", kind.upper(), ours.private_bytes_raw()), out
    print(f"{kind} out ok")
