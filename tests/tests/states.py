"""Tries every mechanism family with every key of a token: `states.py MODULE PIN STATE KEPT`; states.rs says what must come.

Keys are called `<variant>-<state>`. In the state `make`, keys of all states are active: what they encrypt, sign and wrap goes
to the file KEPT. Later the script reads it, tries each operation with the keys of STATE and prints what the module answers,
as JSON: `{variant: {"operation mechanism": "ok" or the name of the return code}}`.
"""

import ctypes
import hashlib
import json
import sys

import PyKCS11
from PyKCS11 import LowLevel as P

module, pin, state, kept_file = sys.argv[1:]
MESSAGE, IV = b"a message of 32 bytes, no more!!", bytes(range(16))
DIGEST = hashlib.sha256(MESSAGE).digest()
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420") + DIGEST
NONCE = (ctypes.c_ubyte * 12)(*range(12))
KEY_WRAP, KEY_WRAP_KWP = 0x2109, 0x210B


class CcmParams(ctypes.Structure):
    _fields_ = [
        ("data_len", ctypes.c_ulong),
        ("nonce", ctypes.c_void_p),
        ("nonce_len", ctypes.c_ulong),
        ("aad", ctypes.c_void_p),
        ("aad_len", ctypes.c_ulong),
        ("mac_len", ctypes.c_ulong),
    ]


def ccm(data_len):
    return bytes(CcmParams(data_len, ctypes.addressof(NONCE), 12, None, 0, 16))


def plain(kind, parameter=None):
    return PyKCS11.Mechanism(kind, parameter)


def oaep():
    return PyKCS11.RSAOAEPMechanism(P.CKM_SHA256, P.CKG_MGF1_SHA256)


def pss(kind):
    return PyKCS11.RSA_PSS_Mechanism(kind, P.CKM_SHA256, P.CKG_MGF1_SHA256, 32)


# name: (the mechanism, for encryption of so many bytes; the message)
CIPHERS = {
    "AES_ECB": (lambda n: plain(P.CKM_AES_ECB), MESSAGE),
    "AES_CBC": (lambda n: plain(P.CKM_AES_CBC, IV), MESSAGE),
    "AES_CBC_PAD": (lambda n: plain(P.CKM_AES_CBC_PAD, IV), MESSAGE),
    "AES_CTR": (lambda n: PyKCS11.AES_CTR_Mechanism(32, IV), MESSAGE),
    "AES_GCM": (lambda n: PyKCS11.AES_GCM_Mechanism(IV[:12], b"", 128), MESSAGE),
    "AES_CCM": (lambda n: plain(P.CKM_AES_CCM, ccm(n)), MESSAGE),
}
OAEP = {"RSA_PKCS_OAEP": (lambda n: oaep(), MESSAGE)}
RSA = {
    "RSA_PKCS": (lambda: plain(P.CKM_RSA_PKCS), DIGEST_INFO),
    "SHA256_RSA_PKCS": (lambda: plain(P.CKM_SHA256_RSA_PKCS), MESSAGE),
    "RSA_PKCS_PSS": (lambda: pss(P.CKM_RSA_PKCS_PSS), DIGEST),
    "SHA256_RSA_PKCS_PSS": (lambda: pss(P.CKM_SHA256_RSA_PKCS_PSS), MESSAGE),
}
ECDSA = {
    "ECDSA": (lambda: plain(P.CKM_ECDSA), DIGEST),
    "ECDSA_SHA256": (lambda: plain(P.CKM_ECDSA_SHA256), MESSAGE),
}
HMAC = {
    "SHA256_HMAC": (lambda: plain(P.CKM_SHA256_HMAC), MESSAGE),
    "SHA512_HMAC": (lambda: plain(P.CKM_SHA512_HMAC), MESSAGE),
}
EDDSA = {"EDDSA": (lambda: plain(P.CKM_EDDSA), MESSAGE)}
WRAPS = {
    "AES_KEY_WRAP": lambda: plain(KEY_WRAP),
    "AES_KEY_WRAP_KWP": lambda: plain(KEY_WRAP_KWP),
}
ECDH = {"ECDH1_DERIVE": lambda point: PyKCS11.ECDH1_DERIVE_Mechanism(point)}
JOIN = {"CONCATENATE_BASE_AND_DATA": lambda point: PyKCS11.CONCATENATE_BASE_AND_DATA_Mechanism(b"more")}

