"""Canaries (doors.md A6, O3): a push to a device of the operator's own, each period."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.kafka.acks import AckProducer
from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.own import is_canary
from pushcast.model.words import Platform
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.report.canary import Canary, CanaryVerdict, last_success, verdict
from pushcast.report.follow import Follower
from pushcast.report.rows import Delivery
from pushcast.runtime.canaries import Canaries, canaries_of
from pushcast.stream.errors import Full
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder

HOUR_MS = 3_600_000
START_MS = 500_000 * HOUR_MS
CANARY = Canary("news", Platform.APNS, HOUR_MS, {"token": "ab" * 32}, dry=True)
P = CANARY.partition(8)


class ProducerTwin:
    def __init__(self) -> None:
        self.puts: list[tuple[str, int, bytes, dict[str, Any]]] = []
        self.full = False

    def put(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        if self.full:
            raise Full("no room")
        self.puts.append((topic, partition, key, json.loads(value)))


class StoreTwin:
    def __init__(self) -> None:
        self.rows: list[Delivery] = []

    def deliveries(self, user: str, from_ms: int, to_ms: int) -> list[tuple[bytes, Delivery]]:
        assert user == CANARY.user
        return [(b"", row) for row in self.rows]


class FollowerTwin:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stores = {P: StoreTwin()}
        self.read_all = True

    def whole(self, partition: int) -> bool:
        assert partition == P
        return self.read_all


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.producer, self.follower = ProducerTwin(), FollowerTwin()
        self.canaries = Canaries(
            [CANARY], 8, cast(AckProducer, self.producer), cast(Follower, self.follower), self.clock
        )

    def ids(self) -> list[str]:
        return [value["id"] for topic, _, _, value in self.producer.puts if topic.startswith("push.notification")]


def delivery(outcome: str, created_at: int, ended_at: int) -> Delivery:
    return Delivery(
        0, "n", "notification", "news", "canary", "apns", outcome, None, 200, 1, created_at, created_at, ended_at
    )


def test_each_period_brings_one_registration_and_one_notification_into_the_users_partition() -> None:
    rig = Rig()
    for _ in range(3):
        rig.canaries.send()
        rig.clock.advance(1)
    assert [(topic, partition, key) for topic, partition, key, _ in rig.producer.puts] == [
        (topics.DEVICE_CHANGED, P, b"canary:news:apns"),
        ("push.notification.urgent.v1", P, b"canary:news:apns"),
    ]
    rig.clock.advance(3600)
    rig.canaries.send()
    assert rig.ids() == ["canary-news-apns-500000", "canary-news-apns-500001"]


def test_canaries_of_a_changed_configuration_take_the_place_of_those_before() -> None:
    rig = Rig()
    rig.canaries.send()
    rig.canaries.change([])
    rig.clock.advance(3600)
    rig.canaries.send()
    assert len(rig.ids()) == 1
    rig.canaries.change([CANARY._replace(every_ms=1_800_000)])
    rig.canaries.send()
    assert len(rig.ids()) == 2, "it was forgotten meanwhile"
    rig.canaries.change([CANARY._replace(every_ms=1_800_000)])
    rig.canaries.send()
    assert len(rig.ids()) == 2, "one that stays is sent once a period"


def test_two_reporters_make_the_very_same_notification() -> None:
    first, second = Rig(), Rig()
    second.clock.advance(90)
    for rig in (first, second):
        rig.canaries.send()
    assert first.ids() == second.ids()


def test_a_canary_of_a_partition_of_another_reporter_is_left_to_it() -> None:
    rig = Rig()
    rig.follower.stores.clear()
    rig.canaries.look()
    rig.canaries.send()
    assert (rig.producer.puts, list(rig.canaries.samples())) == ([], [])


def test_what_kafka_does_not_take_now_is_written_at_the_next_look() -> None:
    rig = Rig()
    rig.producer.full = True
    rig.canaries.send()
    rig.producer.full = False
    rig.canaries.send()
    assert len(rig.ids()) == 1


def test_o3_only_an_accepted_push_is_a_success() -> None:
    rig = Rig()
    store = rig.follower.stores[P]
    store.rows = [delivery("dead", START_MS, START_MS + 9000)]
    rig.follower.read_all = False
    rig.canaries.look()
    assert list(rig.canaries.samples()) == [], "the success may not have been read yet"
    rig.follower.read_all = True
    rig.canaries.look()
    assert list(rig.canaries.samples()) == [Sample(Name.CANARY_SUCCESS, 0, ("news", "apns"))], "for the alarm"
    store.rows += [
        delivery("accepted", START_MS, START_MS + 1500),
        delivery("accepted", START_MS - 5000, START_MS - 100),
    ]
    rig.canaries.look()
    labels = ("news", "apns")
    assert list(rig.canaries.samples()) == [
        Sample(Name.CANARY_SUCCESS, START_MS / 1000 + 1.5, labels),
        Sample(Name.CANARY_SECONDS, 1.5, labels),
    ]
    assert last_success([]) is None


@pytest.mark.parametrize(
    ("rows", "hours", "expected"),
    [
        ([], 2.0, None),
        ([], 2.1, CanaryVerdict(True, "silent")),
        ([("accepted", 0)], 2.0, CanaryVerdict(False)),
        ([("accepted", 0)], 2.1, CanaryVerdict(True, "silent")),
        ([("dead", 1), ("accepted", 0)], 1.5, CanaryVerdict(True, "dead")),
        ([("dead", 0), ("accepted", 1)], 1.5, CanaryVerdict(False)),
        ([("accepted", -9)], 1.5, CanaryVerdict(False)),
    ],
)
def test_a_canary_has_failed_when_a_push_ends_otherwise_or_nothing_is_heard_for_two_periods(
    rows: list[tuple[str, int]], hours: float, expected: CanaryVerdict | None
) -> None:
    deliveries = [delivery(outcome, START_MS, START_MS + hour * HOUR_MS) for outcome, hour in rows]
    assert verdict(deliveries, START_MS, HOUR_MS, START_MS + round(hours * HOUR_MS)) == expected


def test_how_a_canary_fares_is_said_when_it_changes_and_again_when_kafka_did_not_take_it() -> None:
    rig = Rig()
    store = rig.follower.stores[P]
    store.rows = [delivery("accepted", START_MS, START_MS + 900)]
    rig.producer.full = True
    rig.canaries.say(rig.canaries.look())
    rig.producer.full = False
    for rows in ([], [], [delivery("dead", START_MS, START_MS + 9000)]):
        store.rows += rows
        rig.canaries.say(rig.canaries.look())
    assert [(topic, partition, key) for topic, partition, key, _ in rig.producer.puts] == [
        (topics.CONTROL, 0, b"canary/news/apns")
    ] * 2
    state = ControlState()
    words = []
    for _, _, key, value in rig.producer.puts:
        state.apply(key, json.dumps(value).encode())
        word = state.canaries["news", Platform.APNS]
        words.append((word.state, word.reason, word.accepted_at_ms))
    assert words == [("ok", "", START_MS + 900), ("failed", "dead", START_MS + 900)]
    assert not state.ignored
    assert state.apply(b"canary/news/apns", None) is None
    assert state.canaries == {}


def test_what_it_writes_is_what_the_stages_read() -> None:
    note = NotificationDecoder(["news"], {"default": ClassRule(1000)}).decode(
        CANARY.user, CANARY.notification(START_MS), START_MS
    )
    assert (note.id, note.app) == ("canary-news-apns-500000", "news")
    assert is_canary(note.id, note.user)
    assert not is_canary(note.id, "somebody")
    change = DeviceChangeDecoder(["news"]).decode(CANARY.user, CANARY.registration(START_MS), START_MS)
    assert change.device == "canary"


def settings(file: Path, platform: str = "expo") -> Settings:
    return Settings.model_validate({"apps": {"news": {platform: {"canary": {"token_file": str(file)}}}}})


def test_the_address_is_read_from_a_file_and_its_content_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "canary.token"
    file.write_text("ExponentPushToken[abc]\n")
    [found] = canaries_of(settings(file))
    assert (found.address, found.every_ms, found.dry) == ({"token": "ExponentPushToken[abc]"}, HOUR_MS, True)
    file.write_bytes(b"\xff secret")
    with pytest.raises(ConfigurationError, match=r"apps\.news\.expo\.canary\.token_file") as refused:
        canaries_of(settings(file))
    assert "secret" not in str(refused.value)
    file.unlink()
    with pytest.raises(ConfigurationError, match="No such file"):
        canaries_of(settings(file))
