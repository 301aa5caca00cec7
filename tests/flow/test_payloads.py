"""Every field of a notification on its way through all roles to all four platforms, and section 5 of faults.md anew.

The numbers of the reproductions stand in the names of the tests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pushcast.audit.follow import FollowedNotes, follow
from pushcast.audit.reader import Books
from pushcast.demo.load import DeviceOf
from pushcast.demo.produce import produce, producer_of, register
from pushcast.demo.world import Options, World
from pushcast.model.words import Lane
from pushcast.wire import topics
from unit.providers.fields import CASES

GOLDEN = Path(__file__).parent.parent / "unit" / "providers" / "golden"
#: The first test waits for a Kafka, four simulators and all roles.
pytestmark = pytest.mark.timeout(480)
PARTITIONS = 2
PLANNERS = 3
SECONDS = 120.0
APNS_TOKEN, VOIP_TOKEN = "ab" * 32, "cd" * 32
FCM_TOKEN = "fLongEnoughForFcm:APA91b" + "x" * 134
EXPO_TOKEN = "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]"


class Scene:
    """A running Pushcast, and what one user's devices get in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._producer = producer_of(world.settings)

    def device(self, user: str, platform: str, **event: Any) -> DeviceOf:
        changes = {"op": "register", "user": user, "app": "news", "device": platform, "platform": platform, **event}
        return DeviceOf(user, changes, dead=False)

    def register(self, *devices: DeviceOf) -> None:
        """And waits until planners know them."""
        with Books(self.world.settings) as books:
            register(self.world, books, list(devices), lambda *_: None, PLANNERS)

    def subscription(self, verdict: str = "ok") -> dict[str, Any]:
        """What `PushSubscription.toJSON()` of a browser gives, and its endpoint answers with."""
        simulator = self.world.simulators["webpush"]
        key = simulator.description["credentials"]["apps"]["news"]["vapid_public_key"]
        wanted = {"count": 1, "vapid_public_key": key, "verdict": verdict}
        [made] = simulator.control("/subscribe", wanted)["subscriptions"]
        keys = {"p256dh": made["p256dh"], "auth": made["auth"]}
        return {"endpoint": made["endpoint"], "expirationTime": None, "keys": keys}

    def send(self, user: str, event: Mapping[str, Any]) -> FollowedNotes:
        """A notification, followed to its end."""
        note = {"id": uuid4().hex, "app": "news", **event}
        now_ms = round(time.time() * 1000)
        value = json.dumps(note).encode()
        produce(self._producer, topics.notification(Lane.NORMAL), user, value, PARTITIONS, now_ms)
        self._producer.flush()
        found = follow(self.world.settings, {(user, str(note["id"]))}, now_ms - 1, SECONDS)
        assert found.finished, (found.to_dict(), self.world.log_tail())
        return found

    def since(self, platform: str) -> int:
        return int(self.world.simulators[platform].stats()["last_delivery"])

    def delivered(self, platform: str, since: int) -> list[dict[str, Any]]:
        """Requests that a provider had after `since`, with their body as JSON."""
        rows = self.world.simulators[platform].control(f"/deliveries?since={since}")["deliveries"]
        return [{**row, "body": json.loads(row["body"]) if platform != "webpush" else row["body"]} for row in rows]

    def one(self, platform: str, user: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """The only request that a provider has for this event."""
        since = self.since(platform)
        found = self.send(user, event)
        assert found.all_accepted, found.to_dict()
        [row] = self.delivered(platform, since)
        return row


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    options = Options(
        apps=("news",),
        transient_errors=0.0,
        overrides={"kafka": {"partitions": PARTITIONS}, "devices": {"hold_seconds": 1}},
    )
    with World(lambda _: None, options) as world:
        yield world


@pytest.fixture
def scene(running: World) -> Scene:
    return Scene(running)


@pytest.fixture
def user(unique: Callable[[str], str]) -> str:
    return unique("anna")


def golden(platform: str, case: str) -> Any:
    return json.loads((GOLDEN / f"{platform}.json").read_text())[case]


def test_every_field_arrives_on_every_platform_as_the_golden_files_say_5_12_5_13_5_14_5_15_5_17(
    scene: Scene, user: str
) -> None:
    subscription = scene.subscription()
    scene.register(
        scene.device(user, "apns", token=APNS_TOKEN),
        scene.device(user, "fcm", token=FCM_TOKEN),
        scene.device(user, "expo", token=EXPO_TOKEN),
        scene.device(user, "webpush", subscription=subscription),
    )
    since = {platform: scene.since(platform) for platform in scene.world.simulators}
    found = scene.send(user, {**CASES["all"], "id": "n-1"})
    assert found.all_accepted
    assert len(found.receipts) == 4
    [apns], [fcm], [expo] = (scene.delivered(platform, since[platform]) for platform in ("apns", "fcm", "expo"))
    assert apns["body"] == golden("apns", "all")["payload"]
    assert without_times(fcm["body"]["message"]) == without_times(golden("fcm", "all")["message"])
    [message], [expected] = expo["body"], golden("expo", "all")
    assert without(message, "to", "expiration", "tag") == without(expected, "to", "expiration", "tag")
    read = scene.world.simulators["webpush"].control(f"/messages?endpoint={subscription['endpoint']}")
    [received] = read["messages"]
    payload, wanted = json.loads(received["body"]), golden("webpush", "all")["payload"]
    payload["options"].pop("tag")
    wanted["options"].pop("tag")
    assert payload == wanted


def without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def without_times(message: dict[str, Any]) -> dict[str, Any]:
    """FCM's message without what differs for each delivery."""
    for place, name in (
        (message, "token"),
        (message["android"], "ttl"),
        (message["android"]["notification"], "tag"),
        (message["apns"]["headers"], "apns-expiration"),
        (message["apns"]["headers"], "apns-collapse-id"),
        (message["webpush"]["headers"], "TTL"),
    ):
        assert place.pop(name)
    return message


def test_two_rings_with_one_text_are_two_on_the_screen_5_4(scene: Scene, user: str) -> None:
    apns, token = scene.world.simulators["apns"], "ef" * 32
    apns.control("/devices", {"token": token, "online": True})
    scene.register(scene.device(user, "apns", token=token))
    for _ in range(2):
        assert scene.send(user, {"title": "Ding dong", "body": "Someone is at the door"}).all_accepted
    assert len(apns.control(f"/screen?token={token}")["shown"]) == 2


def test_a_push_service_that_answers_204_has_taken_the_push_5_6(scene: Scene, user: str) -> None:
    scene.register(scene.device(user, "webpush", subscription=scene.subscription("204")))
    since = scene.since("webpush")
    found = scene.send(user, {"title": "Goal!"})
    assert found.all_accepted
    assert (found.receipts[0]["attempts"], found.receipts[0]["provider_status"]) == (1, 204)
    assert len(scene.delivered("webpush", since)) == 1


@pytest.mark.parametrize(
    ("locale", "locales", "title"),
    [
        ("zh-Hant-TW", {"zh-Hant": {"title": "HANT"}}, "HANT"),
        ("zh_Hant_TW", {"zh-Hant": {"title": "HANT"}, "zh": {"title": "ZH"}}, "HANT"),
        ("DE-AT", {"de": {"title": "DE"}}, "DE"),
        ("fr", {"de": {"title": "DE"}}, "EN"),
    ],
)
def test_a_device_gets_the_text_of_the_nearest_locale_5_7(
    scene: Scene, user: str, locale: str, locales: dict[str, Any], title: str
) -> None:
    scene.register(scene.device(user, "apns", token=APNS_TOKEN, locale=locale))
    row = scene.one("apns", user, {"title": "EN", "locales": locales})
    assert row["body"]["aps"]["alert"] == {"title": title}


def test_empty_texts_with_data_are_a_background_push_5_8(scene: Scene, user: str) -> None:
    scene.register(scene.device(user, "apns", token=APNS_TOKEN), scene.device(user, "fcm", token=FCM_TOKEN))
    since = scene.since("fcm")
    row = scene.one("apns", user, {"title": "", "body": "", "data": {"k": "v"}})
    assert row["body"] == {"aps": {"content-available": 1}, "k": "v"}
    assert (row["headers"]["apns-push-type"], row["headers"]["apns-priority"]) == ("background", "5")
    [fcm] = scene.delivered("fcm", since)
    assert "notification" not in fcm["body"]["message"]
    assert fcm["body"]["message"]["data"] == {"k": "v"}


def test_data_alone_wakes_an_app_behind_expo_5_9(scene: Scene, user: str) -> None:
    scene.register(scene.device(user, "expo", token=EXPO_TOKEN))
    [message] = scene.one("expo", user, {"data": {"k": "v"}})["body"]
    assert (message["contentAvailable"], message["priority"]) == (True, "normal")


def test_an_alert_leaves_the_pushkit_token_alone_and_a_call_rings_it_5_11(scene: Scene, user: str) -> None:
    """The simulator knows a token by its first push, and refuses the other kind from then on, as Apple does."""
    scene.register(
        scene.device(user, "apns", token=APNS_TOKEN, device="iphone", purpose="alert"),
        scene.device(user, "apns", token=VOIP_TOKEN, device="iphone-voip", purpose="voip"),
    )
    call = scene.one("apns", user, {"data": {"call": "1"}, "options": {"push_type": "voip"}})
    assert call["headers"][":path"].endswith(VOIP_TOKEN)
    assert call["headers"]["apns-topic"] == "com.example.news.voip"
    alert = scene.one("apns", user, {"title": "Goal!"})
    assert alert["headers"][":path"].endswith(APNS_TOKEN)


@pytest.mark.parametrize(
    ("options", "aps"),
    [({"badge": 0}, {"badge": 0}), ({"badge": 5}, {"badge": 5}), ({"sound": "bell.caf"}, {"sound": "bell.caf"})],
)
def test_a_badge_or_a_sound_alone_is_an_alert_on_apple_devices_5_16(
    scene: Scene, user: str, options: dict[str, Any], aps: dict[str, Any]
) -> None:
    scene.register(scene.device(user, "apns", token=APNS_TOKEN))
    row = scene.one("apns", user, {"options": options})
    assert (row["body"]["aps"], row["headers"]["apns-push-type"]) == (aps, "alert")


@pytest.mark.parametrize("how", ["ttl_seconds", "expires_at"])
def test_now_or_never_is_handed_over_once_with_no_time_to_live_5_18(scene: Scene, user: str, how: str) -> None:
    subscription = scene.subscription()
    scene.register(
        scene.device(user, "apns", token=APNS_TOKEN),
        scene.device(user, "fcm", token=FCM_TOKEN),
        scene.device(user, "webpush", subscription=subscription),
    )
    since = {platform: scene.since(platform) for platform in ("apns", "fcm", "webpush")}
    now_ms = round(time.time() * 1000)
    times = {"created_at": now_ms, "expires_at": now_ms} if how == "expires_at" else {"options": {"ttl_seconds": 0}}
    assert scene.send(user, {"title": "Ring", **times}).all_accepted
    [apns], [fcm], [webpush] = (scene.delivered(platform, since[platform]) for platform in since)
    assert apns["headers"]["apns-expiration"] == "0"
    assert fcm["body"]["message"]["android"]["ttl"] == "0s"
    assert webpush["headers"]["ttl"] == "0"
