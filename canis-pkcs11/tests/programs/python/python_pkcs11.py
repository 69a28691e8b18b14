"""python-pkcs11: makes and uses a key of every kind on the token that PKCS11_MODULE, TOKEN and PIN name."""

import hashlib
import hmac
import os

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.mechanisms import MLDSAParameterSet, MLKEMParameterSet
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

MESSAGE = b"a message"


def main():
    token = pkcs11.lib(os.environ["PKCS11_MODULE"]).get_token(token_label=os.environ["TOKEN"])
    with token.open(rw=True, user_pin=os.environ["PIN"]) as session:
        for check in (rsa, elliptic_curves, post_quantum, aes, digests, macs, random, objects):
            check(session)
            print(check.__name__, "ok")


def rsa(session):
    public, private = session.generate_keypair(KeyType.RSA, 2048)
    outside = serialization.load_der_public_key(spki(encode_rsa_public_key(public)))
    signature = private.sign(MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS)
    outside.verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    assert public.verify(MESSAGE, signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    assert not public.verify(b"another", signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    pss = (Mechanism.SHA256, pkcs11.MGF.SHA256, 32)
    signature = private.sign(MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=pss)
    outside.verify(signature, MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    sealed = outside.encrypt(MESSAGE, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    assert private.decrypt(sealed) == MESSAGE
    assert private.decrypt(public.encrypt(MESSAGE)) == MESSAGE


def spki(pkcs1):
    """A SubjectPublicKeyInfo of an RSAPublicKey."""
    from asn1crypto.keys import PublicKeyInfo, RSAPublicKey

    return PublicKeyInfo.wrap(RSAPublicKey.load(pkcs1), "rsa").dump()


def elliptic_curves(session):
    for curve, digest in (("secp256r1", hashes.SHA256()), ("secp384r1", hashes.SHA384())):
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
        )
        public, private = parameters.generate_keypair()
        outside = serialization.load_der_public_key(encode_ec_public_key(public))
        hashed = hashlib.new(digest.name, MESSAGE).digest()
        raw = private.sign(hashed, mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        r, s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
        outside.verify(utils.encode_dss_signature(r, s), MESSAGE, ec.ECDSA(digest))
        try:
            outside.verify(utils.encode_dss_signature(r, s), b"another", ec.ECDSA(digest))
            raise AssertionError("a wrong message is verified")
        except InvalidSignature:
            pass


def post_quantum(session):
    for parameters in MLKEMParameterSet:
        public, private = session.generate_keypair(
            KeyType.ML_KEM, public_template={Attribute.PARAMETER_SET: parameters}
        )
        for bits in (128, 192, 256):
            ciphertext, ours = public.encapsulate_key(KeyType.AES, key_length=bits)
            theirs = private.decapsulate_key(ciphertext, KeyType.AES, key_length=bits)
            iv = session.generate_random(128)
            sealed = ours.encrypt(MESSAGE, mechanism_param=iv)
            assert theirs.decrypt(sealed, mechanism_param=iv) == MESSAGE
        altered = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
        other = private.decapsulate_key(altered, KeyType.AES, key_length=256)
        block, ecb = bytes(16), Mechanism.AES_ECB
        assert other.encrypt(block, mechanism=ecb) != ours.encrypt(block, mechanism=ecb)
    for parameters in MLDSAParameterSet:
        public, private = session.generate_keypair(
            KeyType.ML_DSA, public_template={Attribute.PARAMETER_SET: parameters}
        )
        signature = private.sign(MESSAGE, mechanism=Mechanism.ML_DSA)
        assert public.verify(MESSAGE, signature, mechanism=Mechanism.ML_DSA)
        assert not public.verify(b"another", signature, mechanism=Mechanism.ML_DSA)


def aes(session):
    key = session.generate_key(KeyType.AES, 256)
    iv = session.generate_random(128)
    for size in (0, 1, 16, 1000):
        text = bytes(size)
        assert key.decrypt(key.encrypt(text, mechanism_param=iv), mechanism_param=iv) == text
    chunks = [b"chunk" * 5] * 7
    sealed = b"".join(key.encrypt(chunks, mechanism_param=iv))
    assert b"".join(key.decrypt((sealed,), mechanism_param=iv)) == b"".join(chunks)


def digests(session):
    for name in ("SHA_1", "SHA256", "SHA384", "SHA512"):
        wanted = hashlib.new(name.replace("_", ""), MESSAGE).digest()
        assert session.digest(MESSAGE, mechanism=Mechanism[name]) == wanted
        assert session.digest((MESSAGE[:3], MESSAGE[3:]), mechanism=Mechanism[name]) == wanted


def macs(session):
    value = bytes(range(32))
    brought = session.create_object(
        {
            Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.VALUE: value,
            Attribute.SIGN: True,
            Attribute.VERIFY: True,
        }
    )
    tag = brought.sign(MESSAGE, mechanism=Mechanism.SHA256_HMAC)
    assert tag == hmac.new(value, MESSAGE, "sha256").digest()
    assert brought.verify(MESSAGE, tag, mechanism=Mechanism.SHA256_HMAC)
    assert not brought.verify(b"another", tag, mechanism=Mechanism.SHA256_HMAC)


def random(session):
    assert len(set(session.generate_random(256) for _ in range(4))) == 4


def objects(session):
    key = session.generate_key(KeyType.AES, 128, label="kept", store=True)
    assert [found.label for found in session.get_objects({Attribute.LABEL: "kept"})] == ["kept"]
    key.destroy()
    assert not list(session.get_objects({Attribute.LABEL: "kept"}))


main()
