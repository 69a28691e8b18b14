"""Keys in every form, out of Python's cryptography and jwcrypto into CANIS and back, used on both sides.

Run by python.rs, with `canis` on the path and a server in its environment. Prints ` ok` once a check.
"""

import base64
import json
import os
import tempfile

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import pkcs12
from jwcrypto import jwk
from program import canis, write

os.chdir(tempfile.mkdtemp())
PASSPHRASE = b"a passphrase"
with open("pass", "wb") as file:
    os.fchmod(file.fileno(), 0o600)
    file.write(PASSPHRASE)
with open("message", "wb") as file:
    file.write(b"to be signed")
MESSAGE = b"to be signed"
PKCS8, TRADITIONAL, OPENSSH = (
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.PrivateFormat.OpenSSH,
)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PLAIN, LOCKED = serialization.NoEncryption(), serialization.BestAvailableEncryption(PASSPHRASE)
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

KINDS = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ecdsa-secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
HASHES = {"ecdsa-p384": hashes.SHA384(), "ecdsa-p521": hashes.SHA512()}


def public_pem(key):
    return key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def verify(kind, public, signature, message=MESSAGE):
    if kind.startswith("rsa"):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        public.verify(signature, message, pss, hashes.SHA256())
    elif kind == "ed25519":
        public.verify(signature, message)
    else:
        public.verify(signature, message, ec.ECDSA(HASHES.get(kind, hashes.SHA256())))


def sign(kind, key):
    if kind.startswith("rsa"):
        return key.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    if kind == "ed25519":
        return key.sign(MESSAGE)
    return key.sign(MESSAGE, ec.ECDSA(HASHES.get(kind, hashes.SHA256())))


def text_form(name, data):
    return f"canis:v1:{name}:1:{base64.b64encode(data).decode()}"


def forms(kind, key):
    """Every form that the other side writes: a name, the bytes, and further arguments."""
    yield "pkcs8.der", key.private_bytes(DER, PKCS8, PLAIN), []
    yield "pkcs8.pem", key.private_bytes(PEM, PKCS8, PLAIN), []
    yield "locked.pem", key.private_bytes(PEM, PKCS8, LOCKED), ["--passphrase-file", "pass"]
    yield "locked.der", key.private_bytes(DER, PKCS8, LOCKED), ["--passphrase-file", "pass"]
    if kind != "ed25519":
        yield "traditional.pem", key.private_bytes(PEM, TRADITIONAL, PLAIN), []
        yield "traditional.der", key.private_bytes(DER, TRADITIONAL, PLAIN), []
    else:
        yield "raw", key.private_bytes_raw(), ["--format", "raw"]
    if kind != "ecdsa-secp256k1":
        yield "openssh", key.private_bytes(PEM, OPENSSH, PLAIN), []
    yield "jwk", jwk.JWK.from_pyca(key).export_private().encode(), []


def check_in(kind, key):
    """R48, R49, R51: what the other side wrote comes in, and signs what the other side verifies."""
    public = public_pem(key)
    for form, data, args in forms(kind, key):
        name = f"py/in/{kind}/{form}"
        canis("key", "import", name, "--type", kind, "--in", write("key", data), *args)
        assert canis("key", "public", name) == public, name
        verify(kind, key.public_key(), canis("sign", name, "--raw", "--in", "message"))
    signature = write("signature", text_form(name, sign(kind, key)).encode())
    assert canis("verify", name, "--in", "message", "--signature", signature) == b"valid\n"
    if kind.startswith("rsa"):
        sealed = write("sealed", text_form(name, key.public_key().encrypt(b"hello", OAEP)).encode())
        assert canis("decrypt", name, "--in", sealed) == b"hello"
    half = f"py/half/{kind}"
    canis("key", "import", half, "--in", write("half", jwk.JWK.from_pyca(key).export_public().encode()))
    signature = write("signature", text_form(half, sign(kind, key)).encode())
    assert canis("verify", half, "--in", "message", "--signature", signature) == b"valid\n"


def check_out(kind):
    """R53, R54: what leaves CANIS opens on the other side and is the key."""
    name = f"py/out/{kind}"
    canis("key", "create", name, "--type", kind, "--exportable", "--allow-plaintext-backup")
    public = canis("key", "public", name)
    key = serialization.load_pem_private_key(canis("key", "export", name, "--format", "pkcs8"), None)
    assert public_pem(key) == public
    args = ["--format", "pkcs8", "--passphrase-file", "pass"]
    locked = serialization.load_pem_private_key(canis("key", "export", name, *args), PASSPHRASE)
    assert public_pem(locked) == public
    shown = jwk.JWK.from_json(canis("key", "export", name, "--format", "jwk").decode())
    assert shown.export_to_pem() == public and shown.has_private
    assert jwk.JWK.from_json(canis("key", "public", name, "--format", "jwk").decode()).export_to_pem() == public
    if kind != "ecdsa-secp256k1":
        line = canis("key", "public", name, "--format", "openssh")
        ssh = serialization.load_ssh_public_key(line)
        assert ssh.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo) == public
    signature = write("signature", text_form(name, sign(kind, key)).encode())
    assert canis("verify", name, "--in", "message", "--signature", signature) == b"valid\n"
    target = rsa.generate_private_key(65537, 3072)
    wrapped = canis("key", "export", name, "--format", "wrapped", "--wrapping-public-key", write("rsa", public_pem(target)))
    aes = target.decrypt(wrapped[:384], OAEP)
    inside = serialization.load_der_private_key(keywrap.aes_key_unwrap_with_padding(aes, wrapped[384:]), None)
    assert public_pem(inside) == public


