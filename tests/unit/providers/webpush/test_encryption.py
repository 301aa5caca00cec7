from __future__ import annotations

from base64 import urlsafe_b64decode

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushcast.providers.webpush.encryption import MAX_BODY_BYTES, MAX_PLAINTEXT_BYTES, OVERHEAD_BYTES, encrypt, seal


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text), "big"), ec.SECP256R1())


RECEIVER = private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
POINT = decoded("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
AUTH = decoded("BTBZMqHH6r4Tts7J_aSIgg")


def test_the_example_of_rfc_8291_section_5() -> None:
    sender = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    body = seal(b"When I grow up, I want to be a watermelon", POINT, AUTH, sender, decoded("DGv6ra1nlYgDCS1FRnbzlw"))
    assert body == decoded(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr"
        "u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@pytest.mark.parametrize("size", [0, 1, 500, MAX_PLAINTEXT_BYTES])
def test_another_implementation_opens_it(size: int) -> None:
    plaintext = bytes(index % 251 for index in range(size))
    body = encrypt(plaintext, POINT, AUTH)
    assert len(body) == size + OVERHEAD_BYTES <= MAX_BODY_BYTES
    assert http_ece.decrypt(body, private_key=RECEIVER, auth_secret=AUTH, version="aes128gcm") == plaintext


def test_no_two_bodies_share_a_key_or_a_salt() -> None:
    bodies = [encrypt(b"x", POINT, AUTH) for _ in range(20)]
    assert len({body[:16] for body in bodies}) == 20
    assert len({body[21:86] for body in bodies}) == 20


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    outside = POINT[:-1] + bytes([POINT[-1] ^ 1])
    with pytest.raises(ValueError):
        encrypt(b"x", outside, AUTH)
    assert RECEIVER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == POINT
