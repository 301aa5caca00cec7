"""Device changes: canonical addresses and clear refusals that never show a token."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from pushcast.model.device import AddressKind, DeviceRow, Operation
from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.devices import DeviceChangeDecoder, decode_row, encode_row
from pushcast.wire.schemas import AvroType, avro_type, lock

T0 = 1_800_000_000_000
DECODER = DeviceChangeDecoder(["news"])
P256DH = base64.urlsafe_b64encode(b"\4" + b"k" * 64).rstrip(b"=").decode()
AUTH = base64.urlsafe_b64encode(b"a" * 16).rstrip(b"=").decode()


def change(**changes: Any) -> bytes:
    base = {"op": "register", "app": "news", "device": "d-1", "platform": "apns", "token": "ab12" * 16}
    return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not None}).encode()


def refusal(value: bytes | None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        DECODER.decode("user-1", value, T0)
    return caught.value


def test_an_apns_token_in_upper_case_is_the_same_device() -> None:
    assert DECODER.decode("u", change(token="AB12" * 16), T0) == DECODER.decode("u", change(token="ab12" * 16), T0)


def test_a_fid_is_an_address_of_its_own_kind() -> None:
    found = DECODER.decode("u", change(platform="fcm", token=None, fid="abc-DEF"), T0)
    assert (found.kind, found.address) == (AddressKind.FID, b"abc-DEF")


def test_a_web_push_subscription_is_one_address() -> None:
    subscription = {"endpoint": "https://push.example/x", "p256dh": P256DH, "auth": AUTH}
    found = DECODER.decode("u", change(platform="webpush", token=None, subscription=subscription), T0)
    assert found.kind is AddressKind.SUBSCRIPTION
    assert json.loads(found.address or b"") == subscription


def test_forget_user_needs_no_device() -> None:
    assert DECODER.decode("u", b'{"op": "forget_user"}', T0).op is Operation.FORGET_USER


def test_avro_and_json_give_the_same_change() -> None:
    more: dict[str, Any] = {"topics": ["a/b"], "purpose": "voip", "tags": {"plan": "pro"}, "country": "DE"}
    avro = avro_type("device_change").encode(
        {"op": "register", "app": "news", "device": "d-1", "platform": "apns", "token": "AB12" * 16, **more}
    )
    assert DECODER.decode("u", avro, T0) == DECODER.decode("u", change(**more), T0)


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (None, "tombstone", None),
        (b"nonsense", "unknown_frame", None),
        (b"{", "not_json", None),
        (change(op="registre"), "invalid_field", "op"),
        (change(tokn="x"), "unknown_field", "tokn"),
        (change(app="nws"), "unknown_app", "app"),
        (change(app=None), "invalid_field", "app"),
        (change(device=None), "invalid_field", "device"),
        (change(op="unregister", device=None, token=None), "invalid_field", "device"),
        (change(op="unregister", device=None, platform=None), "invalid_field", "device"),
        (change(op="unregister", device=None, token="xyz1"), "invalid_field", "token"),
        (change(op="topics"), "invalid_field", "add"),
        (change(op="topics", add=[], remove=[]), "invalid_field", "add"),
        (change(op="topics", add=["a"], remove=["b", "a"]), "invalid_field", "remove"),
        (change(op="topics", add=["a"] * 201), "invalid_field", "add"),
        (change(op="topics", add=["a"], device=None), "invalid_field", "device"),
        (change(add=["a"]), "invalid_field", "add"),
        (change(country="DEU"), "invalid_field", "country"),
        (change(region="x" * 65), "invalid_field", "region"),
        (change(device="a\0b"), "invalid_field", "device"),
        (change(platform=None), "invalid_field", "platform"),
        (change(platform="blackberry"), "invalid_field", "platform"),
        (change(token=None), "invalid_field", "token"),
        (change(token=""), "invalid_field", "token"),
        (change(token="a" * 5000), "invalid_field", "token"),
        (change(token="xyz1"), "invalid_field", "token"),
        (change(token="abc"), "invalid_field", "token"),
        (change(platform="fcm", token="with space"), "invalid_field", "token"),
        (change(platform="expo", token="nope"), "invalid_field", "token"),
        (change(platform="webpush", token="ab"), "invalid_field", "token"),
        (change(topics=["t"] * 201), "invalid_field", "topics"),
        (change(purpose="ring"), "invalid_field", "purpose"),
        (change(tags={str(number): "" for number in range(51)}), "invalid_field", "tags"),
        (change(tags={"k": "ü" * 2048}), "invalid_field", "tags"),
        (change(tags={"k": 1}), "invalid_field", "tags[...]"),
        (change(at="noon"), "invalid_field", "at"),
    ],
)
def test_a_mistake_is_named_with_reason_and_field(value: bytes | None, reason: str, field: str | None) -> None:
    error = refusal(value)
    assert (error.reason, error.field) == (reason, field)


@pytest.mark.parametrize("token", ["z" * 65, "deadbeef" * 1000, "abc"])
def test_a_refusal_never_shows_the_token(token: str) -> None:
    assert token not in str(refusal(change(token=token)))


def test_http_and_short_keys_are_no_subscription() -> None:
    good = {"endpoint": "https://push.example/x", "p256dh": P256DH, "auth": AUTH}
    for name, value in (("endpoint", "http://push.example/x"), ("p256dh", AUTH), ("auth", "!!")):
        bad = change(platform="webpush", token=None, subscription={**good, name: value})
        assert refusal(bad).field == f"subscription.{name}"


def test_a_row_survives_the_wire() -> None:
    row = DeviceRow("news", "d", "apns", "token", b"ab12" * 16, "", b"h" * 16, "active", T0, T0 + 1, topics=("a/b",))
    assert decode_row(encode_row(row)) == row


@pytest.mark.parametrize("version", lock()["device_row"], ids=lambda version: f"v{version['version']}")
def test_a_row_of_every_release_is_read_and_what_it_lacks_is_empty(version: dict[str, Any]) -> None:
    known = {field["name"] for field in version["schema"]["fields"]}
    row = DeviceRow("news", "d", "apns", "token", b"ab12", "", b"h" * 16, "active", T0, T0 + 1, topics=("a/b",))
    columns = {name: value for name, value in msgspec.structs.asdict(row).items() if name in known}
    assert decode_row(AvroType("device_row", json.dumps(version["schema"])).encode(columns)) == row
