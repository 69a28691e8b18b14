"""PyKCS11: makes and uses keys on the first token of the module that PKCS11_MODULE names, with PIN."""

import hashlib
import hmac
import os

import PyKCS11
from PyKCS11 import LowLevel as C

MESSAGE = b"a message"


def main():
    module = PyKCS11.PyKCS11Lib()
    module.load(os.environ["PKCS11_MODULE"])
    slot = module.getSlotList(tokenPresent=True)[0]
    session = module.openSession(slot, C.CKF_SERIAL_SESSION | C.CKF_RW_SESSION)
    session.login(os.environ["PIN"])
    for check in (rsa, elliptic_curve, aes, digests, macs, objects):
        check(session)
        print(check.__name__, "ok")
    session.logout()
    session.closeSession()


def rsa(session):
    public = [(C.CKA_MODULUS_BITS, 2048), (C.CKA_PUBLIC_EXPONENT, (1, 0, 1)), (C.CKA_TOKEN, False)]
    public, private = session.generateKeyPair(public, [(C.CKA_TOKEN, False)])
    mechanism = PyKCS11.Mechanism(C.CKM_SHA256_RSA_PKCS, None)
    signature = session.sign(private, MESSAGE, mechanism)
    assert session.verify(public, MESSAGE, signature, mechanism)
    assert not session.verify(public, b"another", signature, mechanism)
    mechanism = PyKCS11.RSAOAEPMechanism(C.CKM_SHA256, C.CKG_MGF1_SHA256)
    sealed = session.encrypt(public, MESSAGE, mechanism)
    assert bytes(session.decrypt(private, sealed, mechanism)) == MESSAGE


def elliptic_curve(session):
    curve = bytes.fromhex("06082a8648ce3d030107")
    public = [(C.CKA_EC_PARAMS, curve), (C.CKA_KEY_TYPE, C.CKK_EC), (C.CKA_TOKEN, False)]
    private = [(C.CKA_TOKEN, False), (C.CKA_SIGN, True)]
    public, private = session.generateKeyPair(public, private, mecha=PyKCS11.MechanismECGENERATEKEYPAIR)
    mechanism = PyKCS11.Mechanism(C.CKM_ECDSA_SHA256, None)
    signature = session.sign(private, MESSAGE, mechanism)
    assert session.verify(public, MESSAGE, signature, mechanism)
    assert not session.verify(public, b"another", signature, mechanism)


def aes(session):
    key = session.generateKey([(C.CKA_VALUE_LEN, 32), (C.CKA_TOKEN, False)], PyKCS11.MechanismAESGENERATEKEY)
    for mechanism, text in (
        (PyKCS11.Mechanism(C.CKM_AES_CBC_PAD, bytes(16)), MESSAGE),
        (PyKCS11.AES_GCM_Mechanism(bytes(12), b"associated", 128), MESSAGE),
    ):
        assert bytes(session.decrypt(key, session.encrypt(key, text, mechanism), mechanism)) == text


def digests(session):
    for mechanism, name in ((C.CKM_SHA_1, "sha1"), (C.CKM_SHA256, "sha256"), (C.CKM_SHA512, "sha512")):
        digest = session.digest(MESSAGE, PyKCS11.Mechanism(mechanism, None))
        assert bytes(digest) == hashlib.new(name, MESSAGE).digest()


def macs(session):
    value = bytes(range(32))
    key = session.createObject(
        [
            (C.CKA_CLASS, C.CKO_SECRET_KEY),
            (C.CKA_KEY_TYPE, C.CKK_GENERIC_SECRET),
            (C.CKA_TOKEN, False),
            (C.CKA_SIGN, True),
            (C.CKA_VALUE, value),
        ]
    )
    tag = session.sign(key, MESSAGE, PyKCS11.Mechanism(C.CKM_SHA256_HMAC, None))
    assert bytes(tag) == hmac.new(value, MESSAGE, "sha256").digest()


def objects(session):
    made = session.createObject(
        [(C.CKA_CLASS, C.CKO_DATA), (C.CKA_TOKEN, True), (C.CKA_LABEL, "kept"), (C.CKA_VALUE, MESSAGE)]
    )
    (found,) = session.findObjects([(C.CKA_LABEL, "kept")])
    assert bytes(session.getAttributeValue(found, [C.CKA_VALUE])[0]) == MESSAGE
    session.destroyObject(made)
    assert not session.findObjects([(C.CKA_LABEL, "kept")])


main()
