from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.webpush.credentials import Vapid, load_key

AUDIENCE = "https://push.example.com"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "vapid.pem"
    file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    return file


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vapid(key_file: Path, clock: ManualClock) -> Vapid:
    return Vapid(key_file, "mailto:push@example.com", clock)


def claims(header: bytes) -> dict[str, object]:
    scheme, token, key = header.decode().replace(",", "").split(" ")
    point = urlsafe_b64decode(key.removeprefix("k=") + "==")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert scheme == "vapid"
    options = {"verify_exp": False, "verify_aud": False}
    return jwt.decode(token.removeprefix("t="), public, algorithms=["ES256"], options=options)  # type: ignore[arg-type]


def test_the_token_names_the_service_the_sender_and_twelve_hours(vapid: Vapid, clock: ManualClock) -> None:
    assert claims(vapid.header(AUDIENCE)) == {
        "aud": AUDIENCE,
        "exp": clock.now_ms() // 1000 + 12 * 3600,
        "sub": "mailto:push@example.com",
    }


def test_one_signature_serves_a_service_for_six_hours(vapid: Vapid, clock: ManualClock) -> None:
    first = vapid.header(AUDIENCE)
    clock.advance(6 * 3600 - 1)
    assert vapid.header(AUDIENCE) == first
    assert vapid.header("https://other.example") != first
    assert vapid.signatures == 2
    clock.advance(1)
    assert claims(vapid.header(AUDIENCE))["exp"] == clock.now_ms() // 1000 + 12 * 3600


def test_a_clock_that_was_set_back_makes_another_token(vapid: Vapid, clock: ManualClock) -> None:
    vapid.header(AUDIENCE)
    clock.jump_wall(-3600)
    assert claims(vapid.header(AUDIENCE))["exp"] == clock.now_ms() // 1000 + 12 * 3600


def test_a_refused_token_is_replaced_once(vapid: Vapid, clock: ManualClock) -> None:
    first = vapid.header(AUDIENCE)
    assert not vapid.refused(AUDIENCE, first)  # just made: another would be the same
    clock.advance(120)
    assert vapid.refused(AUDIENCE, first)
    second = vapid.header(AUDIENCE)
    assert vapid.refused(AUDIENCE, first)  # somebody else's news
    assert vapid.header(AUDIENCE) == second


def test_a_changed_file_is_read_again_and_a_broken_one_is_not_used(
    vapid: Vapid, key_file: Path, clock: ManualClock
) -> None:
    first = vapid.header(AUDIENCE)
    key_file.write_bytes(b"broken")
    os.utime(key_file, ns=(1, 1))
    clock.advance(10)
    assert vapid.header(AUDIENCE) == first
    key_file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    os.utime(key_file, ns=(2, 2))
    clock.advance(10)
    assert vapid.header(AUDIENCE).partition(b"k=")[2] != first.partition(b"k=")[2]


def test_the_number_of_tokens_kept_is_bounded(vapid: Vapid) -> None:
    for number in range(4100):
        vapid.header(f"https://h{number}.example")
    assert len(vapid._signed) == 4096


def test_a_key_may_be_raw_base64url() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    raw = urlsafe_b64encode(key.private_numbers().private_value.to_bytes(32, "big")).rstrip(b"=") + b"\n"
    assert load_key(raw, "f").private_numbers() == key.private_numbers()


@pytest.mark.parametrize(
    "content",
    [b"", b"AAAA", b"-----BEGIN PRIVATE KEY-----\nx", pem(rsa.generate_private_key(65537, 2048)), b"\xff" * 40],
)
def test_what_is_no_vapid_key_is_refused_by_file_name(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"vapid_key_file some\.pem"):
        load_key(content, "some.pem")
