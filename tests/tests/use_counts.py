"""Uses keys through the PKCS#11 module: `use_counts.py MODULE PIN`; use_counts.rs says how often it was.

`signer` signs 3 times, 2 times in a child that initialises the module anew, and once more; another child ends without
touching the module. `data` encrypts in 4 threads, 25 times each, and decrypts once; what fails is no use.
"""

import os
import sys
import threading

import PyKCS11
from PyKCS11 import LowLevel

module, pin = sys.argv[1:]
lib = PyKCS11.PyKCS11Lib()
lib.load(module)
ECDSA = PyKCS11.Mechanism(LowLevel.CKM_ECDSA_SHA256)
IV = bytes(range(12))
SEALED = []


def session():
    opened = lib.openSession(lib.getSlotList(tokenPresent=True)[0])
    try:
        opened.login(pin)
    except PyKCS11.PyKCS11Error as error:
        if error.value != LowLevel.CKR_USER_ALREADY_LOGGED_IN:
            raise
    return opened


def find(opened, kind, label):
    return opened.findObjects([(LowLevel.CKA_CLASS, kind), (LowLevel.CKA_LABEL, label)])[0]


def sign(opened, times):
    key = find(opened, LowLevel.CKO_PRIVATE_KEY, "signer")
    for _ in range(times):
        opened.sign(key, b"message", ECDSA)


def encrypt():
    opened = session()
    key = find(opened, LowLevel.CKO_SECRET_KEY, "data")
    for _ in range(25):
        SEALED.append(opened.encrypt(key, b"message", PyKCS11.AES_GCM_Mechanism(IV, b"", 128)))
    opened.closeSession()


def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def sign_in_child():
    lib.lib.C_Initialize()
    sign(session(), 2)
    lib.lib.C_Finalize()


first = session()
sign(first, 3)
child(sign_in_child)
child(lambda: None)
sign(first, 1)
threads = [threading.Thread(target=encrypt) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
key = find(first, LowLevel.CKO_SECRET_KEY, "data")
gcm = PyKCS11.AES_GCM_Mechanism(IV, b"", 128)
sealed = bytes(SEALED[0])
assert bytes(first.decrypt(key, sealed, gcm)) == b"message"
try:
    first.decrypt(key, sealed[:-1] + bytes([sealed[-1] ^ 1]), gcm)
    sys.exit("a forged message was decrypted")
except PyKCS11.PyKCS11Error:
    pass
lib.lib.C_Finalize()
print("parent done")
