"""The load of `bench send`."""

from __future__ import annotations

import pytest

from pushcast.bench.messages import messages
from pushcast.bench.send import BODY_CHARS
from pushcast.model.batch import MAX_TARGETS, Message
from pushcast.model.words import Platform
from pushcast.providers.apns.message import render as render_apns


def made(platform: Platform, targets: int, per_message: int) -> list[Message]:
    subscriptions = ('{"endpoint": "https://a"}', '{"endpoint": "https://b"}')
    return list(messages(platform, targets, per_message, body_chars=40, now_ms=5, subscriptions=subscriptions))


@pytest.mark.parametrize("platform", list(Platform))
def test_every_column_of_a_message_has_an_entry_for_each_target(platform: Platform) -> None:
    parts = made(platform, 1100, 500)
    assert [len(part.targets) for part in parts] == [500, 500, 100]
    for part in parts:
        assert {len(column) for column in part.targets.columns()} == {len(part.targets)}
        assert len(part.notification_ids) == len(part.traces) == len(part.created_at) == len(part.targets)
    assert MAX_TARGETS >= 500


@pytest.mark.parametrize("platform", [Platform.APNS, Platform.FCM, Platform.EXPO])
def test_every_target_is_a_device_and_a_delivery_of_its_own(platform: Platform) -> None:
    parts = made(platform, 1100, 500)
    assert len({address for part in parts for address in part.targets.address}) == 1100
    assert len({delivery for part in parts for delivery in part.targets.delivery_id}) == 1100


def test_every_message_has_a_content_of_its_own() -> None:
    parts = made(Platform.APNS, 100, 1)
    assert len({part.content.body for part in parts}) == len({part.content_hash for part in parts}) == 100


def test_subscriptions_are_taken_in_turn() -> None:
    (part,) = made(Platform.WEBPUSH, 3, 500)
    assert part.targets.address == [b'{"endpoint": "https://a"}', b'{"endpoint": "https://b"}', part.targets.address[0]]


def test_payloads_have_the_sizes_that_the_figures_are_given_for() -> None:
    apns = next(messages(Platform.APNS, 1, 1, body_chars=BODY_CHARS[Platform.APNS], now_ms=0))
    assert len(render_apns(apns, "com.example.news").body) == 1024
    fcm = next(messages(Platform.FCM, 1, 1, body_chars=BODY_CHARS[Platform.FCM], now_ms=0)).content
    texts = [fcm.title or "", fcm.body or "", *fcm.data.keys(), *fcm.data.values()]
    assert sum(map(len, texts)) == 400
