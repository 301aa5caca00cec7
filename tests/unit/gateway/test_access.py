"""Keys, scopes and quotas over real HTTP. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import hmac
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from pushcast.gateway.access import WRONG_KEYS_PER_MINUTE
from pushcast.model.words import Lane
from pushcast.wire.control import api_keys
from pushcast.wire.control.api_keys import ApiKey, Hash, KeyLimits, Scope, encode_record, new_key, parse_key
from twins.gateway import NOW_MS, Rig, gateway

EVENT = {"user": "u", "app": "news", "class": "breaking", "title": "Goal!"}


async def post(rig: Rig, key: str | None, **change: Any) -> Any:
    async with rig.client(key) as client:
        return await client.post("/v1/notifications", json=EVENT | change)


async def test_g10_every_refused_key_gets_the_same_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with gateway() as rig:
        missing = await post(rig, None)
        _, unknown, _ = new_key()
        good = rig.key()
        wrong_sum = good[:-1] + ("0" if good[-1] != "0" else "1")
        key_id, disabled, digest = new_key()
        rig.keyring.apply(
            key_id.encode(), encode_record(ApiKey((Scope.NOTIFICATIONS_SEND,), (Hash(digest, 1),), disabled=True))
        )
        key_id, expired, digest = new_key()
        hashes = (Hash(digest, 1, NOW_MS),)
        rig.keyring.apply(key_id.encode(), encode_record(ApiKey((Scope.NOTIFICATIONS_SEND,), hashes)))
        refused = [await post(rig, key) for key in (unknown, wrong_sum, disabled, expired, "nonsense")]
    assert (missing.status_code, missing.json()["type"]) == (401, "/problems/no_key")
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1
    assert all(answer.headers["WWW-Authenticate"] == 'Bearer realm="pushcast"' for answer in (missing, *refused))
    assert rig.producer.puts == []
    secrets = [key.split("_", 2)[2][:43] for key in (unknown, good, disabled, expired)]
    assert not any(secret in caplog.text for secret in secrets)


@pytest.mark.parametrize(
    ("allowed", "problem"),
    [
        ({"apps": ("shop",)}, "app_not_allowed"),
        ({"classes": ("digest",)}, "class_not_allowed"),
        ({"lanes": (Lane.BULK,)}, "lane_not_allowed"),
    ],
)
async def test_g11_a_key_reaches_only_what_it_is_for(allowed: dict[str, Any], problem: str) -> None:
    async with gateway() as rig:
        answer = await post(rig, rig.key(Scope.NOTIFICATIONS_SEND, **allowed))
    assert (answer.status_code, answer.json()["type"]) == (403, f"/problems/{problem}")
    assert rig.producer.puts == []


async def test_g11_a_key_for_one_app_must_name_it() -> None:
    async with gateway() as rig:
        answer = await post(rig, rig.key(Scope.NOTIFICATIONS_SEND, apps=("news",)), app=None)
    assert answer.json()["type"] == "/problems/app_not_allowed"


async def test_g12_both_secrets_are_valid_while_a_key_is_rotated() -> None:
    key_id, old, old_digest = new_key()
    _, new, new_digest = new_key(key_id)
    day_ms = 86_400_000
    hashes = (Hash(old_digest, NOW_MS, NOW_MS + day_ms), Hash(new_digest, NOW_MS))
    async with gateway() as rig:
        rig.keyring.apply(key_id.encode(), encode_record(ApiKey((Scope.NOTIFICATIONS_SEND,), hashes)))
        during = [(await post(rig, key)).status_code for key in (old, new)]
        rig.now_ms += day_ms
        after = [(await post(rig, key)).status_code for key in (old, new)]
    assert (during, after) == ([202, 202], [401, 202])


async def test_g13_a_disabled_key_is_refused_from_its_record_on() -> None:
    key_id, text, digest = new_key()
    record = ApiKey((Scope.NOTIFICATIONS_SEND,), (Hash(digest, 1),))
    async with gateway() as rig:
        rig.keyring.apply(key_id.encode(), encode_record(record))
        before = await post(rig, text)
        rig.keyring.apply(key_id.encode(), None)
        after = await post(rig, text)
    assert [before.status_code, after.status_code] == [202, 401]


async def test_g14_a_key_gets_its_quota_and_no_more() -> None:
    async with gateway() as rig:
        limits = KeyLimits(requests_per_minute=20)
        key, other = rig.key(Scope.NOTIFICATIONS_SEND, limits=limits), rig.key()
        async with rig.client(key) as client:
            answers = [await client.post("/v1/notifications", json=EVENT) for _ in range(21)]
        elsewhere = await post(rig, other)
    assert [answer.status_code for answer in answers] == [202] * 20 + [429]
    assert answers[0].headers["RateLimit"].startswith('"requests";r=19;t=')
    assert '"requests";q=20;w=60' in answers[0].headers["RateLimit-Policy"]
    last = answers[-1]
    assert last.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert last.json()["violated-policies"] == ["requests"]
    assert int(last.headers["Retry-After"]) >= 1
    assert last.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert elsewhere.status_code == 202
    assert rig.door.limited["requests"] == 1


async def test_g14_a_bulk_pays_for_each_of_its_notifications() -> None:
    async with gateway() as rig:
        key = rig.key(Scope.NOTIFICATIONS_SEND, limits=KeyLimits(notifications_per_minute=3))
        body = json.dumps({"notifications": [EVENT, EVENT]}).encode()
        async with rig.client(key) as client:
            answers = [
                await client.post("/v1/notifications/bulk", content=body, headers={"Content-Type": "application/json"})
                for _ in range(2)
            ]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[1].json()["violated-policies"] == ["notifications"]
    assert len(rig.producer.puts) == 2


async def test_g15_an_address_that_tries_keys_is_refused_and_valid_keys_are_not() -> None:
    async with gateway() as rig:
        good = rig.key()
        _, wrong, _ = new_key()
        statuses = [(await post(rig, wrong)).status_code for _ in range(WRONG_KEYS_PER_MINUTE + 2)]
        answer = await post(rig, good)
    assert statuses == [401] * WRONG_KEYS_PER_MINUTE + [429, 429]
    assert answer.status_code == 202
    assert rig.door.limited["address"] == 2


def test_a_key_with_one_wrong_character_is_known_without_a_look_up() -> None:
    key_id, text, digest = new_key()
    presented = parse_key(text)
    assert presented is not None
    assert (presented.id, presented.digest) == (key_id, digest)
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert parse_key(text[:place] + other + text[place + 1 :]) is None
    assert parse_key("ü" * len(text)) is None


@pytest.mark.parametrize("right", [0, 1, None])
def test_every_secret_of_a_key_is_compared_whichever_is_right(
    right: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, attacks: how long a comparison takes tells nothing of a secret."""
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(api_keys, "hmac", SimpleNamespace(compare_digest=compare))
    digests = ["a" * 64, "b" * 64]
    key = ApiKey((), tuple(Hash(each, 0) for each in digests), disabled=right is None)
    presented = digests[right or 0]
    assert key.verifies(presented, 1) is (right is not None)
    assert compared == [(each, presented) for each in digests]
