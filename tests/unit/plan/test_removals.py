"""Pushes that take back what is shown, at the planner: fact R1 of reference/time.md."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pushcast.config.classes import Class
from pushcast.config.providers import App
from pushcast.config.settings import Settings
from pushcast.keep.removals import RemovalAsked, opened
from pushcast.model.ids import device_name, device_row_key
from pushcast.model.recalls import RemovalScope
from pushcast.model.words import Lane, Platform
from pushcast.plan.removals import removals_of
from pushcast.stream.batch import TP, Batch
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.recallable import Push
from twins.kafka import OPEN, record, settled
from twins.plan import CLASSES, T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
DUE = TP(topics.due(Lane.NORMAL), 3)
VAPID: dict[str, Any] = {"vapid_key_file": "key.pem", "subject": "mailto:ops@example.com"}


async def release(
    harness: PlanHarness,
    recall: tuple[Push, ...] = (),
    scope: RemovalScope = RemovalScope.ALL,
    only: frozenset[bytes] | None = None,
) -> None:
    """The keeper lets a removal of two ids go."""
    event = opened(RemovalAsked(None, ("n-1", "n-2"), None, 0, T0, recall, only), T0, scope).event
    headers = released_headers(origin("keep", 3, 1), "remove|0|k", Released(T0, None, due_at=T0), "", None)
    tracker = Tracker(0, OPEN)
    due = record(DUE.topic, 3, 0, ANN.encode(), event, headers, T0)
    await harness.stage.handle(Batch(DUE, tracker, tracker.hand_over([due], tracker.arrive([due])), lambda: None))
    await settled()
    await harness.pass_time(2.5)  # its window, or the second look for devices
    await harness.acknowledge()


async def test_r1_a_removal_goes_to_phones_and_to_no_browser() -> None:
    harness = PlanHarness()
    for platform in Platform:
        harness.device(ANN, device=f"d-{platform}", platform=platform)
    await release(harness)
    found = {batch.platform: batch.messages[0] for batch in harness.batches()}
    assert sorted(found) == ["apns", "expo", "fcm"]
    message = found["apns"]
    assert (message.klass, message.options.push_type, message.options.priority) == ("remove", "background", "normal")
    assert message.content.data == {"event": "remove", "ids": ["n-1", "n-2"], "seq": T0}
    [(_, _, planned, _)] = harness.planned()
    assert planned == 3


@pytest.mark.parametrize(
    ("scope", "platforms"), [(RemovalScope.APPLE, ["apns", "expo"]), (RemovalScope.OTHERS, ["fcm", "webpush"])]
)
async def test_r2_one_for_apples_devices_goes_to_no_other_and_the_other_way_round(
    scope: RemovalScope, platforms: list[str]
) -> None:
    """Nobody knows whose devices Expo's are: they count as Apple's."""
    harness = PlanHarness()
    for platform in Platform:
        harness.device(ANN, device=f"d-{platform}", platform=platform)
    await release(harness, (Push("n-1", "d-webpush", "m-1"),), scope)
    assert sorted(batch.platform for batch in harness.batches()) == platforms


async def test_a2_one_for_some_devices_goes_to_these_and_to_expos_of_which_nobody_is_told() -> None:
    harness = PlanHarness()
    for device, platform in (("phone", "apns"), ("tablet", "apns"), ("android", "fcm"), ("expo", "expo")):
        harness.device(ANN, device=device, platform=platform)
    only = frozenset([device_name(device_row_key(ANN, "news", "phone"))])
    await release(harness, only=only)
    assert {target for batch in harness.batches() for part in batch.messages for target in part.targets.device} == {
        "phone",
        "expo",
    }


async def test_r1_a_user_with_browsers_alone_has_no_device_for_it() -> None:
    harness = PlanHarness()
    harness.device(ANN, device="d-web", platform=Platform.WEBPUSH)
    await release(harness)
    assert harness.batches() == []
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"], receipt["class"]) == ("suppressed", "no_devices", "remove")


@pytest.mark.parametrize("name", ["remove:1", "badge:1", "digest:1", "canary-1"])
async def test_producers_do_not_use_our_ids(name: str) -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, {**note(1), "id": name}))
    await harness.acknowledge()
    assert harness.dead_letters() == [("invalid_field", 3)]


async def test_producers_do_not_use_our_class() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, {**note(1), "class": "remove"}))
    await harness.acknowledge()
    assert harness.dead_letters() == [("unknown_class", 3)]


def test_no_class_of_the_configuration_has_our_name() -> None:
    with pytest.raises(ValueError, match=r"classes\.remove: this class is Pushcast's own"):
        Settings(classes=cast(Any, {"remove": {}}))


def test_an_app_says_where_removals_go() -> None:
    apns = {"topic": "com.example", "certificate_file": "c.pem"}
    apps = {
        "plain": App(apns=cast(Any, apns), webpush=cast(Any, VAPID)),
        "other": App(apns=cast(Any, {**apns, "removal": "off"}), webpush=cast(Any, {**VAPID, "removal": "message"})),
    }
    found = removals_of(apps)
    assert ("plain", "apns") in found
    assert ("other", "apns") not in found
    assert ("plain", "webpush") not in found
    assert ("other", "webpush") in found


@pytest.mark.parametrize(("word", "device"), [("off", []), ("message", ["d-1"]), ("replace", ["d-1"])])
async def test_a2_a_browser_that_a_removal_replaces_something_at_gets_it_where_its_app_says_so(
    word: str, device: list[str]
) -> None:
    apps = {"news": App(webpush=cast(Any, {**VAPID, "removal": word}))}
    harness = PlanHarness(apps=apps)
    for name in ("d-1", "d-2"):
        harness.device(ANN, device=name, platform=Platform.WEBPUSH)
    only = frozenset([device_name(device_row_key(ANN, "news", "d-1"))])
    await release(harness, (Push("n-1", "d-1", "", "score"),), only=only)
    assert [device for _, _, _, device in harness.targets()] == device


async def test_d8_only_messages_of_removable_classes_say_so() -> None:
    classes = {**CLASSES, "chat": Class(window_seconds=0, removable=True)}
    harness = PlanHarness(classes=classes)
    harness.device(ANN)
    await harness.feed((ANN, note(1)), (ANN, note(2, **{"class": "chat"})))
    await harness.acknowledge()
    found = {batch.messages[0].klass: batch.messages[0].removable for batch in harness.batches()}
    assert found == {"default": False, "chat": True}


async def test_d8_a_browser_whose_service_may_still_have_it_gets_the_removal_all_the_same() -> None:
    harness = PlanHarness()
    for name in ("d-1", "d-2"):
        harness.device(ANN, device=name, platform=Platform.WEBPUSH)
    await release(harness, recall=(Push("n-1", "d-1", "m1"),))
    assert [device for _, _, _, device in harness.targets()] == ["d-1"]
