"""People whom a proxy in front has signed in: single sign-on, without a password here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

MAX_NAME_CHARS: Final = 200


class TrustedProxy:
    """A proxy that is believed, by its address, when it says in `header` who somebody is.

    `key_id`: the key whose scopes, apps, classes and topics those people have.
    """

    def __init__(self, header: str, addresses: Sequence[str], key_id: str) -> None:
        """`addresses`: of hosts, or networks as 10.0.0.0/8. Raises ValueError for what is neither."""
        self.header = header
        self.key_id = key_id
        self._networks = [ip_network(address) for address in addresses]

    def who(self, address: str, values: Sequence[str]) -> str | None:
        """The name that the proxy at `address` gives. None: it is another host, or says nothing or two things."""
        try:
            believed = any(ip_address(address) in network for network in self._networks)
        except ValueError:  # no TCP connection
            return None
        if not believed or len(values) != 1:
            return None
        name = values[0].strip()
        return name if 0 < len(name) <= MAX_NAME_CHARS and name.isprintable() else None
