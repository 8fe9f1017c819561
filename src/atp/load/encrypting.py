"""What a load's connections are encrypted with: whom they believe, and what they show.

Owns the texts alone, of which none is ever told to a history or a log; the native part reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts. Without `authorities` those of the system are believed; `certificates` (the
    client's own first, then those between it and its root) and its `key`, unencrypted, are shown to
    a server that asks. `server_name` is what the server's certificate must be for.
    """

    server_name: str
    authorities: bytes | None = field(default=None, repr=False)
    certificates: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)

    def facts(self) -> dict[str, object]:
        """What may be told of it."""
        return {
            "server_name": self.server_name,
            "own_authorities": bool(self.authorities),
            "shows_certificate": bool(self.certificates),
        }


def host_of(address: str) -> str:
    """The host of HOST:PORT, without the brackets of an IPv6 address."""
    return address.rpartition(":")[0].strip("[]")
