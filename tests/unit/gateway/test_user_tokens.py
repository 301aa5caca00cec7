"""Apps that register devices of their users. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pushcast.gateway.user_tokens import read_keys
from pushcast.model.errors import ConfigurationError
from pushcast.wire.control.api_keys import ApiKey, app_key, encode_record, new_key, parse_app_key
from twins.gateway import NOW_MS, Rig, gateway

NOW = NOW_MS // 1000
DEVICE = {"platform": "apns", "token": "ab" * 32}
PRIVATE: dict[str, Any] = {
    "EC": ec.generate_private_key(ec.SECP256R1()),
    "OKP": ed25519.Ed25519PrivateKey.generate(),
    "RSA": rsa.generate_private_key(65537, 2048),
}
ALGORITHMS: dict[str, Any] = {
    "EC": jwt.algorithms.ECAlgorithm,
    "OKP": jwt.algorithms.OKPAlgorithm,
    "RSA": jwt.algorithms.RSAAlgorithm,
}
NAMES = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}


def jwks(folder: Path, *kinds: str) -> Path:
    keys = [{**json.loads(ALGORITHMS[kind].to_jwk(PRIVATE[kind].public_key())), "kid": kind} for kind in kinds]
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return file


def token(kind: str = "EC", key: Any = None, kid: str | None = None, **claims: Any) -> str:
    told = {"sub": "user-42", "aud": "news", "exp": NOW + 600} | claims
    told = {name: value for name, value in told.items() if value is not None}
    signing = PRIVATE[kind] if key is None else key
    return jwt.encode(told, signing, NAMES[kind], headers={"kid": kid or kind})


def public_key(rig: Rig, app: str = "news", **more: Any) -> str:
    key_id, _, _ = new_key()
    rig.keyring.apply(key_id.encode(), encode_record(ApiKey((), (), kind="app", apps=(app,), **more)))
    return app_key(app, key_id)


async def put(rig: Rig, app: str | None, bearer: str | None) -> Any:
    headers = {} if app is None else {"Pushcast-App": app}
    async with rig.client(bearer) as client:
        return await client.put("/v1/me/devices/d-1", json=DEVICE, headers=headers)


@pytest.fixture
def keys(tmp_path: Path) -> Any:
    return read_keys({"news": jwks(tmp_path, "EC", "OKP", "RSA")})


@pytest.mark.parametrize("kind", ["EC", "OKP", "RSA"])
async def test_a_user_with_a_token_registers_a_device_of_its_own(kind: str, keys: Any) -> None:
    async with gateway(user_keys=keys) as rig:
        answer = await put(rig, public_key(rig), token(kind))
    assert answer.status_code == 202, answer.text
    assert (answer.json()["user"], answer.json()["app"]) == ("user-42", "news")
    assert rig.producer.puts[0].key == b"user-42"


def refused_tokens() -> dict[str, str | None]:
    public = (
        PRIVATE["EC"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    hs = jwt.api_jws.PyJWS()
    payload = json.dumps({"sub": "user-42", "aud": "news", "exp": NOW + 600}).encode()
    return {
        "no token": None,
        "expired": token(exp=NOW - 60),
        "valid for longer than an hour": token(exp=NOW + 7200),
        "not yet valid": token(nbf=NOW + 300),
        "of another app": token(aud="shop"),
        "without aud": token(aud=None),
        "without sub": token(sub=None),
        "without exp": token(exp=None),
        "signed by nobody": hs.encode(payload, "", "none", headers={"kid": "EC"}),
        "signed with the public key": hs.encode(payload, b"x" * 32, "HS256", headers={"kid": "EC"}),
        "of another key": token(key=ec.generate_private_key(ec.SECP256R1())),
        "of a key that nobody knows": token(kid="other"),
        "with the algorithm of another key": token("RSA", kid="EC"),
        "too long": token(x="y" * 5000),
        "nonsense": "a.b.c",
        "with a head that is nested too deep": base64.urlsafe_b64encode(b"[" * 2_900).decode() + ".b.c",
        "until a list": token(exp=[NOW + 600]),
        "until a word": token(exp="later"),
        "until no float": token(exp=10**400),
        "from a list on": token(nbf=[NOW]),
        "a key's text": public.decode().replace("\n", ""),
    }


@pytest.mark.parametrize("fault", refused_tokens())
async def test_g27_a_token_that_proves_nothing_is_refused(fault: str, keys: Any) -> None:
    async with gateway(user_keys=keys) as rig:
        answer = await put(rig, public_key(rig), refused_tokens()[fault])
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/token_refused")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert rig.producer.puts == []


async def test_an_address_that_tries_tokens_is_refused_and_valid_tokens_are_not(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1 of doors.md: 401s are limited by address."""
    monkeypatch.setattr("pushcast.gateway.access.WRONG_KEYS_PER_MINUTE", 2)
    async with gateway(user_keys=keys) as rig:
        app = public_key(rig)
        answers = [await put(rig, app, each) for each in ("a.b.c", token(exp=NOW - 60), "a.b.c", token())]
    assert [answer.status_code for answer in answers] == [401, 401, 429, 202]


async def test_g27_a_reserved_user_is_refused_in_a_token_too(keys: Any) -> None:
    async with gateway(user_keys=keys) as rig:
        answer = await put(rig, public_key(rig), token(sub="device:d-1"))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/reserved_user")


async def test_a_public_key_opens_nothing_else_and_a_servers_key_is_no_public_one(keys: Any) -> None:
    async with gateway(user_keys=keys) as rig:
        app, disabled = public_key(rig), public_key(rig, disabled=True)
        of_another = app.replace("pk_news_", "pk_shop_")
        server = rig.key()
        answers = [await put(rig, each, token()) for each in (None, disabled, of_another, "pk_news_unknown1", server)]
        async with rig.client(app) as client:
            as_server = await client.post("/v1/notifications", json={"user": "u", "title": "t"})
    assert [answer.status_code for answer in answers] == [401] * 5
    assert as_server.status_code == 401
    assert rig.producer.puts == []


def test_an_app_with_underscores_has_a_public_key() -> None:
    assert parse_app_key(app_key("my_app", "12345678")) == ("my_app", "12345678")
    assert parse_app_key("pk_12345678") is None


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}'])
def test_a_key_file_that_proves_nobody_is_refused_at_the_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"gateway\.identity\.news\.jwks_file"):
        read_keys({"news": file})
    with pytest.raises(ConfigurationError, match="No such file"):
        read_keys({"news": tmp_path / "none.json"})


async def test_an_app_tells_of_its_own_users_pushes_only(keys: Any) -> None:
    body = {"device": "d-1", "events": [{"event": "opened", "notification": "n"}]}
    async with gateway(user_keys=keys) as rig, rig.client(token()) as client:
        headers = {"Pushcast-App": public_key(rig)}
        told = await client.post("/v1/me/engagement", json=body, headers=headers)
        written = len(rig.producer.puts)
        other = [
            await client.post("/v1/me/engagement", json=body | more, headers=headers)
            for more in ({"user": "user-43"}, {"app": "shop"})
        ]
    assert (told.status_code, told.json()) == (202, {"user": "user-42", "accepted": 1})
    assert [answer.json()["errors"][0]["pointer"] for answer in other] == ["#/user", "#/app"]
    assert len(rig.producer.puts) == written == 1
