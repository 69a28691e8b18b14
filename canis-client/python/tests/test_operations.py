"""Every operation that docs/canisp.cddl knows, asked of a real server; what is sent and answered fits its rules."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pycddl  # type: ignore[import-untyped]
import pytest
from canis import CanisError, Client
from canis.wire import encode

CDDL = (Path(__file__).parents[3] / "docs/canisp.cddl").read_text()
OPERATIONS = re.findall(r"^(\S+)\.request = ", CDDL, re.MULTILINE)
STREAMS = re.findall(r"^(\S+)\.open = ", CDDL, re.MULTILINE)
# pycddl 0.6.4 compares what stands in an array with the first of a choice only.
RULES = CDDL.replace("[* capability]", "[* tstr]").replace("[* p11-field]", "[* any-map]")
VECTORS = Path(__file__).parents[3] / "tests/vectors/canisp.json"


@cache
def schema(rule: str) -> Any:
    return pycddl.Schema(f"start = {rule}\n{RULES}")


class Checked(Client):
    """Compares what crosses with the rules, and remembers what was asked."""

    seen: set[str] = set()
    streamed: set[str] = set()

    def call(self, op: str, **args: Any) -> dict[str, Any]:
        schema(f"{op}.request").validate_cbor(encode({"op": op, "args": args}))
        answer = super().call(op, **args)
        schema(f"{op}.answer").validate_cbor(encode(answer))
        self.seen.add(op)
        return answer

    def stream(self, op: str, source: Any, sink: Any = None, **args: Any) -> dict[str, Any]:
        schema(f"{op}.open").validate_cbor(encode({"op": op, "args": args, "credit": 1}))
        answer = super().stream(op, source, sink, **args)
        schema(f"{op}.stream-answer").validate_cbor(encode(answer))
        self.streamed.add(op)
        return answer


@pytest.fixture(scope="module")
def canis() -> Iterator[Checked]:
    client = Checked.from_environment()
    yield client
    client.close()


def key(canis: Checked, kind: str, **config: Any) -> str:
    name = f"ops/{len(list(canis.keys('ops/')))}"
    canis.call("key.create", name=name, kind=kind, **config)
    return name


def look(canis: Checked) -> None:
    name = key(canis, "ecdsa-p256")
    assert canis.call("status") and canis.call("key.list", limit=3)
    assert canis.call("key.show", name=name) and canis.call("key.public", name=name)


def live(canis: Checked) -> None:
    name = key(canis, "aes256-gcm", activate=False, interval="30d")
    canis.call("key.activate", name=name)
    canis.call("key.update", name=name, retain_versions=3)
    assert canis.call("key.rotate", name=name)["version"] == 2
    canis.call("key.disable", name=name)
    canis.call("key.enable", name=name)
    canis.call("key.disable", name=name)
    canis.call("key.destroy", name=name, delay="7d")
    canis.call("key.cancel-destroy", name=name)


def use(canis: Checked) -> None:
    aes, signing, secret = key(canis, "aes256-gcm"), key(canis, "ecdsa-p256"), key(canis, "generic")
    sealed = canis.call("encrypt", name=aes, plaintext=b"x", context=b"c")["ciphertext"]
    assert canis.call("decrypt", name=aes, ciphertext=sealed, context=b"c")["plaintext"] == b"x"
    canis.call("rewrap", name=aes, ciphertexts=[sealed, "junk"], context=b"c")
    canis.call("datakey", name=aes, length=32)
    signature = canis.call("sign", name=signing, message=b"m")["signature"]
    assert canis.call("verify", name=signing, message=b"m", signature=signature)["valid"]
    mac = canis.call("mac", name=secret, message=b"m")["mac"]
    assert canis.call("verify-mac", name=secret, message=b"m", mac=mac)["valid"]
    one, two = key(canis, "x25519"), key(canis, "x25519")
    canis.call("derive", name=one, peer=canis.public_key(two), info=b"i")
    kem = key(canis, "ml-kem-768")
    made = canis.call("encapsulate", name=kem)
    assert canis.call("decapsulate", name=kem, ciphertext=made["ciphertext"])["secret"] == made["secret"]
    canis.call("random", length=9)
    canis.call("hash", data=b"d", hash="sha3-384")
    canis.call("batch", operations=[{"op": "random", "length": 3}, {"op": "key.show", "name": "ops/none"}])


def carry(canis: Checked) -> None:
    canis.call("key.wrapping-key")
    canis.call("key.wrapping-key", kind="ml-kem-768-x25519")
    canis.call("key.import", name="ops/raw", kind="aes256-gcm", format="raw", material=bytes(32), exportable=True,
               allow_plaintext_backup=True)  # fmt: skip
    canis.call("key.export", name="ops/raw", format="raw")
    made = canis.call("aes-gcm.encrypt", name="ops/raw", plaintext=b"x", aad=b"a")
    again = canis.call("aes-gcm.decrypt", name="ops/raw", iv=made["iv"], ciphertext=made["ciphertext"], tag=made["tag"], aad=b"a")
    assert again["plaintext"] == b"x"


def keep(canis: Checked) -> None:
    revision = canis.call("kv.put", id="ops/ä 1", name="n", generate="ed25519")["revision"]
    assert canis.call("kv.get", id="ops/ä 1", private=True)["private_key"]
    canis.call("kv.list", prefix="ops/")
    canis.call("kv.delete", id="ops/ä 1", revision=revision)


def slots(canis: Checked) -> None:
    so, user = b"8765-4321", b"1234-5678"
    canis.call("slot.init", token="ops", so_pin=so)
    canis.call("slot.list")
    canis.call("slot.unlock", token="ops", so_pin=so, pin=user)
    canis.call("slot.import", token="ops", pin=user, label="l", id=b"1", kind="ed25519", format="raw", material=bytes(32))
    canis.call("slot.export", token="ops", pin=user, label="l")
    canis.call("slot.set-pin", token="default", pin=user)
    canis.call("slot.delete", token="ops", so_pin=so)


def credentials(canis: Checked) -> None:
    made = canis.call("credential.create", name="ops", capabilities=["read", "sign"])
    canis.call("credential.list")
    text = 'path "kms/keys/ops/*" { capabilities = ["read"] }'
    canis.call("policy.put", name="ops", text=text, revision=0)
    assert canis.call("policy.get", name="ops")["text"] == text
    canis.call("policy.list", prefix="o")
    named = canis.call("credential.create", capabilities=[], policies=["ops"], lifetime="1h", renewable=True)["credential"]
    asked = {"who": named["id"], "path": "kms/keys/ops/a"}
    assert canis.call("policy.explain", capability="read", **asked)["line"] == 1
    assert not canis.call("policy.explain", capability="sign", **asked)["allowed"]
    assert canis.call("credential.renew", id=named["id"])["policies"] == ["ops"]
    assert canis.call("credential.show", id=named["id"])["policies"] == ["ops"]
    canis.call("credential.revoke", id=named["id"])
    about = 'policies = ["ops"]\njwt {\n  issuer   = "https://issuer.example"\n  audience = "canis"\n}\n'
    assert canis.call("role.put", name="ops", text=about, revision=0)["binds"] == ["jwt"]
    assert canis.call("role.get", name="ops")["text"] == about
    assert canis.call("role.list", prefix="o")["roles"][0]["policies"] == ["ops"]
    canis.call("role.delete", name="ops", revision=1)
    canis.call("policy.delete", name="ops")
    canis.call("credential.revoke", id=made["credential"]["id"])


def approvals(canis: Checked) -> None:
    """Asked by one, approved, denied and cancelled by whoever may."""
    address, ca_file = os.environ["CANIS_ADDR"], os.environ["CANIS_CACERT"]
    guard = 'path "kms/keys/ops/*" {\n  capabilities = ["delete"]\n  approvals = 1\n}'
    canis.call("policy.put", name="guard", text=guard)
    made = [canis.call("credential.create", name=name, capabilities=may)["token"]
            for name, may in (("asker", ["read", "delete"]), ("other", ["approve"]))]  # fmt: skip
    name = key(canis, "ed25519")
    canis.call("key.disable", name=name)
    asker, other = (Checked(address, ca_file=ca_file, token=token) for token in made)
    with asker, other:

        def ask() -> str:
            with pytest.raises(CanisError) as caught:
                asker.call("key.destroy", name=name)
            assert caught.value.name == "approval_required"
            return str(asker.call("approval.list", waiting=True)["requests"][0]["id"])

        assert asker.call("approval.cancel", id=ask())["state"] == "cancelled"
        assert other.call("approval.deny", id=ask(), reason="no")["reason"] == "no"
        request = ask()
        assert other.call("approval.approve", id=request)["state"] == "approved"
        assert asker.call("key.destroy", name=name)["state"] == "destroyed"
        assert asker.call("approval.show", id=request)["state"] == "executed"


def isolated(canis: Checked) -> None:
    made = canis.call("tenant.create", name="shop", max_keys=1)
    assert made["token"].startswith("canis_") and made["tenant"]["keys"] == 0
    assert [tenant["name"] for tenant in canis.call("tenant.list")["tenants"]] == ["default", "shop"]
    assert canis.call("tenant.limits", name="shop", max_payload=9)["max_keys"] == 1
    assert canis.call("tenant.disable", name="shop")["disabled_at"]
    assert canis.call("tenant.enable", name="shop")["disabled_at"] is None
    assert canis.call("tenant.show", name=made["tenant"]["id"])["max_payload"] == 9
    assert canis.call("tenant.delete", name="shop")["credentials"] == 1


def streams(canis: Checked) -> None:
    aes, signing, secret = key(canis, "aes256-gcm"), key(canis, "ecdsa-p256"), key(canis, "generic")
    data, sealed, opened = bytes(200_000), BytesIO(), BytesIO()
    canis.stream("encrypt", BytesIO(data), sealed, name=aes)
    header, body = sealed.getvalue().split(b"\n", 1)
    canis.stream("decrypt", BytesIO(body), opened, name=aes, header=header.decode())
    assert opened.getvalue() == data
    signature = canis.stream("sign", BytesIO(data), name=signing)["signature"]
    assert canis.stream("verify", BytesIO(data), name=signing, signature=signature)["valid"]
    mac = canis.stream("mac", BytesIO(data), name=secret)["mac"]
    assert canis.stream("verify-mac", BytesIO(data), name=secret, mac=mac)["valid"]
    canis.stream("hash", BytesIO(data))


def content(kind: str, of: str, usage: int, **facts: Any) -> dict[str, Any]:
    flags = {"modifiable": True, "copyable": True, "destroyable": True, "private": kind != "public-key"}
    return {"class": kind, "label": b"ops", "key": {"kind": of, "usage": usage, "mechanism": 0, **facts}} | flags


def pkcs11(_: Checked) -> None:
    """A token's whole life, by the socket of the server's own user."""
    secret = os.urandom(32)
    with Checked(f"unix:{os.environ['CANIS_DATA']}", application=secret) as host:
        so, first, user = b"8765-4321", b"1234-5678", b"2345-6789"
        slot = 1 + max(one["slot"] for one in host.call("token.list")["items"])
        token = host.call("token.init", slot=slot, label="objects", so_pin=so)["id"]

        def at(op: str, **args: Any) -> dict[str, Any]:
            return host.call(op, token=token, **args)

        at("token.login", role="so", pin=so)
        at("token.init-pin", pin=first)
        at("token.logout")
        at("token.login", role="user", pin=first)
        at("token.change-pin", role="user", old=first, new=user)
        assert at("token.role")["role"] == "user"
        objects(at, user)
        host.call("object.end-session", session=5)
        host.call("application.end")


def objects(at: Callable[..., dict[str, Any]], pin: bytes) -> None:
    rsa, pair = "rsa-2048", {"is": "pair", "scheme": {"is": "rsa-pkcs1"}}
    made = at("object.generate", kind=rsa, len=0, session=5, secret=content("private-key", rsa, 4, always_authenticate=True),
              public=content("public-key", rsa, 8 | 128))  # fmt: skip
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + bytes(32)
    private = {"object": made["id"], "usage": 4, "mechanism": 1, "opening": 1}
    assert at("object.open", key=private)["wants_pin"]
    at("object.confirm", key=private, pin=pin)
    signature = at("object.sign", key=private, scheme=pair, input=digest)["bytes"]
    public = {"object": made["public"], "usage": 8, "mechanism": 1}
    assert at("object.verify", key=public, scheme=pair, input=digest, signature=signature)["valid"]
    assert at("object.recover", key=public | {"usage": 128}, scheme={"is": "rsa-pkcs1"}, signature=signature)["signed"] == digest

    aes, everything = "aes256-gcm", 1 | 2 | 16 | 32
    key = at("object.generate", kind=aes, len=0, secret=content("secret-key", aes, everything))["id"]
    gcm = {"is": "aes-gcm", "iv": bytes(12), "aad": b"a"}
    named = {"object": key, "usage": 1, "mechanism": 0x1087}
    sealed = at("object.encrypt", key=named, cipher=gcm, input=b"x")["bytes"]
    assert at("object.decrypt", key=named | {"usage": 2}, cipher=gcm, input=sealed)["bytes"] == b"x"

    value = {"is": "secret", "kind": aes, "value": bytes(32)}
    imported = at("object.import", parts=value, content=content("secret-key", aes, 3, extractable=True))["id"]
    assert at("object.export", object=imported) == value
    wrapped = at("object.wrap", wrapper=key, key=imported, how={"is": "aes-kw"}, room=100)["bytes"]
    inside = {"is": "secret", "family": "aes"}
    at("object.unwrap", unwrapper=key, how={"is": "aes-kw"}, wrapped=wrapped, inside=inside, content=content("secret-key", aes, 3))
    base = at("object.generate", kind="generic", len=32, secret=content("secret-key", "generic", 64))["id"]
    hkdf = {"is": "hkdf", "hash": "sha256", "extract": {"is": "bytes", "bytes": b"s"}, "expand": b"i"}
    generic = content("secret-key", "generic", 4)
    at("object.derive", base=base, how=hkdf, derived={"is": "secret", "family": "generic", "len": 32}, content=generic)
    halves = {"public": content("public-key", "ml-kem-768", 1), "secret": content("private-key", "ml-kem-768", 2)}
    kem = at("object.generate", kind="ml-kem-768", len=0, **halves)
    shared = at("object.encapsulate", key=kem["public"], family="aes", content=content("secret-key", aes, 3))
    assert len(shared["ciphertext"]) == 1088
    at("object.decapsulate", key=kem["id"], ciphertext=shared["ciphertext"], family="generic", len=32, content=generic)
    at("object.derive-password", password=b"p", salt=b"salt", hash="sha256", iterations=1000, family="generic", len=32,
       content=generic)  # fmt: skip

    note = {"class": "data", "label": b"note", "modifiable": True, "copyable": True, "destroyable": True}
    kept = at("object.create", content=note)["id"]
    read = at("object.read", object=kept)
    at("object.update", object=kept, revision=read["revision"], content=note | {"label": b"new"})
    copy = at("object.copy", object=kept, content=note)["id"]
    assert len(at("object.find", wanted={"class": "data"})["objects"]) == 2
    at("object.destroy", object=copy)


def roots(canis: Checked) -> None:
    first = canis.call("root.list")["slots"][0]["slot"]
    kept, gone = (canis.call("root.add", kind="keyfile", secret=bytes([n]) * 32)["slot"] for n in (1, 2))
    assert canis.call("root.test", kind="keyfile", secret=bytes([1]) * 32)["slot"] == kept
    canis.call("root.rotate", slot=gone, kind="keyfile", secret=bytes([3]) * 32)
    canis.call("root.remove", slot=gone)
    credential = {"slot": kept, "kind": "keyfile", "secret": bytes([1]) * 32}
    assert len(canis.call("root.rotate-key", keep=[credential], drop=[first])["slots"]) == 1


def tenants(canis: Checked) -> None:
    assert canis.call("tenant.rekey", name="default")["rows"] > 0


def backups(canis: Checked) -> None:
    slot = canis.call("root.list")["slots"][0]["slot"]
    made = canis.call("backup.create", slot=slot)
    piece = canis.call("backup.read", backup=made["backup"], offset=0)
    assert piece["data"].startswith(b"CANISBK\x01") and (len(piece["data"]) == made["bytes"]) == piece["last"]


def sealing(canis: Checked) -> None:
    """With the key file that `roots` has left."""
    shown = {"kind": "keyfile", "secret": bytes([1]) * 32}
    assert canis.call("operator.token", **shown)["token"].startswith("canis_")
    assert canis.call("seal")["wiped"]
    with pytest.raises(CanisError) as caught:
        canis.call("key.list")
    assert caught.value.name == "sealed"
    assert not canis.call("unseal", **shown)["sealed"]


def audit(canis: Checked) -> None:
    """R87: everything that was asked above has its line, whatever its tenant; the host is shown all of them."""
    asked = Checked.seen - {"audit.verify", "audit.search"}
    found: list[str] = []
    after, more = "", True
    with Checked(f"unix:{os.environ['CANIS_DATA']}") as host:
        while more:
            page = host.call("audit.search", after=after, limit=1000)
            found, after, more = found + page["lines"], page["next"], page["more"]
    assert asked <= {json.loads(line)["op"] for line in found}
    report = canis.call("audit.verify")
    assert report["lines"] >= len(found) and not report["broken"]


@pytest.mark.parametrize("work", [look, live, use, carry, keep, slots, credentials, approvals, isolated, streams, pkcs11, roots, tenants, backups, sealing, audit])
def test_operations(canis: Checked, work: Callable[[Checked], None]) -> None:
    work(canis)


def test_nothing_is_left_out() -> None:
    """R77: each operation and each stream was asked above."""
    assert len(OPERATIONS) > 70 and set(OPERATIONS) == Checked.seen
    assert set(STREAMS) == Checked.streamed


def test_the_frames_of_the_documents_fit() -> None:
    """The examples of docs/canisp.md and docs/canisp-pkcs11.md follow the rules."""
    suffixes = {"request": ".request", "response": ".answer", "open": ".open"}
    for vector in json.loads(VECTORS.read_text()):
        kind, _, op = vector["what"].partition(" ")
        rule = {"client-hello": kind, "server-hello": kind, "error": kind, "goaway": "error"}.get(kind)
        if kind in suffixes:
            rule = op + suffixes[kind]
        if rule:
            schema(rule).validate_cbor(bytes.fromhex(vector["frame"])[12:])


def test_errors_fit_their_rule(canis: Checked) -> None:
    with pytest.raises(CanisError) as caught:
        canis.call("key.show", name="ops/none")
    error = {"code": caught.value.code, "name": caught.value.name, "message": caught.value.message}
    schema("error").validate_cbor(encode(error))


def test_what_does_not_fit_is_refused(canis: Checked) -> None:
    """The rules and the server refuse the same."""
    wrong: list[tuple[str, dict[str, Any]]]
    wrong = [("key.show", {}), ("key.show", {"name": 1}), ("key.show", {"name": "a", "nmae": "b"}),
             ("random", {"length": -1}), ("encrypt", {"name": "a", "plaintext": "text"})]  # fmt: skip
    for op, args in wrong:
        payload = encode({"op": op, "args": args})
        with pytest.raises(pycddl.ValidationError):
            schema(f"{op}.request").validate_cbor(payload)
        with pytest.raises(CanisError) as caught:
            Client.call(canis, op, **args)
        assert caught.value.name == "invalid_argument", (op, args)

