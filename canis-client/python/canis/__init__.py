"""Client of the CANIS key-management server.

    with canis.Client("keys.example:7443", ca_file="ca.pem", token=token) as keys:
        sealed = keys.encrypt("orders", b"4111 1111 1111 1111", context=b"order 17")
"""

from .client import Client, Key
from .wire import CanisError, ConnectionLost

__all__ = ["CanisError", "Client", "ConnectionLost", "Key"]
