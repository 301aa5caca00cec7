"""Where a sender may connect although the address came from a client (server-side request forgery)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from pushcast.http2.dial import Address, Resolver
from pushcast.http2.errors import NotConnected

_REMEMBERED: Final = 4096
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Azure's platform services answer on a public address:
# https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
_PLATFORM_ADDRESSES: Final = frozenset((IPv4Address("168.63.129.16"),))
IpAddress = IPv4Address | IPv6Address


class AddressRefused(NotConnected):
    """A host resolves to an address that no client may make us connect to."""

    reason = "endpoint_refused"


class Origin(NamedTuple):
    """A push service. `listed`: the operator named it, so its word on our credential counts."""

    host: str
    port: int
    listed: bool

    @property
    def authority(self) -> str:
        """As in `:authority` and in the audience of VAPID tokens: without the default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


class EndpointPolicy:
    """Decides by name and port; the addresses behind a name are `resolver`'s to check.

    An entry of `allowed_hosts` is `host`, `*.domain` (any depth, not the domain itself) or either with `:port`;
    without one the port is 443. Other hosts are taken at port 443 when all their addresses are public. Loopback, at
    any port, is for simulators: only with `allow_loopback`. `only_listed` refuses all hosts that are not listed.
    """

    def __init__(self, allowed_hosts: Sequence[str], *, allow_loopback: bool, only_listed: bool = False) -> None:
        self._only_listed = only_listed
        self._allow_loopback = allow_loopback
        entries = [_split(entry.lower()) for entry in allowed_hosts]
        self._exact = {(host, port or 443) for host, port in entries if not host.startswith("*.")}
        self._suffixes = [(host[1:], port or 443) for host, port in entries if host.startswith("*.")]
        self._known: OrderedDict[str, Origin | None] = OrderedDict()

    def origin(self, authority: str) -> Origin | None:
        """None when it is refused."""
        if authority in self._known:
            return self._known[authority]
        found = self._known[authority] = self._judge(authority)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    def _judge(self, authority: str) -> Origin | None:
        try:
            host, given = _split(authority)
        except ValueError:
            return None
        port = given or 443
        literal = _literal(host)
        if host == "localhost" or (literal is not None and _is_loopback(literal)):
            return Origin(host, port, True) if self._allow_loopback else None
        if (host, port) in self._exact or any(
            port == wanted and host.endswith(suffix) and len(host) > len(suffix) for suffix, wanted in self._suffixes
        ):
            return Origin(host, port, True)
        if self._only_listed or port != 443 or not host or (literal is not None and not is_public(literal)):
            return None
        return Origin(host, port, False)

    def resolver(self, origin: Origin, resolve: Resolver) -> Resolver:
        """Resolves and checks; what it returns is what is dialled, so a name cannot change its mind in between.

        Raises AddressRefused when any address of a host that is not listed is not public; a listed host's address may
        be private, but loopback only with `allow_loopback`.
        """

        async def checked(host: str, port: int) -> Sequence[tuple[int, Address]]:
            answers = await resolve(host, port)
            for _, address in answers:
                found = ip_address(str(address[0]).partition("%")[0])
                forbidden = _is_loopback(found) and not self._allow_loopback if origin.listed else not is_public(found)
                if forbidden:
                    raise AddressRefused("a push endpoint resolves to an address that is not public")
            return answers

        return checked


def is_public(address: IpAddress) -> bool:
    """Whether it is on the open internet: not private, loopback, link-local (cloud metadata), unique local, shared,
    reserved or multicast, nor such an IPv4 address dressed as IPv6."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and address not in _PLATFORM_ADDRESSES


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, NAT64, 6to4 or Teredo address leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _is_loopback(address: IpAddress) -> bool:
    inner = _inner(address) if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback or (inner or address).is_unspecified


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _split(authority: str) -> tuple[str, int | None]:
    """Host and port. Raises ValueError."""
    host, port = authority, ""
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or _literal(host) is None:
            raise ValueError("no IPv6 address in the brackets")
        port = rest[1:]
    elif ":" in authority:
        host, _, port = authority.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError("no host or no port")
    return host, int(port) if port else None