# variant: (ciphers, signatures and MACs, wrappings, derivations)
VARIANTS = {
    "aes128": (CIPHERS, {}, {}, {}),
    "aes192": (CIPHERS, {}, {}, {}),
    "aes256": (CIPHERS, {}, {}, {}),
    "aes-wrap": ({}, {}, WRAPS, {}),
    "rsa2048": (OAEP, RSA, {}, {}),
    "rsa3072": (OAEP, RSA, {}, {}),
    "rsa4096": (OAEP, RSA, {}, {}),
    "rsa-wrap": ({}, {}, {"RSA_PKCS_OAEP": oaep}, {}),
    "p256": ({}, ECDSA, {}, {}),
    "p384": ({}, ECDSA, {}, {}),
    "p521": ({}, ECDSA, {}, {}),
    "k256": ({}, ECDSA, {}, {}),
    "ec-derive": ({}, {}, {}, ECDH),
    "ed25519": ({}, EDDSA, {}, {}),
    "x25519": ({}, {}, {}, ECDH),
    "generic": ({}, HMAC, {}, {}),
    "generic-derive": ({}, {}, {}, JOIN),
}
SECRET = [(P.CKA_CLASS, P.CKO_SECRET_KEY), (P.CKA_TOKEN, P.CK_FALSE), (P.CKA_SENSITIVE, P.CK_TRUE)]
UNWRAPPED = SECRET + [(P.CKA_KEY_TYPE, P.CKK_AES)]
DERIVED = SECRET + [(P.CKA_KEY_TYPE, P.CKK_GENERIC_SECRET)]

lib = PyKCS11.PyKCS11Lib()
lib.load(module)
session = lib.openSession(lib.getSlotList(tokenPresent=True)[0], P.CKF_SERIAL_SESSION | P.CKF_RW_SESSION)
session.login(pin)


def objects(label):
    """The secret half, by which one decrypts, signs, unwraps and derives, and the public one, the same for secret keys."""
    found = session.findObjects([(P.CKA_LABEL, label)])
    by_class = {session.getAttributeValue(key, [P.CKA_CLASS])[0]: key for key in found}
    secret = by_class.get(P.CKO_SECRET_KEY) or by_class.get(P.CKO_PRIVATE_KEY)
    return secret, by_class.get(P.CKO_PUBLIC_KEY) or secret


def answer(work):
    try:
        work()
        return "ok"
    except PyKCS11.PyKCS11Error as error:
        return PyKCS11.CKR[error.value]


def operations(variant, label, kept):
    """Every operation with a key: what it is, the mechanism, and the work."""
    ciphers, signatures, wraps, derivations = VARIANTS[variant]
    secret, public = objects(label)

    def made(operation, name, dummy):
        return bytes.fromhex(kept.get(f"{label} {operation} {name}", dummy.hex()))

    for name, (how, message) in ciphers.items():
        sealed = made("encrypt", name, bytes(48))
        tag = 16 if name == "AES_CCM" else 0
        yield "encrypt", name, lambda: session.encrypt(public, message, how(len(message)))
        yield "decrypt", name, lambda: session.decrypt(secret, sealed, how(len(sealed) - tag))
    for name, (how, message) in signatures.items():
        signature = made("sign", name, bytes(64))
        yield "sign", name, lambda: session.sign(secret, message, how())
        yield "verify", name, lambda: session.verify(public, message, signature, how()) or sys.exit(label)
    for name, how in wraps.items():
        wrapped = made("wrap", name, bytes(384 if name == "RSA_PKCS_OAEP" else 40))
        target, _ = objects("target")
        yield "wrap", name, lambda: session.wrapKey(public, target, how())
        yield "unwrap", name, lambda: session.unwrapKey(secret, wrapped, UNWRAPPED, how())
    for name, how in derivations.items():
        point = b""
        if name == "ECDH1_DERIVE":
            point = bytes(session.getAttributeValue(public, [P.CKA_EC_POINT])[0])
        yield "derive", name, lambda: session.deriveKey(secret, DERIVED, how(point))


if state == "make":
    kept = {}
    for variant in VARIANTS:
        for later in ("active", "disabled"):
            label = f"{variant}-{later}"
            for operation, name, work in operations(variant, label, kept):
                if operation in ("encrypt", "sign", "wrap"):
                    kept[f"{label} {operation} {name}"] = bytes(work()).hex()
    with open(kept_file, "w") as file:
        json.dump(kept, file)
else:
    with open(kept_file) as file:
        kept = json.load(file)
    told = {}
    for variant in VARIANTS:
        label = f"{variant}-{state}"
        if objects(label) == (None, None):
            told[variant] = "absent"
            continue
        told[variant] = {f"{o} {name}": answer(work) for o, name, work in operations(variant, label, kept)}
    print(json.dumps(told))
lib.lib.C_Finalize()
