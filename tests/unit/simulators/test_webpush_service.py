from __future__ import annotations

import base64
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import http_ece
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pushcast.simulators import Simulator, start
from pushcast.simulators.webpush.subscriptions import BrowserKeys, Subscription, Undecryptable
from unit.simulators.h2_client import H2Client


@pytest.fixture
async def webpush(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("webpush", work_dir=work_dir, apps=2) as simulator:
        yield simulator


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "===")


def encrypt(subscription: Subscription, plaintext: bytes) -> bytes:
    """By http_ece, Mozilla's own implementation."""
    key = ec.generate_private_key(ec.SECP256R1())
    return http_ece.encrypt(
        plaintext, private_key=key, dh=raw(subscription.p256dh), auth_secret=raw(subscription.auth), version="aes128gcm"
    )


def vapid(simulator: Simulator, app: str = "news", **changes: Any) -> str:
    known = simulator.credentials["apps"][app]
    claims = {"aud": simulator.url, "exp": int(simulator.clock.now()) + 3600, "sub": known["subject"]} | changes
    token = jwt.encode(claims, Path(known["vapid_key_file"]).read_text(), algorithm="ES256")
    return f"vapid t={token}, k={known['vapid_public_key']}"


async def push(
    simulator: Simulator, subscription: Subscription, plaintext: bytes = b"hello", **changes: str | None
) -> httpx.Response:
    headers = {
        "authorization": vapid(simulator),
        "ttl": "60",
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
    }
    fields = headers | {name.replace("_", "-"): value for name, value in changes.items()}
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    async with httpx.AsyncClient(http2=True, verify=context, trust_env=False) as client:
        return await client.post(
            subscription.endpoint,
            content=encrypt(subscription, plaintext),
            headers={name: value for name, value in fields.items() if value is not None},
        )


async def test_it_decrypts_what_an_independent_sender_encrypted(webpush: Simulator) -> None:
    subscription = webpush.subscribe()
    answer = await push(webpush, subscription, b"goal \xf0\x9f\x8e\x89", urgency="high")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["location"].startswith(webpush.url)
    (message,) = webpush.messages(subscription.endpoint)
    assert message == {"topic": None, "urgency": "high", "ttl_seconds": 60, "body": "goal 🎉"}


async def test_copies_are_counted_by_plaintext_though_every_encryption_differs(webpush: Simulator) -> None:
    subscription = webpush.subscribe()
    for text in (b"a", b"a", b"b"):
        await push(webpush, subscription, text)
    assert webpush.stats()["duplicates"] == 1


async def test_a_topic_replaces_the_message_that_waits(webpush: Simulator) -> None:
    subscription = webpush.subscribe()
    for text in (b"1:0", b"2:0"):
        await push(webpush, subscription, text, topic="score")
    await push(webpush, subscription, b"other")
    assert [message["body"] for message in webpush.messages(subscription.endpoint)] == ["2:0", "other"]
    webpush.clock.advance(61)
    assert webpush.messages(subscription.endpoint) == []


async def test_a_message_that_waits_is_deleted_by_the_name_it_was_given(webpush: Simulator) -> None:
    subscription = webpush.subscribe()
    answer = await push(webpush, subscription)
    kept = await push(webpush, subscription, b"kept")
    context = ssl.create_default_context(cafile=str(webpush.ca_file))
    async with httpx.AsyncClient(http2=True, verify=context, trust_env=False) as client:
        headers = {"authorization": vapid(webpush)}
        statuses = [(await client.delete(answer.headers["location"], headers=headers)).status_code for _ in range(2)]
        refused = await client.delete(kept.headers["location"], headers={"authorization": "vapid t=a.b.c, k=d"})
    assert statuses == [204, 404]
    assert refused.status_code == 401
    assert [each["body"] for each in webpush.messages(subscription.endpoint)] == ["kept"]


async def test_a_body_that_cannot_be_decrypted_is_taken_and_told_to_the_tester(webpush: Simulator) -> None:
    subscription, other = webpush.subscribe(), webpush.subscribe()
    wrong = Subscription(subscription.endpoint, other.p256dh, other.auth)
    assert (await push(webpush, wrong)).status_code == 201
    assert webpush.stats()["protocol_violations"] == {"undecryptable: authentication tag does not fit": 1}


@pytest.mark.parametrize(
    ("personality", "changes", "status"),
    [
        ("mozilla", {"authorization": None}, 401),
        ("fcm", {"authorization": None}, 401),
        ("apple", {"authorization": None}, 403),
        ("mozilla", {"authorization": "vapid t=a.b.c, k=AAAA"}, 401),
        ("fcm", {"authorization": "WebPush abc"}, 403),
        ("mozilla", {"ttl": None}, 400),
        ("mozilla", {"ttl": "soon"}, 400),
        ("mozilla", {"topic": "x" * 33}, 400),
        ("mozilla", {"topic": "a b"}, 400),
        ("mozilla", {"urgency": "extreme"}, 400),
        ("mozilla", {"content_encoding": "aesgcm"}, 400),
    ],
)
async def test_headers_are_judged(webpush: Simulator, personality: str, changes: dict[str, Any], status: int) -> None:
    answer = await push(webpush, webpush.subscribe(personality=personality), **changes)
    assert answer.status_code == status
    assert webpush.stats()["accepted"] == 0


