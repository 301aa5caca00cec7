"""Reports of people rebuilt from end to end, by their numbers in the list of faults: R1 to R3, 5.2 and 5.3.

How long the good pushes take is a figure (`pushcast bench isolation`), not an assertion: here they arrive, while the
bad ones are still there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from flow.kafka_tools import produce, read_all
from flow.one_process import one_process
from pushcast.audit.reader import Books
from pushcast.bench.cluster import ProcessUnderTest
from pushcast.demo.world import World
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.devices.devices import decode_row

PARTITIONS = 2
DEADLINE_SECONDS = 120.0
FCM_LENGTH = 150
GOOD_USERS = 20
ODD_USERS = 5
OLD_TOKENS = 25
MOST_ATTEMPTS = 5


class Pushcast:
    """One product for all reproductions; each has users of its own."""

    def __init__(self, world: World, process: ProcessUnderTest) -> None:
        self.world, self.process = world, process
        self.kafka = world.settings.kafka.bootstrap_servers

    def register(self, user: str, platform: str, token: str, device: str = "d") -> None:
        event = {"op": "register", "app": "news", "device": device, "platform": platform, "token": token}
        self._write(topics.DEVICE_CHANGED, user, event)
        self.until(lambda: (user, device) in self.states(), f"{user} {device} is registered")

    def notify(self, user: str, note: str, **fields: Any) -> None:
        self._write(topics.notification(Lane.NORMAL), user, {"id": note, "app": "news", "title": note, **fields})

    def receipts(self, user: str) -> dict[tuple[str, str], dict[str, Any]]:
        """By notification id and device."""
        values = [record.value() for record in read_all(self.kafka, topics.RECEIPT, PARTITIONS)]
        rows = [decode_receipt(value) for value in values if value]
        return {(row["notification_id"], row["device"]): row for row in rows if row["user"] == user}

    def states(self) -> dict[tuple[str, str], str]:
        """Of each device row, by user and device."""
        found: dict[tuple[str, str], str] = {}
        for record in read_all(self.kafka, topics.DEVICE, PARTITIONS):
            key, value = record.key() or b"", record.value()
            if key.count(b"\0") == 2:
                user, _, device = key.decode().split("\0")
                found[user, device] = "gone" if value is None else str(decode_row(value).state)
        return found

    def opened(self) -> list[str]:
        """Breakers that were ever open."""
        records = read_all(self.kafka, topics.CONTROL, 1)
        return [
            (record.key() or b"").decode()
            for record in records
            if (record.key() or b"").startswith(b"breaker/") and b'"open"' in (record.value() or b"")
        ]

    def accepted(self, user: str, note: str) -> Callable[[], bool]:
        return lambda: any(
            name == note and row["outcome"] == "accepted" for (name, _), row in self.receipts(user).items()
        )

    def until(self, true: Callable[[], bool], what: str) -> None:
        self.process.until(true, what, DEADLINE_SECONDS, poll_seconds=0.5)

    def _write(self, topic: str, user: str, event: dict[str, Any]) -> None:
        key = user.encode()
        produce(self.kafka, topic, [(partition_of(key, PARTITIONS), key, orjson.dumps(event))])


def fcm(prefix: str) -> str:
    """A token of real length."""
    return prefix + "x" * (FCM_LENGTH - len(prefix))


@pytest.fixture(scope="module")
def pushcast() -> Iterator[Pushcast]:
    overrides = {"kafka": {"partitions": PARTITIONS}, "devices": {"hold_seconds": 600, "max_per_user": OLD_TOKENS}}
    with one_process(platforms=("apns", "fcm"), overrides=overrides) as (world, process):
        yield Pushcast(world, process)


@pytest.mark.timeout(300)
def test_r1_what_a_producer_aborts_is_neither_pushed_nor_registered_nor_missed(pushcast: Pushcast) -> None:
    pushcast.register("r1", "apns", "a1" * 32)
    producer = Producer(
        {"bootstrap.servers": pushcast.kafka, "partitioner": "murmur2_random", "transactional.id": "r1"}
    )
    producer.init_transactions()
    producer.begin_transaction()
    note = {"id": "aborted", "app": "news", "title": "never"}
    device = {"op": "register", "app": "news", "device": "never", "platform": "apns", "token": "b1" * 32}
    producer.produce(topics.notification(Lane.NORMAL), orjson.dumps(note), "r1")
    producer.produce(topics.DEVICE_CHANGED, orjson.dumps(device), "r1")
    assert producer.flush(DEADLINE_SECONDS) == 0
    producer.abort_transaction()
    pushcast.register("r1", "apns", "c1" * 32, "after")
    pushcast.notify("r1", "after")
    pushcast.until(lambda: len(pushcast.receipts("r1")) == 2, "both devices get what came after")
    assert {name for name, _ in pushcast.receipts("r1")} == {"after"}
    assert ("r1", "never") not in pushcast.states()
    with Books(pushcast.world.settings) as books:
        totals = books.reckon(None)
    assert totals.balanced, totals.to_dict()


@pytest.mark.timeout(300)
def test_r2_targets_without_an_apns_key_hold_nobody_up_and_end_on_their_ladder(pushcast: Pushcast) -> None:
    odd, good = [f"r2-odd-{n}" for n in range(ODD_USERS)], [f"r2-good-{n}" for n in range(GOOD_USERS)]
    for number, user in enumerate(odd):
        pushcast.register(user, "fcm", fcm(f"thirdparty:x{number}"))
    for user in good:
        pushcast.register(user, "fcm", fcm(f"{user}:APA91b"))
    for user in odd:
        pushcast.notify(user, "r2")
    for user in good:
        pushcast.notify(user, "r2")
        pushcast.until(pushcast.accepted(user, "r2"), f"{user} gets it beside the odd ones")
    pushcast.until(lambda: all(pushcast.receipts(user) for user in odd), "the odd ones end")
    for user in odd:
        [row] = pushcast.receipts(user).values()
        assert row["outcome"] != "accepted"
        assert row["attempts"] <= MOST_ATTEMPTS
    assert "breaker/news/fcm" not in pushcast.opened()


@pytest.mark.timeout(300)
def test_r3_an_alert_token_that_refuses_a_voip_push_gets_the_next_alert(pushcast: Pushcast) -> None:
    token = "a3" * 32
    pushcast.register("r3", "apns", token)
    rule = {"match": {"token": token}, "effect": "reason:DeviceTokenNotForTopic", "times": 1}
    pushcast.world.simulators["apns"].control("/rules", [rule], "PUT")
    try:
        pushcast.notify("r3", "call", options={"push_type": "voip"})
        pushcast.until(lambda: bool(pushcast.receipts("r3")), "the call ends")
        [row] = pushcast.receipts("r3").values()
        assert (row["outcome"], row["reason"]) == ("rejected", "token_not_for_push_type")
        pushcast.notify("r3", "alert")
        pushcast.until(pushcast.accepted("r3", "alert"), "the alert arrives")
    finally:
        pushcast.world.simulators["apns"].control("/rules", [], "PUT")
    assert pushcast.states()["r3", "d"] == "active"


@pytest.mark.timeout(300)
def test_5_2_one_users_old_tokens_are_cleaned_up_and_hold_nobody_else_up(pushcast: Pushcast) -> None:
    devices = [f"install-{number}" for number in range(10, 10 + OLD_TOKENS)]
    for number, device in enumerate(devices):
        pushcast.register("anna", "apns", f"dead0410{number:056d}", device)
    others = [f"ben-{number}" for number in range(10)]
    for number, user in enumerate(others):
        pushcast.register(user, "apns", f"{number:02d}" * 32)
    for number in range(3):
        pushcast.notify("anna", f"hi-{number}")
        for user in others:
            pushcast.notify(user, f"hello-{number}")
            pushcast.until(pushcast.accepted(user, f"hello-{number}"), f"{user} gets hello-{number}")
    pushcast.until(
        lambda: all(pushcast.states()["anna", device] == "suspended" for device in devices), "anna's rows are suspended"
    )
    assert "breaker/news/apns" not in pushcast.opened()


@pytest.mark.timeout(300)
def test_5_3_a_404_without_a_word_for_one_token_holds_no_other_up_and_ends(pushcast: Pushcast) -> None:
    dead, good = fcm("deadx:APA91b"), fcm("goodx:APA91b")
    pushcast.register("dead", "fcm", dead)
    pushcast.register("good", "fcm", good)
    rule = {"match": {"token": dead}, "effect": "html:404"}
    pushcast.world.simulators["fcm"].control("/rules", [rule], "PUT")
    try:
        pushcast.notify("dead", "lost")
        number, began = 0, time.monotonic()
        while not pushcast.receipts("dead"):
            assert time.monotonic() - began < DEADLINE_SECONDS, "the dead delivery does not end"
            pushcast.notify("good", f"good-{number}")
            pushcast.until(pushcast.accepted("good", f"good-{number}"), f"good-{number} arrives meanwhile")
            number += 1
    finally:
        pushcast.world.simulators["fcm"].control("/rules", [], "PUT")
    [row] = pushcast.receipts("dead").values()
    assert row["outcome"] != "accepted"
    assert row["attempts"] <= MOST_ATTEMPTS
    assert number > 0
    assert "breaker/news/fcm" not in pushcast.opened()
