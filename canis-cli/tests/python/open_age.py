"""Opens a file of age's whose private key CANIS keeps: `open_age.py KEY FILE`.

Run by moving_in.rs, with `canis` on the path and a server in its environment.
"""

import base64
import subprocess
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

key, file = sys.argv[1:]
header, _, rest = open(file, "rb").read().partition(b"\n---")
mac_line, _, payload = rest.partition(b"\n")
version, stanza, body = header.split(b"\n")
assert version == b"age-encryption.org/v1" and stanza.startswith(b"-> X25519 ")


def unpadded(text):
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def hkdf(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


share = unpadded(stanza.split(b" ")[2])
peer = X25519PublicKey.from_public_bytes(share).public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
with open("share.pem", "wb") as out:
    out.write(peer)
derive = ["canis", "derive", key, "--peer", "share.pem", "--kdf", "raw"]
secret = base64.b64decode(subprocess.run(derive, check=True, capture_output=True).stdout)
own = subprocess.run(["canis", "key", "public", key], check=True, capture_output=True).stdout
public = serialization.load_pem_public_key(own).public_bytes_raw()
wrap = hkdf(secret, share + public, b"age-encryption.org/v1/X25519")
file_key = ChaCha20Poly1305(wrap).decrypt(bytes(12), unpadded(body), None)
stream = hkdf(file_key, payload[:16], b"payload")
sys.stdout.buffer.write(ChaCha20Poly1305(stream).decrypt(bytes(11) + b"\x01", payload[16:], None))
