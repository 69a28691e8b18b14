"""Fetches a public key and writes it as PEM, which other programs read."""

import ssl

from canis import Client

with Client.from_environment() as canis:
    canis.create_key("example/public", "rsa-2048")
    spki = canis.public_key("example/public")
    print(ssl.DER_cert_to_PEM_cert(spki).replace("CERTIFICATE", "PUBLIC KEY"), end="")
