from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from pushcast.config.providers import Webpush
from pushcast.http2.dial import Address, Resolver
from pushcast.providers.webpush.endpoints import AddressRefused, EndpointPolicy, Origin, is_public

LISTED = Webpush.model_fields["allowed_hosts"].default


def policy(*hosts: str, allow_loopback: bool = False) -> EndpointPolicy:
    return EndpointPolicy(hosts or LISTED, allow_loopback=allow_loopback)


def resolving_to(*addresses: str) -> Resolver:
    async def resolve(host: str, port: int) -> Sequence[tuple[int, Address]]:
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port)) for address in addresses]

    return resolve


@pytest.mark.parametrize(
    "authority",
    ["fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "wns2-by3p.notify.windows.com"],
)
def test_the_services_of_the_browsers_are_listed(authority: str) -> None:
    assert policy().origin(authority) == Origin(authority, 443, True)


def test_a_wildcard_is_any_depth_but_not_the_domain_itself_nor_a_lookalike() -> None:
    listed = {
        host: policy("*.push.apple.com").origin(host).listed  # type: ignore[union-attr]
        for host in (
            "a.push.apple.com",
            "a.b.push.apple.com",
            "push.apple.com",
            "evilpush.apple.com",
            "xpush.apple.com",
        )
    }
    assert listed == {
        "a.push.apple.com": True,
        "a.b.push.apple.com": True,
        "push.apple.com": False,
        "evilpush.apple.com": False,
        "xpush.apple.com": False,
    }


def test_a_listed_entry_may_name_a_port_and_only_that_port() -> None:
    chosen = policy("ntfy.example.com:8443")
    assert chosen.origin("ntfy.example.com:8443") == Origin("ntfy.example.com", 8443, True)
    assert chosen.origin("ntfy.example.com:8444") is None
    assert chosen.origin("ntfy.example.com") == Origin("ntfy.example.com", 443, False)


@pytest.mark.parametrize(
    "authority",
    [
        "127.0.0.1",
        "127.8.8.8",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "168.63.129.16",
        "224.0.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "unifiedpush.example:8443",
        "fcm.googleapis.com:80",
        "fcm.googleapis.com:",
        "fcm.googleapis.com:0443x",
        "[::1",
        "a:b:c",
        "",
    ],
)
def test_what_leads_into_our_own_network_is_refused(authority: str) -> None:
    found = policy().origin(authority)
    assert found is None or (authority == "fcm.googleapis.com:" and found.port == 443)


def test_loopback_at_any_port_is_for_simulators() -> None:
    assert policy(allow_loopback=True).origin("127.0.0.1:9443") == Origin("127.0.0.1", 9443, True)
    assert policy("127.0.0.1", allow_loopback=False).origin("127.0.0.1") is None


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("ff02::1", False),
        ("::", False),
        ("255.255.255.255", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


async def test_a_name_that_is_not_listed_must_resolve_to_public_addresses_only() -> None:
    chosen = policy()
    origin = chosen.origin("push.example.org")
    assert origin == Origin("push.example.org", 443, False)
    good = chosen.resolver(origin, resolving_to("8.8.8.8", "2606:4700::1111"))
    assert [address[0] for _, address in await good("push.example.org", 443)] == ["8.8.8.8", "2606:4700::1111"]
    for hidden in ("169.254.169.254", "10.0.0.5", "fe80::1%eth0"):
        with pytest.raises(AddressRefused):
            await chosen.resolver(origin, resolving_to("8.8.8.8", hidden))("push.example.org", 443)


async def test_a_listed_name_may_be_private_but_not_loopback() -> None:
    chosen = policy("ntfy.internal.example")
    origin = chosen.origin("ntfy.internal.example")
    assert origin is not None
    assert await chosen.resolver(origin, resolving_to("10.0.0.5"))("ntfy.internal.example", 443)
    with pytest.raises(AddressRefused):
        await chosen.resolver(origin, resolving_to("127.0.0.1"))("ntfy.internal.example", 443)


def test_what_is_remembered_is_bounded() -> None:
    chosen = policy()
    for number in range(5000):
        chosen.origin(f"h{number}.example.org")
    assert len(chosen._known) == 4096
