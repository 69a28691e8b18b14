"""MLKEM768-X25519 (draft-connolly-cfrg-xwing-kem, section 5) of OpenSSL's ML-KEM and X25519, and its keys' forms."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

LABEL = rb"\.//^" + b"\\"
OID = bytes.fromhex("300d060b2b0601040183e62d81c87a")
PKCS8 = bytes.fromhex("3034020100") + OID + bytes.fromhex("0420")
SPKI = bytes.fromhex("308204d4") + OID + bytes.fromhex("038204c100")


def combined(lattice, agreed, ephemeral, point):
    return hashlib.sha3_256(lattice + agreed + ephemeral + point + LABEL).digest()


class Private:
    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        self.seed = seed
        self.lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self.point = self.curve.public_key().public_bytes_raw()
        self.public = self.lattice.public_key().public_bytes_raw() + self.point

    def decapsulate(self, ciphertext):
        lattice, ephemeral = ciphertext[:1088], ciphertext[1088:]
        agreed = self.curve.exchange(x25519.X25519PublicKey.from_public_bytes(ephemeral))
        return combined(self.lattice.decapsulate(lattice), agreed, ephemeral, self.point)


def encapsulate(public):
    secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    own = x25519.X25519PrivateKey.generate()
    ephemeral, point = own.public_key().public_bytes_raw(), public[1184:]
    agreed = own.exchange(x25519.X25519PublicKey.from_public_bytes(point))
    return combined(secret, agreed, ephemeral, point), ciphertext + ephemeral
