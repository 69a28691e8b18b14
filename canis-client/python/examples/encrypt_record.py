"""Encrypts one field of a record; the ciphertext opens with the record's number only."""

from canis import Client

with Client.from_environment() as canis:
    canis.create_key("example/records", "aes256-gcm")
    card = canis.encrypt("example/records", b"4111 1111 1111 1111", context=b"record 17")
    print({"id": 17, "card": card})
    print(canis.decrypt("example/records", card, context=b"record 17").decode())
