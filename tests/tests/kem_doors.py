"""Shares secrets by the ML-KEM keys of a token: `kem_doors.py MODULE PIN make|encapsulate|decapsulate LABEL [CIPHERTEXT]`.

Bytes come and go as base64. What the module refuses is printed by the name of its exception.
"""

import base64
import json
import sys

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.mechanisms import MLKEMParameterSet

module, pin, what, label, *ciphertext = sys.argv[1:]
OPEN = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


def text(value):
    return base64.b64encode(value).decode()


def key(session, kind):
    (found,) = session.get_objects({Attribute.LABEL: label, Attribute.CLASS: kind})
    return found


token = pkcs11.lib(module).get_token(token_label="default")
with token.open(rw=True, user_pin=pin) as session:
    try:
        if what == "make":
            wanted = {Attribute.PARAMETER_SET: MLKEMParameterSet.ML_KEM_1024}
            session.generate_keypair(KeyType.ML_KEM, public_template=wanted, label=label, store=True)
        elif what == "encapsulate":
            made, secret = key(session, ObjectClass.PUBLIC_KEY).encapsulate_key(KeyType.GENERIC_SECRET, template=OPEN)
            print(json.dumps({"ciphertext": text(made), "secret": text(secret[Attribute.VALUE])}))
        else:
            private = key(session, ObjectClass.PRIVATE_KEY)
            secret = private.decapsulate_key(base64.b64decode(ciphertext[0]), KeyType.GENERIC_SECRET, template=OPEN)
            print(text(secret[Attribute.VALUE]))
    except pkcs11.exceptions.PKCS11Error as refused:
        print(type(refused).__name__, *refused.args)
