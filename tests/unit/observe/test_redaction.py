from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.observe.redaction import MAX_TEXT_CHARS, SECRET_NAMES, redact, redact_event, redact_text

APNS = "0123456789abcdef" * 4
FCM = "dXk3-9_aBcD:APA91b" + "H_x-9" * 28
KEY_P256DH = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"


@pytest.mark.parametrize(
    "secret",
    [
        APNS,
        APNS.upper(),
        APNS + "00" * 16,
        FCM,
        KEY_P256DH,
        "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]",
        "ExpoPushToken[a]",
        "Bearer eyJhbGciOi.eyJpc3MiOi.c2ln",
        "bearer ya29.a0AfH6SMBx",
        "vapid t=eyJ0eXAi.eyJhdWQi.c2ln, k=BA1Hxzyi",
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJURUFNIn0.MEUCIQD",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA" + "b_C-9" * 30,
        "-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMG\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nMIGTAgEAMBMG",
    ],
)
@pytest.mark.parametrize("around", ["{}", "before {} after", "b'{}'", '{{"x": "{}"}}', "({})", "path/{}/x"])
def test_what_looks_like_a_secret_is_taken_out(secret: str, around: str) -> None:
    text = redact_text(around.format(secret))
    assert "[redacted]" in text
    for part in (secret, "MIGTAgEAMBMG", "gAAAAA", "c2ln", "MEUCIQD", "ya29", "BA1Hxzyi"):
        assert part not in text


@pytest.mark.parametrize(
    "text",
    [
        "token=short1",
        "token: short1",
        '"token": "short1"',
        "'device-token' : 'short1'",
        r"{\"token\": \"short1\"}",
        'b\'{"auth":"short1"}\'',
        "Authorization=short1",
        "fid=short1, app=news",
    ],
)
def test_the_value_after_a_secret_name_is_taken_out(text: str) -> None:
    assert "short1" not in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "delivery 00112233445566778899aabbccddeeff ended",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "push.send.apns.urgent.v1[3] offset 1234567890",
        "pushcast-plan-urgent revoked 8 partitions in 0.013 s",
        "device_unregistered, token_malformed, tokens_kept 4",
        "3f0c1d2e-1111-2222-3333-444455556666",
        "/var/lib/pushcast/data/pushcast-plan-urgent/devices/0",
    ],
)
def test_ids_topics_and_figures_stay_readable(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_a_field_of_a_secret_name_never_shows_its_value(name: str) -> None:
    for spelled in (name, name.upper(), name.replace("_", "-")):
        assert "hush" not in str(redact_event(None, "", {"event": "x", spelled: "hush"}))
        assert "hush" not in str(redact({"deeper": [{spelled: ["hush"]}]}))


def test_bytes_are_never_shown() -> None:
    assert redact({"value": b"anything"}) == {"value": "[8 bytes]"}


def test_what_is_long_many_or_deep_is_cut() -> None:
    assert len(redact_text("word " * 10_000)) < MAX_TEXT_CHARS + 100
    assert len(redact(list(range(10_000)))) == 100
    nested: object = "bottom"
    for _ in range(50):
        nested = [nested]
    assert "bottom" not in str(redact(nested))


@given(st.text(max_size=300), st.text(max_size=300))
def test_an_apns_token_does_not_survive_any_surroundings(before: str, after: str) -> None:
    assert APNS not in redact_text(f"{before} {APNS} {after}")
