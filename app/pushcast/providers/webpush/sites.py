"""Who answers for a subscription, as far as a breaker cares: many hosts of one owner are one."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from pushcast.providers.webpush.subscription import EndpointForbidden, Malformed, parse

_LABELS: Final = 2


def site_of(address: bytes) -> str:
    """The last two labels of the endpoint's host: whoever owns a domain makes as many names below it as he likes.

    On loopback, which only an operator's simulator is allowed, each endpoint counts as a site of its own. What is no
    subscription has none.
    """
    try:
        subscription = parse(address)
    except (Malformed, EndpointForbidden):
        return ""
    authority = subscription.authority
    host = authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return ".".join(host.split(".")[-_LABELS:])
    return authority + subscription.path.decode() if loopback else host
