"""Keys that devices choose for their contents: as they are registered, and as rows and targets carry them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.sealing import Cipher, ContentKey
from pushcast.wire.devices.content_keys import KIND, ContentKeyInvalid, KeptKey, opened, pack, sealed_under, unpack
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.schemas import avro_type
from pushcast.wire.sealing.seals import Place, SealBroken, TokenKeys

T0 = 1_800_000_000_000
SECRET = bytes(range(32))
TEXT = b64encode(SECRET).decode()
KEY: dict[str, Any] = {"id": 2408, "alg": "secretbox", "key": TEXT}
EVENT = {"op": "register", "app": "news", "device": "phone", "platform": "apns", "token": "ab" * 32}
PLACE = Place("news", "apns", "token", "anna", "phone")
DECODER = DeviceChangeDecoder({"news"})


def registered(key: object, **fields: Any) -> ContentKey | None:
    event = {**EVENT, **fields, "content_key": key}
    return DECODER.decode("anna", json.dumps(event).encode(), T0).content_key


@pytest.mark.parametrize("cipher", Cipher)
def test_a_registration_says_key_id_and_cipher(cipher: Cipher) -> None:
    assert registered({**KEY, "alg": str(cipher)}) == ContentKey(2408, cipher, SECRET)
    assert registered(None) is None


def test_avro_says_the_same() -> None:
    names = {field["name"]: None for field in avro_type("device_change").source["fields"]}
    value = avro_type("device_change").encode({**names, **EVENT, "at": T0, "content_key": KEY})
    assert DECODER.decode("anna", value, T0).content_key == ContentKey(2408, Cipher.SECRETBOX, SECRET)


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ({**KEY, "id": -1}, "content_key.id"),
        ({**KEY, "id": 2**32}, "content_key.id"),
        ({**KEY, "alg": "rot13"}, "content_key.alg"),
        ({**KEY, "key": TEXT[:-4]}, "content_key.key"),
        ({**KEY, "key": TEXT + "!"}, "content_key.key"),
        ({"id": 1, "alg": "secretbox"}, "content_key"),
        ({**KEY, "more": 1}, "more"),
        (TEXT, "content_key"),
    ],
)
def test_bad_input_is_refused_by_field_and_never_repeats_the_key(key: object, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        registered(key)
    assert refused.value.field == field
    assert TEXT[:8] not in str(refused.value)


@pytest.mark.parametrize("platform", ["expo", "webpush"])
def test_platforms_that_carry_no_sealed_content_take_no_key(platform: str) -> None:
    subscription = {"endpoint": "https://push.example/1", "p256dh": "B" + "A" * 86, "auth": "A" * 22}
    address = {"token": "ExponentPushToken[abc]"} if platform == "expo" else {"subscription": subscription}
    event = {**EVENT, "platform": platform, "content_key": KEY, "token": None, **address}
    with pytest.raises(InvalidInput, match=f"content_key is not for {platform}"):
        DECODER.decode("anna", json.dumps(event).encode(), T0)


def test_a_key_does_not_show_itself() -> None:
    assert repr(ContentKey(7, Cipher.A256GCM, SECRET)) == "ContentKey(7, a256gcm)"


def test_what_a_row_holds_opens_for_its_device_alone() -> None:
    keys = TokenKeys({"t1": bytes(32)}, "t1")
    key_id, body = keys.seal(SECRET, PLACE._replace(kind=KIND), bytes(12))
    value = pack(KeptKey(2**32 - 1, Cipher.A256GCM, key_id, body))
    assert (SECRET in value, sealed_under(value)) == (False, "t1")
    assert opened(value, PLACE, keys.open) == ContentKey(2**32 - 1, Cipher.A256GCM, SECRET)
    with pytest.raises(SealBroken):
        opened(value, PLACE._replace(device="tablet"), keys.open)
    with pytest.raises(SealBroken):
        opened(pack(unpack(value)._replace(body=body[:-1])), PLACE, keys.open)


@pytest.mark.parametrize("value", [b"", b"\x31", b"\x99" + bytes(40), b"\x31\0\0\0\1\x20t1"])
def test_bytes_that_are_no_key_are_said_so(value: bytes) -> None:
    with pytest.raises(ContentKeyInvalid):
        unpack(value)
    assert sealed_under(value) == ""


def test_a_key_of_another_length_is_none() -> None:
    value = pack(KeptKey(1, Cipher.SECRETBOX, "", SECRET[:-1]))
    with pytest.raises(ContentKeyInvalid, match="31 bytes"):
        opened(value, PLACE, TokenKeys({}, None).open)
