"""What a producer sealed for REGISTER."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from pushcast.model.device import DeviceChange
from pushcast.model.errors import InvalidInput
from pushcast.model.sealing import Cipher, ContentKey
from pushcast.wire.devices.addresses import Given
from pushcast.wire.devices.content_keys import RawContentKey
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.sealing.sealed_intake import (
    MAX_BOX_CHARS,
    OVERHEAD_BYTES,
    Sealed,
    intake_place,
    open_from_intake,
    seal_for_intake,
)
from pushcast.wire.sealing.seals import Place

PLACE = intake_place("news", "apns", "anna", "phone")
TOKEN = "ab" * 32
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"i1": PRIVATE}


def box() -> Sealed:
    return seal_for_intake(Given(token=TOKEN), PLACE, "i1", PRIVATE.public_key().public_bytes_raw())


def test_a_registrar_opens_it_and_it_is_another_one_each_time() -> None:
    sealed = box()
    assert open_from_intake(sealed, PLACE, KEYS) == Given(token=TOKEN)
    assert len(b64decode(sealed.box)) == len('{"token":""}') + len(TOKEN) + OVERHEAD_BYTES
    assert sealed != box()


@pytest.mark.parametrize("part", Place._fields)
def test_it_is_of_no_use_for_another_device(part: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_from_intake(box(), PLACE._replace(**{part: "other"}), KEYS)
    assert (refused.value.reason, refused.value.field) == ("invalid_field", "sealed.box")


@pytest.mark.parametrize("text", ["", "?", "ä", b64encode(bytes(47)).decode(), "A" * (MAX_BOX_CHARS + 1)])
def test_what_is_no_box_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_from_intake(Sealed("i1", text), PLACE, KEYS)
    assert refused.value.field == "sealed.box"


def test_a_key_that_the_registrar_does_not_hold_is_told_by_its_reason() -> None:
    with pytest.raises(InvalidInput) as refused:
        open_from_intake(box(), PLACE, {})
    assert (refused.value.reason, refused.value.field) == ("key_unknown", "sealed.key")


@pytest.mark.parametrize("held", [b"no json", b"{}x", b'{"secret-4711": 1}', b"[]"])
def test_what_is_in_a_box_is_never_in_an_error(held: bytes) -> None:
    info = b"pushcast/intake/1\0" + PLACE.associated()
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
    text = b64encode(suite.encrypt(held, PRIVATE.public_key(), info=info)).decode()
    with pytest.raises(InvalidInput) as refused:
        open_from_intake(Sealed("i1", text), PLACE, KEYS)
    assert refused.value.field == "sealed.box"
    assert "4711" not in str(refused.value)


CHANGE = {"op": "register", "app": "news", "device": "phone", "platform": "apns"}


def decoded(decoder: DeviceChangeDecoder, **fields: Any) -> DeviceChange:
    return decoder.decode("anna", msgspec.json.encode({**CHANGE, **fields}), 1_790_000_000_000)


def test_a_sealed_event_says_what_a_plain_one_does() -> None:
    opening = DeviceChangeDecoder(["news"], opening=lambda sealed, place: open_from_intake(sealed, place, KEYS))
    assert decoded(opening, sealed=msgspec.structs.asdict(box())) == decoded(opening, token=TOKEN)
    with pytest.raises(InvalidInput, match="not beside one"):
        decoded(opening, sealed=msgspec.structs.asdict(box()), token=TOKEN)
    with pytest.raises(InvalidInput, match="not sealed for this device"):
        decoded(opening, sealed=msgspec.structs.asdict(box()), device="other")


def test_who_hands_an_event_on_looks_into_no_box() -> None:
    assert decoded(DeviceChangeDecoder(["news"]), sealed=msgspec.structs.asdict(box())).address == b""


def test_where_sealing_is_required_an_address_in_clear_is_refused_without_being_told() -> None:
    strict = DeviceChangeDecoder(["news"], require_sealed=True)
    for op in ("register", "refresh"):
        with pytest.raises(InvalidInput, match=r"sealing\.require") as refused:
            decoded(strict, op=op, token=TOKEN)
        assert refused.value.field == "sealed"
        assert TOKEN not in str(refused.value)
    assert decoded(strict, op="unregister").address is None
    by_token = {"op": "unregister", "device": None, "token": TOKEN}
    with pytest.raises(InvalidInput, match=r"sealing\.require"):
        decoded(strict, **by_token)


CONTENT_KEY: dict[str, Any] = {"id": 7, "alg": "secretbox", "key": b64encode(bytes(32)).decode()}


def test_a_content_key_goes_into_the_box_and_in_clear_it_is_refused_where_sealing_is_required() -> None:
    given = Given(token=TOKEN, content_key=RawContentKey(**CONTENT_KEY))
    sealed = msgspec.structs.asdict(seal_for_intake(given, PLACE, "i1", PRIVATE.public_key().public_bytes_raw()))
    opening = DeviceChangeDecoder(["news"], opening=lambda box, place: open_from_intake(box, place, KEYS))
    assert decoded(opening, sealed=sealed) == decoded(opening, token=TOKEN, content_key=CONTENT_KEY)
    strict = DeviceChangeDecoder(
        ["news"], opening=lambda box, place: open_from_intake(box, place, KEYS), require_sealed=True
    )
    assert decoded(strict, sealed=sealed).content_key == ContentKey(7, Cipher.SECRETBOX, bytes(32))
    with pytest.raises(InvalidInput) as refused:
        decoded(strict, sealed=msgspec.structs.asdict(box()), content_key=CONTENT_KEY)
    assert (refused.value.field, CONTENT_KEY["key"] in str(refused.value)) == ("content_key", False)
