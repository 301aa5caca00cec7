"""Addresses as clients hand them out become one canonical form; what is refused is never quoted."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from pushcast.model.device import AddressKind
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import token_hash
from pushcast.model.words import Platform
from pushcast.providers.expo.message import is_token
from pushcast.wire.devices.addresses import SubscriptionAddress, canonical_address, host_of

RAW = bytes(range(200, 232))
POINT = b"\4" + b"\xfe" * 64
SECRET = b"\xfb" * 16
ENDPOINT = "https://push.example/x"
KEYS = {"p256dh": POINT, "auth": SECRET}
URLSAFE = {name: base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for name, raw in KEYS.items()}


def token(platform: Platform, text: str) -> bytes:
    kind, address = canonical_address(platform, text, None, None)
    assert kind is AddressKind.TOKEN
    return address


def subscription(given: dict[str, Any]) -> bytes:
    decoded = msgspec.json.decode(json.dumps(given).encode(), type=SubscriptionAddress)
    kind, address = canonical_address(Platform.WEBPUSH, None, None, decoded)
    assert kind is AddressKind.SUBSCRIPTION
    return address


@pytest.mark.parametrize(
    "spelling",
    [
        RAW.hex(),
        RAW.hex().upper(),
        base64.b64encode(RAW).decode(),
        base64.b64encode(RAW).decode().rstrip("="),
        base64.urlsafe_b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode().rstrip("="),
    ],
)
def test_every_spelling_of_an_apns_token_is_one_token_with_one_hash(spelling: str) -> None:
    assert token(Platform.APNS, spelling) == RAW.hex().encode()
    assert token_hash(token(Platform.APNS, spelling)) == token_hash(RAW.hex().encode())


def test_a_longer_apns_token_is_taken_as_it_is() -> None:
    assert token(Platform.APNS, "AB" * 80) == b"ab" * 80
    assert token(Platform.APNS, base64.b64encode(b"k" * 100).decode()) == (b"k" * 100).hex().encode()


@pytest.mark.parametrize(
    "text",
    ["ab12", "a" * 41, base64.b64encode(b"k" * 31).decode(), "z" * 65, "<" + "ab" * 32 + ">", "ab " * 30, "é" * 64, ""],
)
def test_what_is_no_apns_token_is_refused_by_its_field_and_not_quoted(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical_address(Platform.APNS, text, None, None)
    assert (caught.value.reason, caught.value.field) == ("invalid_field", "token")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]", "ExpoPushToken[a/b-1]", "F5741A13-BCDA-434B-A316-5DC0E6FFA94F"],
)
def test_both_spellings_of_an_expo_token_and_a_uuid_are_taken_as_they_are(text: str) -> None:
    assert token(Platform.EXPO, text) == text.encode()


@pytest.mark.parametrize(
    "text", ["ExponentPushToken[]", "ExponentPushToken[a", "ExponentPushToken[a b]", "PushToken[a]", "-" * 36]
)
def test_what_is_no_expo_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expo"):
        canonical_address(Platform.EXPO, text, None, None)


def test_what_is_registered_as_an_expo_token_can_be_sent_to_and_nothing_else_is() -> None:
    for form in ("ExponentPushToken[a{}b]", "F5741A13-BCDA-434B-A316-5DC0E6FFA9{}F"):
        for char in [*map(chr, range(256)), "\ud800", "🎉"]:
            text = form.format(char)
            try:
                stored = token(Platform.EXPO, text)
            except InvalidInput:
                assert not is_token(text.encode(errors="surrogatepass")), text
            else:
                assert is_token(stored), text
                assert json.loads(f'"{text}"') == text, "no escape is needed"


def test_fcm_takes_a_token_or_a_fid_and_keeps_them_apart() -> None:
    assert canonical_address(Platform.FCM, None, "c-fid_1", None) == (AddressKind.FID, b"c-fid_1")
    assert canonical_address(Platform.FCM, "x:APA91b", None, None) == (AddressKind.TOKEN, b"x:APA91b")
    with pytest.raises(InvalidInput, match="exactly one of: token or fid"):
        canonical_address(Platform.FCM, "x", "y", None)


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": ENDPOINT, **URLSAFE},
        {"endpoint": ENDPOINT, "expirationTime": None, "keys": URLSAFE},
        {"endpoint": ENDPOINT, "expirationTime": 1_800_000_000_000, "keys": {**URLSAFE, "later": 1}, "options": {}},
        {"endpoint": ENDPOINT, "keys": {name: base64.b64encode(raw).decode() for name, raw in KEYS.items()}},
    ],
)
def test_a_subscription_as_the_browser_gives_it_is_the_flat_one(given: dict[str, Any]) -> None:
    """Reproduction 5.17: `PushSubscription.toJSON()` as it is."""
    assert json.loads(subscription(given)) == {"endpoint": ENDPOINT, **URLSAFE}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"endpoint": "http://push.example/x", "keys": URLSAFE}, "subscription.endpoint"),
        ({"endpoint": "https://" + "x" * 2048, "keys": URLSAFE}, "subscription.endpoint"),
        ({"endpoint": ENDPOINT}, "subscription.p256dh"),
        ({"endpoint": ENDPOINT, "p256dh": URLSAFE["p256dh"]}, "subscription.auth"),
        ({"endpoint": ENDPOINT, "keys": {**URLSAFE, "auth": "!!"}}, "subscription.keys.auth"),
        ({"endpoint": ENDPOINT, "keys": {**URLSAFE, "p256dh": URLSAFE["auth"]}}, "subscription.keys.p256dh"),
        ({"endpoint": ENDPOINT, "keys": {**URLSAFE, "p256dh": "A" * 87}}, "subscription.keys.p256dh"),
        ({"endpoint": ENDPOINT, "keys": URLSAFE, "auth": URLSAFE["auth"]}, "subscription.keys"),
    ],
)
def test_what_is_no_subscription_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        subscription(given)
    assert (caught.value.reason, caught.value.field) == ("invalid_field", field)
    assert not any(secret in str(caught.value) for secret in URLSAFE.values())


@pytest.mark.parametrize("platform", Platform)
def test_each_platform_names_what_it_takes(platform: Platform) -> None:
    with pytest.raises(InvalidInput, match=f"{platform} needs exactly one of"):
        canonical_address(platform, None, None, None)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (b'{"endpoint":"https://Push.Example:8443/x?y"}', "push.example"),
        (b'{"endpoint":"https://[::1]:1/x"}', "::1"),
        (b'{"endpoint":"x"}', None),
        (b'{"endpoint":"https://[/"}', None),
        (b"{}", None),
        (b"[1]", None),
        (b"ab" * 32, None),
    ],
)
def test_the_push_service_of_a_stored_subscription(address: bytes, host: str | None) -> None:
    assert host_of(address) == host
