"""Tink's integration for Vault against CANIS: an AEAD of the server, and envelopes under it."""

import os

import hvac
import tink
from tink import aead
from tink.integration import hcvault


def main() -> None:
    aead.register()
    vault = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"], verify=os.environ["VAULT_CACERT"])
    vault.secrets.transit.create_key(name="tink")
    remote = hcvault.new_aead("transit/keys/tink", vault)
    assert remote.decrypt(remote.encrypt(b"plain", b""), b"") == b"plain"
    envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)
    sealed = envelope.encrypt(b"much more", b"row 7")
    assert envelope.decrypt(sealed, b"row 7") == b"much more"
    try:
        envelope.decrypt(sealed, b"row 8")
    except tink.TinkError:
        return
    raise SystemExit("an envelope opened with other associated data")


main()
