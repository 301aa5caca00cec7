from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.providers.webpush.subscription import EndpointForbidden, Malformed, parse
from unit.providers.webpush.test_encryption import AUTH, POINT

P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"


def address(endpoint: str = "https://Push.Example.com/wp/x?y=1", p256dh: str = P256DH, auth: str = SECRET) -> bytes:
    return orjson.dumps({"endpoint": endpoint, "p256dh": p256dh, "auth": auth})


def test_a_subscription_is_taken_apart() -> None:
    found = parse(address())
    assert (found.authority, found.path) == ("push.example.com", b"/wp/x?y=1")
    assert (found.receiver_point, found.auth_secret) == (POINT, AUTH)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/x",
        "https://user@push.example.com/x",
        "https://user:pw@push.example.com/x",
        "https://push.example.com\\@evil.example/x",
        "https://push.example.com",
        "https://push%2eexample.com/x",
        "https://push.example.com/x y",
        "https://push.example.com/x\r\nhost: evil",
        "https://push.example.com/x#fragment",
        "https://pusch\u00e9.example/x",
        "ftp://push.example.com/x",
    ],
)
def test_endpoints_of_another_form_are_forbidden(endpoint: str) -> None:
    with pytest.raises(EndpointForbidden):
        parse(address(endpoint))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"not json",
        b"[]",
        b'{"endpoint": "https://a/b"}',
        address(p256dh="AAAA"),
        address(p256dh=P256DH.replace("B", "C", 1)),
        address(auth="AAAA"),
        address(auth="\u00e9" * 22),
    ],
)
def test_what_is_no_subscription_is_malformed(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        parse(wrong)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(junk: bytes) -> None:
    with pytest.raises((Malformed, EndpointForbidden)):
        parse(junk)
