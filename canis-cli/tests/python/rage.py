"""rage's library encrypts stdin for a recipient of the plugin, or decrypts it with an identity of the plugin, to stdout."""

import sys

import pyrage
from pyrage import plugin


class Callbacks:
    """Nobody is asked anything."""

    def display_message(self, message: str) -> None:
        print(message, file=sys.stderr)

    def confirm(self, message: str, yes: str, no: str | None) -> bool | None:
        return None

    def request_public_string(self, description: str) -> str | None:
        return None

    def request_passphrase(self, description: str) -> str | None:
        return None


work, key = sys.argv[1:]
given = sys.stdin.buffer.read()
if work == "encrypt":
    recipient = plugin.Recipient.from_str(key)
    made = pyrage.encrypt(given, [plugin.RecipientPluginV1(recipient.plugin(), [recipient], [], Callbacks())])
else:
    identity = plugin.Identity.from_str(key)
    made = pyrage.decrypt(given, [plugin.IdentityPluginV1(identity.plugin(), [identity], Callbacks())])
sys.stdout.buffer.write(made)
