"""What a producer sealed for REGISTER."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pushcast.model.errors import InvalidInput
from pushcast.wire.sealed_intake import MAX_BOX_CHARS, OVERHEAD_BYTES, Sealed, open_from_intake, seal_for_intake
from pushcast.wire.seals import KeyUnknown, Place

PLACE = Place("news", "apns", "token", "anna", "phone")
TOKEN = b"ab" * 32
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"i1": PRIVATE}


def box() -> Sealed:
    return seal_for_intake(TOKEN, PLACE, "i1", PRIVATE.public_key().public_bytes_raw())


def test_a_registrar_opens_it_and_it_is_another_one_each_time() -> None:
    sealed = box()
    assert open_from_intake(sealed, PLACE, KEYS) == TOKEN
    assert len(b64decode(sealed.box)) == len(TOKEN) + OVERHEAD_BYTES
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


def test_a_key_that_the_registrar_does_not_hold_is_no_fault_of_the_event() -> None:
    with pytest.raises(KeyUnknown, match="i1"):
        open_from_intake(box(), PLACE, {})