def check_wrapped_in():
    """R46, R47: wrapped by the other side under the tenant's key, of every length of AES key."""
    wrapping = serialization.load_pem_public_key(canis("key", "wrapping-key"))
    assert wrapping.key_size == 4096
    for bits in (128, 192, 256):
        secret, aes = os.urandom(bits // 8), os.urandom(bits // 8)
        blob = wrapping.encrypt(aes, OAEP) + keywrap.aes_key_wrap_with_padding(aes, secret)
        name = f"py/wrapped/{bits}"
        args = ["--exportable", "--allow-plaintext-backup"]
        canis("key", "import", name, "--type", f"aes{bits}-gcm", "--wrapped", write("blob", blob), *args)
        assert canis("key", "export", name, "--format", "raw") == secret
        shown = json.loads(canis("key", "export", name, "--format", "jwk"))
        assert jwk.JWK(kty="oct", k=shown["k"]).get_op_key("encrypt") and shown["kty"] == "oct"
        again = jwk.JWK.generate(kty="oct", size=bits)
        canis("key", "import", f"{name}/jwk", "--type", f"aes{bits}-gcm", "--in", write("jwk", again.export().encode()), *args)
        raw = canis("key", "export", f"{name}/jwk", "--format", "raw")
        assert base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == json.loads(again.export())["k"]


def check_rfc8032():
    """R6: RFC 8032, section 7.1, test 2, by way of an import."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    canis("key", "import", "py/rfc8032", "--type", "ed25519", "--format", "raw", "--in", write("seed", seed))
    signature = canis("sign", "py/rfc8032", "--raw", "--in", write("one", b"\x72"))
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def check_aes_gcm():
    """Data made by either side under an imported key is read by the other."""
    for bits in (128, 192, 256):
        name, key = f"py/gcm/{bits}", AESGCM.generate_key(bits)
        canis("key", "import", name, "--type", f"aes{bits}-gcm", "--format", "raw", "--in", write("key", key))
        for iv in (os.urandom(12), os.urandom(20)):
            sealed = write("sealed", AESGCM(key).encrypt(iv, MESSAGE, b"aad"))
            args = ["--in", sealed, "--iv", iv.hex(), "--aad", b"aad".hex()]
            assert canis("aes-gcm", "decrypt", name, *args) == MESSAGE
        args = ["--in", "message", "--aad-file", write("aad", b"aad"), "--out", "sealed", "--json"]
        made = json.loads(canis("aes-gcm", "encrypt", name, *args))
        with open("sealed", "rb") as file:
            assert AESGCM(key).decrypt(bytes.fromhex(made["iv"]), file.read(), b"aad") == MESSAGE


def check_pkcs12():
    """A PKCS#12 file of every kind of key, encrypted in the way of today and in that of yesterday."""
    old = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    old = old.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()).build(PASSPHRASE)
    for kind, generate in KINDS.items():
        for age, how in (("new", LOCKED), ("old", old)):
            key, name = generate(), f"py/pkcs12/{kind}/{age}"
            file = write("key.p12", pkcs12.serialize_key_and_certificates(b"mine", key, None, None, how))
            canis("import", "pkcs12", file, "--alias", "mine", "--name", name, "--passphrase-file", "pass")
            assert canis("key", "public", name) == public_pem(key), name


def check_x25519():
    """X25519 keys come in, agree with the other side (RFC 7748, section 6.1), and leave."""
    for form in ("pkcs8", "locked", "jwk", "raw"):
        key, peer, name = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate(), f"py/x25519/{form}"
        data, args = {
            "pkcs8": lambda: (key.private_bytes(DER, PKCS8, PLAIN), []),
            "locked": lambda: (key.private_bytes(PEM, PKCS8, LOCKED), ["--passphrase-file", "pass"]),
            "jwk": lambda: (jwk.JWK.from_pyca(key).export_private().encode(), []),
            "raw": lambda: (key.private_bytes_raw(), ["--format", "raw"]),
        }[form]()
        args += ["--type", "x25519", "--exportable", "--allow-plaintext-backup"]
        canis("key", "import", name, "--in", write("key", data), *args)
        shared = canis("derive", name, "--kdf", "raw", "--peer", write("peer", public_pem(peer)))
        assert base64.b64decode(shared) == peer.exchange(key.public_key())
        assert canis("key", "export", name, "--format", "raw") == key.private_bytes_raw()
        out = serialization.load_pem_private_key(canis("key", "export", name, "--format", "pkcs8"), None)
        assert out.private_bytes_raw() == key.private_bytes_raw()
        shown = jwk.JWK.from_json(canis("key", "export", name, "--format", "jwk").decode())
        assert shown.export_to_pem() == public_pem(key) and shown.has_private


for kind, generate in KINDS.items():
    check_in(kind, generate())
    print(f"in {kind} ok")
    check_out(kind)
    print(f"out {kind} ok")
check_wrapped_in()
print("wrapped ok")
check_rfc8032()
print("rfc8032 ok")
check_aes_gcm()
print("aes-gcm ok")
check_pkcs12()
print("pkcs12 ok")
check_x25519()
print("x25519 ok")
