"""Encrypts the fields of a record in one request; each has its own answer or error."""

from canis import Client

with Client.from_environment() as canis:
    canis.create_key("example/batch", "aes256-gcm")
    fields = {"name": b"Alice", "card": b"4111 1111 1111 1111"}
    sealed = canis.batch(*({"op": "encrypt", "key": "example/batch", "plaintext": text} for text in fields.values()))
    for name, answer in zip(fields, sealed):
        print(name, answer)
