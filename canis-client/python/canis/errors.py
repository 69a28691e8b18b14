"""What goes wrong, as CANISP names it (docs/canisp.md, section 7)."""

from __future__ import annotations

from typing import Any


class CanisError(Exception):
    """The server's answer to a request that failed. Programs act on `name` or `code`; `message` is for people."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"{message} ({name})")
        self.code = code
        self.name = name
        self.message = message

    @classmethod
    def read(cls, fields: dict[str, Any]) -> CanisError:
        """The error that a map holds: the payload of ERROR, or `error` of an item."""
        return cls(fields["code"], fields["name"], fields["message"])


class ConnectionLost(CanisError):
    """The connection ended before the answer came: whether the operation has happened is not known."""

    def __init__(self, address: str, why: object) -> None:
        super().__init__(70, "unavailable", f"the connection to {address} is lost: {why}")
