"""Signs a document with a key that stays in the server, and checks the signature."""

from canis import Client

with Client.from_environment() as canis:
    canis.create_key("example/signing", "ecdsa-p256")
    signature = canis.sign("example/signing", b"the contract")
    print(signature)
    print("valid:", canis.verify("example/signing", b"the contract", signature))