async def test_each_service_words_a_key_mismatch_in_its_own_way(webpush: Simulator) -> None:
    bound = raw(webpush.credentials["apps"]["shop"]["vapid_public_key"])
    answers = {
        name: await push(webpush, webpush.subscribe(bound, personality=name)) for name in ("mozilla", "fcm", "apple")
    }
    assert answers["mozilla"].json()["errno"] == 109
    assert (answers["fcm"].status_code, "do not correspond" in answers["fcm"].text) == (403, True)
    assert (answers["apple"].status_code, answers["apple"].json()["reason"]) == (400, "VapidPkHashMismatch")
    own = raw(webpush.credentials["vapid_public_key"])
    assert (await push(webpush, webpush.subscribe(own))).status_code == 201


async def test_claims_of_the_token_are_judged(webpush: Simulator) -> None:
    subscription = webpush.subscribe(personality="apple")
    now = int(time.time())
    for changes in ({"aud": "https://elsewhere.example"}, {"exp": now - 1}, {"exp": now + 90_000}):
        assert (await push(webpush, subscription, authorization=vapid(webpush, **changes))).status_code == 403
    bad_subject = vapid(webpush, sub="mailto: <push@example.com>")
    assert (await push(webpush, subscription, authorization=bad_subject)).json() == {"reason": "BadJwtToken"}
    lenient = webpush.subscribe(personality="mozilla")
    assert (await push(webpush, lenient, authorization=bad_subject)).status_code == 201


async def test_an_oversize_message_is_413_but_400_at_fcm(webpush: Simulator) -> None:
    fits, large = b"x" * 3993, b"x" * 3994
    assert (await push(webpush, webpush.subscribe(), fits)).status_code == 201
    assert (await push(webpush, webpush.subscribe(), large)).json()["errno"] == 104
    assert (await push(webpush, webpush.subscribe(personality="fcm"), large)).status_code == 400


@pytest.mark.parametrize(
    ("personality", "verdict", "status"),
    [("mozilla", "410", 410), ("apple", "410", 410), ("mozilla", "404", 404), ("fcm", "429", 429), ("wns", "429", 406)],
)
async def test_the_path_can_hold_the_verdict(webpush: Simulator, personality: str, verdict: str, status: int) -> None:
    answer = await push(webpush, webpush.subscribe(personality=personality, verdict=verdict))
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (verdict == "429")


async def test_careless_senders_can_be_led_astray(webpush: Simulator) -> None:
    client = await H2Client.connect(webpush)
    assert (await client.call("/probe/redirect", {}, b"x")).status == 307
    assert len((await client.call("/probe/huge", {}, b"x")).body) == 1 << 20
    slow = client.post("/probe/slow", {}, b"x")
    assert (await client.call("/elsewhere", {}, b"x")).status == 404
    assert not client.answers[slow].over


async def test_subscriptions_are_made_over_http(webpush: Simulator) -> None:
    async with httpx.AsyncClient(base_url=webpush.control_url) as control:
        made = (await control.post("/subscribe", json={"count": 3, "personality": "apple"})).json()["subscriptions"]
        assert len({row["endpoint"] for row in made}) == 3
        subscription = Subscription(**made[0])
        assert (await push(webpush, subscription, b"hi")).status_code == 201
        messages = (await control.get("/messages", params={"endpoint": subscription.endpoint})).json()["messages"]
        assert [message["body"] for message in messages] == ["hi"]
        assert (await control.post("/subscribe", json={"count": 10_001})).status_code == 400
        assert (await control.post("/subscribe", json={"personality": "opera"})).status_code == 400


def test_keys_follow_from_seed_and_id() -> None:
    first, again, other = BrowserKeys(1), BrowserKeys(1), BrowserKeys(2)
    assert first.of(b"a")[1:] == again.of(b"a")[1:]
    assert first.of(b"a")[1:] != other.of(b"a")[1:]
    assert hashlib.sha256(first.of(b"a")[1]).digest() != hashlib.sha256(first.of(b"b")[1]).digest()
    assert len(first.of(b"a")[2]) == 16
    point = first.of(b"a")[0].public_key()
    encoding = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    assert point.public_bytes(*encoding) == first.of(b"a")[1]


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_as_undecryptable(body: bytes) -> None:
    with pytest.raises(Undecryptable):
        BrowserKeys(0).decrypt(b"a", body)
