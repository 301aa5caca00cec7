"""`privacy: sealed` in SEND: what a provider gets of it, and what becomes of devices without a usable key."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushcast.model.batch import Message
from pushcast.model.notification import Content
from pushcast.model.sealing import Cipher, Fallback, Sealing
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition
from pushcast.send.sealing import ContentSealing
from pushcast.wire import topics
from pushcast.wire.devices.content_keys import KIND, KeptKey, pack
from pushcast.wire.sealing.seals import Place, TokenKeys
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_of
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import Harness, TwinProvider, failed, message, ok, send_batch

KEYS = TokenKeys({"t1": bytes(32)}, "t1")
SECRET = bytes(range(32))
CONTENT = Content("Anna", "Dinner at eight?", {"room": 7}, subtitle="Family", link="app://chat/7")


def kept(user: str, *, key: bytes = SECRET, sealed: bool = False, key_id: int = 2408) -> bytes:
    """Of the device of this user, as REGISTER keeps it."""
    if not sealed:
        return pack(KeptKey(key_id, Cipher.A256GCM, "", key))
    place = Place("news", "apns", KIND, user, user.replace("u", "d"))
    return pack(KeptKey(key_id, Cipher.A256GCM, *KEYS.seal(key, place, bytes(12))))


def private(*keys: bytes | None, fallback: Fallback = "ping", content: Content = CONTENT, **options: Any) -> Message:
    made = message(len(keys), **options)
    made = replace(made, content=content, klass="messages", sealing=Sealing("New message", fallback))
    return replace(made, targets=replace(made.targets, content_key=list(keys)))


class Watching(TwinProvider):
    """Remembers what it was handed, by user."""

    handed: dict[str, Message] = {}  # noqa: RUF012 - replaced, never changed

    async def send(self, message: Message, indices: Any, on_results: Any, *more: Any) -> None:
        self.handed = self.handed | {message.targets.user[index]: message for index in indices}
        await super().send(message, indices, on_results, *more)


def read(given: Message, key: bytes = SECRET) -> dict[str, Any]:
    """What the app of the device makes of it."""
    box = b64decode(given.content.data["c"])
    found: dict[str, Any] = json.loads(AESGCM(key).decrypt(box[:12], box[12:], None))
    return found


@pytest.mark.parametrize("sealed", [False, True])
async def test_each_device_gets_the_content_under_its_own_key_and_the_provider_a_title(sealed: bool) -> None:
    provider, other = Watching(accept=True), bytes(reversed(range(32)))
    harness = Harness(provider, keys=KEYS)
    await harness.feed(send_batch(private(kept("u0", sealed=sealed), kept("u1", key=other, sealed=sealed, key_id=9))))
    first, second = provider.handed["u0"], provider.handed["u1"]
    assert read(first) == read(second, other)
    assert read(first) == {
        "title": "Anna",
        "body": "Dinner at eight?",
        "data": {"room": 7},
        "subtitle": "Family",
        "link": "app://chat/7",
        "id": "n",
        "class": "messages",
        "created_at": first.created_at[0],
    }
    assert (first.content.data["k"], second.content.data["k"]) == (2408, 9)
    for given in (first, second):
        assert replace(given, content=given.content).content == Content("New message", None, given.content.data)
        assert (given.options.mutable_content, given.options.collapse_id) == (True, None)
    assert set(harness.outbox.outcomes().values()) == {("accepted", None)}


async def test_two_pushes_of_one_content_are_not_alike() -> None:
    provider = Watching(accept=True)
    await Harness(provider, keys=KEYS).feed(send_batch(private(kept("u0"), kept("u1"))))
    assert provider.handed["u0"].content.data["c"] != provider.handed["u1"].content.data["c"]


async def test_a_device_without_a_key_gets_a_ping() -> None:
    """Acceptance fact 48."""
    provider = Watching(accept=True)
    harness = Harness(provider, keys=KEYS)
    await harness.feed(send_batch(private(kept("u0"), None)))
    assert provider.handed["u1"].content == Content("New message", None, {"id": "n", "class": "messages"})
    assert provider.handed["u1"].options.collapse_id == "messages"
    assert set(harness.outbox.outcomes().values()) == {("accepted", None)}


async def test_a_class_may_leave_devices_without_a_key_out() -> None:
    """Acceptance fact 48: fallback skip is `no_content_key`."""
    provider = Watching(accept=True)
    harness = Harness(provider, keys=KEYS)
    await harness.feed(send_batch(private(kept("u0"), None, fallback="skip")))
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("suppressed", "no_content_key")}
    assert list(provider.handed) == ["u0"]


async def test_a_class_may_send_in_clear_to_devices_without_a_key() -> None:
    provider = Watching(accept=True)
    await Harness(provider, keys=KEYS).feed(send_batch(private(kept("u0"), None, fallback="plain")))
    assert provider.handed["u1"].content == CONTENT
    assert provider.handed["u0"].content != CONTENT


async def test_a_broken_key_costs_one_delivery_and_no_device() -> None:
    provider = Watching(accept=True)
    harness = Harness(provider, keys=KEYS)
    moved = kept("u9", sealed=True)
    await harness.feed(send_batch(private(kept("u0"), kept("u1", key=b"short"), b"junk", moved)))
    refused = ("rejected", "content_key_invalid")
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": refused, "u2": refused, "u3": refused}
    assert harness.outbox.invalid_tokens() == []


async def test_a_content_key_under_a_key_that_is_not_there_waits() -> None:
    provider = Watching(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(private(kept("u0"), kept("u1", sealed=True))))
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}
    assert harness.outbox.parked() == ["u1"]
    [parked] = harness.outbox.of(topics.PARKED)
    assert parked_of(parked.headers).why is Why.KEY_UNKNOWN
    [again] = decode_batch(parked.value or b"").messages
    assert (again.sealing, again.targets.content_key) == (Sealing("New message"), [kept("u1", sealed=True)])


async def test_what_waits_for_another_round_is_sealed_in_that_round() -> None:
    script = {"u0": [failed(Disposition.RETRY, "provider_unavailable", status=503)], "u1": [ok(1)]}
    harness = Harness(Watching(script=script), keys=KEYS, ladder=Ladder(DEFAULT_RUNGS))
    await harness.feed(send_batch(private(kept("u0"), kept("u1"))))
    [retry] = [entry for entry in harness.outbox.log if entry.topic.startswith("push.retry")]
    [again] = decode_batch(retry.value or b"").messages
    assert (again.content, again.sealing, again.targets.content_key) == (CONTENT, Sealing("New message"), [kept("u0")])
    assert harness.outbox.outcomes() == {"u1": ("accepted", None)}


def test_what_shows_nothing_stays_silent() -> None:
    found = ContentSealing(Platform.APNS).pieces(private(kept("u0"), None, content=Content(data={"room": 7})), [0, 1])
    assert found is not None
    for piece in found.pieces:
        assert (piece.message.content.title, piece.message.options.mutable_content) == (None, False)


def test_web_push_seals_by_itself_and_expo_counts_as_without_a_key() -> None:
    given = private(kept("u0"), fallback="skip")
    assert ContentSealing(Platform.WEBPUSH).pieces(given, [0]) is None
    found = ContentSealing(Platform.EXPO).pieces(given, [0])
    assert found is not None
    assert (found.pieces, found.without_key) == ([], [0])


def test_pings_of_several_notifications_are_told_apart() -> None:
    given = private(None, None, None)
    given = replace(given, notification_ids=["n-1", "n-2"], created_at=[1, 2], traces=["", ""])
    given.targets.notification[:] = [0, 1, 0]
    found = ContentSealing(Platform.APNS).pieces(given, [0, 1, 2])
    assert found is not None
    assert [(piece.message.content.data["id"], piece.indices) for piece in found.pieces] == [
        ("n-1", [0, 2]),
        ("n-2", [1]),
    ]


def test_other_classes_are_handed_over_as_they_are() -> None:
    assert ContentSealing(Platform.APNS).pieces(message(1), [0]) is None
