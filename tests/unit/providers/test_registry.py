from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from pushcast.config.providers import Expo
from pushcast.config.settings import Settings
from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.providers.client import TemplateProvider
from pushcast.providers.pacing import share_of
from pushcast.providers.reach import address_of
from pushcast.providers.registry import _expo_pacer, build

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Key, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def settings(tmp_path: Path, **apns: Any) -> Settings:
    key_file = tmp_path / "AuthKey.p8"
    key_file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    chosen = {"topic": "t", "key_file": key_file, "key_id": "A" * 10, "team_id": "B" * 10, **apns}
    return Settings(apps={"news": {"apns": {name: value for name, value in chosen.items() if value is not None}}})  # type: ignore[dict-item]


@pytest.mark.parametrize("engine", ["multicast", "aioapns", "httpx"])
def test_a_provider_is_built_without_a_running_loop(tmp_path: Path, engine: str) -> None:
    provider = build("news", "apns", settings(tmp_path, engine=engine))
    assert (provider.app, provider.platform, provider.engine) == ("news", Platform.APNS, engine)


@pytest.mark.parametrize(
    ("app", "platform", "problem"),
    [
        ("shop", "apns", r"apps\.shop\.apns: not configured"),
        ("news", "fcm", r"apps\.news\.fcm: not configured"),
    ],
)
def test_what_is_not_configured_is_named(tmp_path: Path, app: str, platform: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        build(app, platform, settings(tmp_path))


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"apps\.news\.apns: ca_file .*ca\.pem"):
        build("news", "apns", settings(tmp_path, ca_file=wrong))


def test_an_encrypted_client_key_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "client.pem"
    file.write_bytes(pem(rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"x")))
    with pytest.raises(ConfigurationError, match=r"certificate_file .*client\.pem"):
        build("news", "apns", settings(tmp_path, key_file=None, key_id=None, team_id=None, certificate_file=file))


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://api.push.apple.com", "api.push.apple.com", 443, b"api.push.apple.com"),
        ("https://127.0.0.1:8443/", "127.0.0.1", 8443, b"127.0.0.1:8443"),
        ("https://[::1]:8443", "::1", 8443, b"[::1]:8443"),
    ],
)
def test_addresses(url: str, host: str, port: int, authority: bytes) -> None:
    address = address_of(url)
    assert (address.host, address.port, address.authority) == (host, port, authority)


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example",
        "x.example",
        "https://",
        "https://x.example/v1",
        "https://u:p@x",
        "https://x:port",
        "https://x?y",
    ],
)
def test_what_is_not_an_https_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint"):
        address_of(url)


def fcm_settings(tmp_path: Path, **fcm: Any) -> Settings:
    key = pem(rsa.generate_private_key(65537, 2048)).decode()
    account = tmp_path / "service_account.json"
    account.write_text(json.dumps({"client_email": "a@b", "private_key": key, "private_key_id": "1"}))
    chosen = {"service_account_file": account, "project_id": "p", **fcm}
    return Settings(apps={"news": {"fcm": chosen}})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("changes", "per_second"),
    [
        ({}, 10_000),
        ({"quota_per_minute": 6_000}, 100),
        ({"endpoint": "https://127.0.0.1:1", "quota_per_minute": 6_000}, 100),
        ({"endpoint": "https://127.0.0.1:1"}, None),
    ],
)
def test_fcm_is_paced_by_its_quota_and_a_simulator_is_not(
    tmp_path: Path, changes: dict[str, Any], per_second: int | None
) -> None:
    clock = ManualClock()
    provider = build("news", "fcm", fcm_settings(tmp_path, ramp_up_seconds=0, **changes), clock)
    assert isinstance(provider, TemplateProvider)
    provider.share(0.5)
    rate = None if provider.pace is None else provider.pace.rate
    assert rate == (None if per_second is None else pytest.approx(per_second / 2))


@pytest.mark.parametrize(
    ("changes", "wait_seconds"),
    [
        ({}, 0.2),
        ({"endpoint": "https://exp.host/"}, 0.2),
        ({"quota_per_second": 6_000}, 50 / 2_950),
        ({"endpoint": "https://127.0.0.1:1", "quota_per_second": 600}, 0.2),
        ({"endpoint": "https://127.0.0.1:1"}, 0.0),
    ],
)
def test_expo_is_paced_by_its_quota_and_a_simulator_is_not(changes: dict[str, Any], wait_seconds: float) -> None:
    pacer = _expo_pacer(Expo(**changes), 0.0)
    pacer.share(0.5)
    assert pacer.take(pacer.burst, 0.0) == 0
    assert pacer.take(pacer.burst, 0.0) == pytest.approx(wait_seconds, abs=0.001)


def test_lanes_share_the_quota_as_configured(tmp_path: Path) -> None:
    chosen = fcm_settings(tmp_path, lane_weights={"urgent": 2, "normal": 1, "bulk": 1}).apps["news"].fcm
    assert chosen is not None
    assert share_of(4, 8, Lane.URGENT, chosen.lane_weights.by_lane()) == pytest.approx(0.25)
