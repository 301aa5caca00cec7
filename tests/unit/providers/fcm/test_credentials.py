from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.credential import CredentialUnavailable
from pushcast.providers.fcm.credentials import AUDIENCE, SCOPE, AccessToken, ServiceAccount, token_of
from pushcast.providers.port import Disposition

KEY = rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account(**changes: object) -> bytes:
    fields = {"client_email": "push@p.example", "private_key": pem(KEY), "private_key_id": "k1", **changes}
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


def test_the_assertion_is_what_google_asks_for() -> None:
    assertion = ServiceAccount.parse(account(), "sa.json").assertion(1_800_000_000).decode()
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    options: Any = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(assertion, KEY.public_key(), algorithms=["RS256"], audience=AUDIENCE, options=options) == {
        "iss": "push@p.example",
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (account(client_email=None), "client_email is missing"),
        (account(private_key=7), "private_key is missing"),
        (account(private_key_id=""), "private_key_id is missing"),
        (account(private_key="secret text"), "no PEM private key"),
        (account(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "not an RSA key"),
    ],
)
def test_a_file_that_is_no_service_account_is_refused_without_showing_it(content: bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refusal:
        ServiceAccount.parse(content, "sa.json")
    assert "sa.json" in str(refusal.value)
    assert "secret text" not in str(refusal.value)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        AccessToken(tmp_path / "none.json", "https://x.example/token", ssl.create_default_context(), ManualClock())


@pytest.mark.parametrize(
    ("expires_in", "renew_at", "expires_at"),
    [
        (3599, 100 + 3299, 100 + 3599),
        (60, 130, 160),
        (None, 100 + 3300, 100 + 3600),
        (-5, 100.5, 101),
        ("x", 3400, 3700),
    ],
)
def test_a_token_is_renewed_five_minutes_or_half_its_life_ahead(
    expires_in: object, renew_at: float, expires_at: float
) -> None:
    fields = {"access_token": "ya29.x"} | ({} if expires_in is None else {"expires_in": expires_in})
    assert token_of(200, orjson.dumps(fields), 100.0) == (b"Bearer ya29.x", renew_at, expires_at)


@pytest.mark.parametrize(
    ("status", "content", "disposition"),
    [
        (400, b'{"error":"invalid_grant"}', Disposition.CREDENTIAL),
        (401, b"", Disposition.CREDENTIAL),
        (403, b"<html>", Disposition.CREDENTIAL),
        (500, b"", Disposition.UNSENT),
        (429, b"{}", Disposition.UNSENT),
        (302, b"", Disposition.UNSENT),
        (200, b"", Disposition.UNSENT),
        (200, b'{"access_token":""}', Disposition.UNSENT),
        (200, b'{"access_token":"a\\r\\nb"}', Disposition.UNSENT),
        (200, b'{"access_token":7}', Disposition.UNSENT),
        (200, b"[]", Disposition.UNSENT),
    ],
)
def test_only_a_refusal_is_a_credential_problem(status: int, content: bytes, disposition: Disposition) -> None:
    with pytest.raises(CredentialUnavailable) as problem:
        token_of(status, content, 0.0)
    assert problem.value.disposition is disposition


def test_what_the_endpoint_says_is_not_repeated_unless_it_is_an_error_word() -> None:
    with pytest.raises(CredentialUnavailable, match="400 refused"):
        token_of(400, b'{"error":"assertion=eyJ..."}', 0.0)


async def test_a_replaced_service_account_is_used_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """doors.md O2: a request waits for the new account's token; none leaves with the old one."""
    clock = ManualClock()

    async def request(token: AccessToken) -> Any:
        answer = orjson.dumps({"access_token": token._account.key_id, "expires_in": 3600})
        return token_of(200, answer, clock.monotonic_seconds())

    monkeypatch.setattr(AccessToken, "_request", request)
    file = tmp_path / "sa.json"
    file.write_bytes(account())
    token = AccessToken(file, "https://x.example/token", ssl.create_default_context(), clock)
    assert await token.header() == b"Bearer k1"
    file.write_bytes(account(private_key_id="k2-new"))
    clock.advance(6)
    assert token.current() is None
    assert await token.header() == b"Bearer k2-new"
    file.write_bytes(b"broken")
    clock.advance(6)
    assert token.current() == b"Bearer k2-new"


@pytest.mark.parametrize("old_is_refused", [False, True])
async def test_an_account_that_is_replaced_while_a_token_is_fetched_is_the_one_that_counts(
    old_is_refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, may_answer = ManualClock(), asyncio.Event()
    asked: list[str] = []

    async def request(token: AccessToken) -> Any:
        asked.append(token._account.key_id)
        key_id = asked[-1]
        await may_answer.wait()
        if key_id == "k1" and old_is_refused:
            return token_of(400, b'{"error":"invalid_grant"}', clock.monotonic_seconds())
        answer = orjson.dumps({"access_token": key_id, "expires_in": 3600})
        return token_of(200, answer, clock.monotonic_seconds())

    monkeypatch.setattr(AccessToken, "_request", request)
    file = tmp_path / "sa.json"
    file.write_bytes(account())
    token = AccessToken(file, "https://x.example/token", ssl.create_default_context(), clock)
    first = asyncio.create_task(token.header())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    file.write_bytes(account(private_key_id="k2-new"))
    clock.advance(6)
    second = asyncio.create_task(token.header())
    await asyncio.sleep(0)
    may_answer.set()
    assert await asyncio.gather(first, second) == [b"Bearer k2-new"] * 2
    assert asked == ["k1", "k2-new"]
