"""hvac's transit methods against CANIS, as a program uses them that was written for Vault."""

import base64
import os
import sys

import hvac
from hvac import exceptions

PLAIN = base64.b64encode(b"the secret").decode()


def client() -> hvac.Client:
    # hvac joins paths with one slash too many when its address ends with one.
    return hvac.Client(url=os.environ["VAULT_ADDR"] + "/", token=os.environ["VAULT_TOKEN"], verify=os.environ["VAULT_CACERT"])


def keys(vault: hvac.Client) -> None:
    transit = vault.secrets.transit
    transit.create_key(name="aes")
    transit.create_key(name="aes")
    transit.create_key(name="signer", key_type="ed25519", exportable=True)
    vault.write_data("transit/keys/hmac", data={"type": "hmac"})  # hvac does not know the type
    assert transit.list_keys()["data"]["keys"] == ["aes", "hmac", "signer"]
    read = transit.read_key(name="aes")["data"]
    assert read["latest_version"] == 1 and type(read["latest_version"]) is int and read["type"] == "aes256-gcm96", read
    assert not read["deletion_allowed"] and read["supports_encryption"], read
    transit.rotate_key(name="aes")
    transit.update_key_configuration(name="aes", min_decryption_version=1, deletion_allowed=True)
    read = transit.read_key(name="aes")["data"]
    assert read["latest_version"] == 2 and read["deletion_allowed"] and set(read["keys"]) == {"1", "2"}, read


def encryption(vault: hvac.Client) -> None:
    transit = vault.secrets.transit
    made = transit.encrypt_data(name="aes", plaintext=PLAIN)["data"]["ciphertext"]
    assert made.startswith("vault:v2:") and made.count(":") == 2, made
    assert transit.decrypt_data(name="aes", ciphertext=made)["data"]["plaintext"] == PLAIN
    items = [{"plaintext": PLAIN}, {"plaintext": ""}]
    batch = transit.encrypt_data(name="aes", batch_input=items)["data"]["batch_results"]
    opened = transit.decrypt_data(name="aes", batch_input=batch)["data"]["batch_results"]
    assert [item["plaintext"] for item in opened] == [PLAIN, ""], opened
    again = transit.rewrap_data(name="aes", ciphertext=made)["data"]["ciphertext"]
    assert again != made and transit.decrypt_data(name="aes", ciphertext=again)["data"]["plaintext"] == PLAIN
    for kind, shown in (("plaintext", True), ("wrapped", False)):
        key = transit.generate_data_key(name="aes", key_type=kind, bits=128)["data"]
        assert ("plaintext" in key) is shown, key
        opened = transit.decrypt_data(name="aes", ciphertext=key["ciphertext"])["data"]["plaintext"]
        assert len(base64.b64decode(opened)) == 16 and (not shown or opened == key["plaintext"])
    try:
        transit.decrypt_data(name="aes", ciphertext=made[:-4] + "AAA=")
        sys.exit("a ciphertext that was changed was decrypted")
    except exceptions.InvalidRequest:
        pass


def signatures(vault: hvac.Client) -> None:
    transit = vault.secrets.transit
    signed = transit.sign_data(name="signer", hash_input=PLAIN)["data"]["signature"]
    assert transit.verify_signed_data(name="signer", hash_input=PLAIN, signature=signed)["data"]["valid"]
    assert not transit.verify_signed_data(name="signer", hash_input="b3RoZXI=", signature=signed)["data"]["valid"]
    mac = transit.generate_hmac(name="hmac", hash_input=PLAIN, algorithm="sha2-512")["data"]["hmac"]
    verified = transit.verify_signed_data(name="hmac", hash_input=PLAIN, hmac=mac, hash_algorithm="sha2-512")
    assert verified["data"]["valid"], verified
    exported = transit.export_key(name="signer", key_type="signing-key")["data"]["keys"]["1"]
    assert exported.startswith("-----BEGIN PRIVATE KEY-----"), exported
    summed = transit.hash_data(hash_input=base64.b64encode(b"abc").decode(), algorithm="sha2-256")["data"]["sum"]
    assert summed.startswith("ba7816bf"), summed
    assert len(base64.b64decode(transit.generate_random_bytes(n_bytes=24)["data"]["random_bytes"])) == 24


def ends(vault: hvac.Client) -> None:
    transit = vault.secrets.transit
    transit.delete_key(name="aes")
    try:
        transit.read_key(name="aes")
        sys.exit("a deleted key is there")
    except exceptions.InvalidPath:
        pass
    assert vault.is_authenticated() and not vault.sys.is_sealed() and vault.sys.is_initialized()
    made = vault.auth.token.create(ttl="1h", display_name="short")["auth"]
    theirs = client()
    theirs.token = made["client_token"]
    assert 3590 <= theirs.auth.token.renew_self()["auth"]["lease_duration"] <= 3600
    assert theirs.auth.token.lookup_self()["data"]["display_name"] == "short"
    theirs.auth.token.revoke_self()
    try:
        theirs.secrets.transit.list_keys()
        sys.exit("a token that was revoked is good")
    except exceptions.Forbidden:
        pass


def main() -> None:
    vault = client()
    keys(vault)
    encryption(vault)
    signatures(vault)
    ends(vault)


main()
