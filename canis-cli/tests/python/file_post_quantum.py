"""age's post-quantum recipients by Python's cryptography (OpenSSL): its HPKE, and a header written here by the format's text.

    file_post_quantum.py recipient SEED           prints age1pq1… of a seed in hex
    file_post_quantum.py encrypt SEED <in >out    a file for it, in the format age v1
    file_post_quantum.py decrypt SEED <in >out
"""

import base64
import hashlib
import hmac
import os
import sys

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
INFO = b"age-encryption.org/mlkem768x25519"
CHUNK = 1 << 16
LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def checksum(values):
    """BIP 173."""
    sum = 1
    for value in values:
        top = sum >> 25
        sum = (sum & 0x1FFFFFF) << 5 ^ value
        for bit, part in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            sum ^= part if top >> bit & 1 else 0
    return sum


def bech32(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    start = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    sum = checksum(start + values + [0] * 6) ^ 1
    return prefix + "1" + "".join(LETTERS[v] for v in values + [sum >> 5 * (5 - at) & 31 for at in range(6)])


def unpadded(data):
    return base64.b64encode(data).rstrip(b"=")


def padded(text):
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def hkdf(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def mac(key, header):
    return unpadded(hmac.digest(hkdf(key, b"", b"header"), header, "sha256"))


def chunk_nonce(number, last):
    return number.to_bytes(11, "big") + bytes([last])


def encrypt(public, plain):
    key, nonce = os.urandom(16), os.urandom(16)
    sealed = SUITE.encrypt(key, public, INFO)
    header = b"age-encryption.org/v1\n-> mlkem768x25519 " + unpadded(sealed[:1120])
    header += b"\n" + unpadded(sealed[1120:]) + b"\n---"
    body = ChaCha20Poly1305(hkdf(key, nonce, b"payload"))
    starts = range(0, max(len(plain), 1), CHUNK)
    chunks = [body.encrypt(chunk_nonce(at // CHUNK, at == starts[-1]), plain[at : at + CHUNK], None) for at in starts]
    return header + b" " + mac(key, header) + b"\n" + nonce + b"".join(chunks)


def decrypt(private, file):
    header, rest = file.split(b"\n---", 1)
    lines = header.split(b"\n")
    at = next(at for at, line in enumerate(lines) if line.startswith(b"-> mlkem768x25519 "))
    ciphertext, body = padded(lines[at].split(b" ")[2]), padded(lines[at + 1])
    assert len(ciphertext) == 1120, len(ciphertext)
    key = SUITE.decrypt(ciphertext + body, private, INFO)
    tag, payload = rest.split(b"\n", 1)
    assert tag == b" " + mac(key, header + b"\n---")
    cipher, sealed = ChaCha20Poly1305(hkdf(key, payload[:16], b"payload")), payload[16:]
    starts = range(0, len(sealed), CHUNK + 16)
    opened = (cipher.decrypt(chunk_nonce(n, at == starts[-1]), sealed[at : at + CHUNK + 16], None) for n, at in enumerate(starts))
    return b"".join(opened)


verb, seed = sys.argv[1:]
expanded = hashlib.shake_256(bytes.fromhex(seed)).digest(96)
kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
private = hpke.MLKEM768X25519PrivateKey(kem, curve)
match verb:
    case "recipient":
        public = kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        sys.stdout.write(bech32("age1pq", public))
    case "identity":
        sys.stdout.write(bech32("age-secret-key-pq-", bytes.fromhex(seed)).upper())
    case "encrypt":
        sys.stdout.buffer.write(encrypt(private.public_key(), sys.stdin.buffer.read()))
    case "decrypt":
        sys.stdout.buffer.write(decrypt(private, sys.stdin.buffer.read()))
