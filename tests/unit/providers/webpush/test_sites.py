from __future__ import annotations

import orjson
import pytest

from pushcast.providers.webpush.sites import site_of

POINT = "BA" + "A" * 85
SECRET = "A" * 22


def address(endpoint: str) -> bytes:
    return orjson.dumps({"endpoint": endpoint, "p256dh": POINT, "auth": SECRET})


@pytest.mark.parametrize(
    ("endpoint", "site"),
    [
        ("https://fcm.googleapis.com/fcm/send/x", "googleapis.com"),
        ("https://updates.push.services.mozilla.com/wpush/v2/x", "mozilla.com"),
        ("https://a.attacker.example/x", "attacker.example"),
        ("https://b.attacker.example:8443/y", "attacker.example"),
        ("https://192.0.2.7/x", "192.0.2.7"),
    ],
)
def test_hosts_of_one_owner_are_one_site(endpoint: str, site: str) -> None:
    assert site_of(address(endpoint)) == site


def test_a_simulator_on_loopback_stands_for_many_push_services() -> None:
    endpoints = [
        "https://127.0.0.1:7443/x",
        "https://127.0.0.1:7443/y",
        "https://localhost:7443/x",
        "https://[::1]:1/x",
    ]
    assert len({site_of(address(each)) for each in endpoints}) == 4


def test_what_is_no_subscription_has_no_site() -> None:
    assert site_of(b"nonsense") == site_of(address("http://push.example/x")) == ""
