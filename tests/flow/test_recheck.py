"""What waits for a retry passes the gates again: A0 of reference/time.md."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Message

from flow.kafka_tools import read_all
from flow.one_process import one_process
from flow.test_reproductions import Pushcast
from pushcast.audit.reader import Books
from pushcast.kafka.headers import headers_of
from pushcast.model.ids import user_row_key
from pushcast.model.quiet import DAYS
from pushcast.settle.reads import RUNGS
from pushcast.wire import topics
from pushcast.wire.devices.user_rows import decode_user_row
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_of, time_of

PARTITIONS = 2
RUNG_SECONDS = 30
USERS = ("ann", "ben", "carl")
TOKENS = {user: f"{number:02d}" * 32 for number, user in enumerate(USERS)}
OVERRIDES = {
    "kafka": {"partitions": PARTITIONS},
    "retry": {"rungs_seconds": [RUNG_SECONDS] * 4},
    "park": {"pass_seconds": 1},
    "send": {"breaker": {"failure_share": 1.1}},  # never
    "keep": {"quiet_release_spread_seconds": 0},
    "classes": {"default": {"lane": "normal", "window_seconds": 0.05, "quiet": "hold"}},
}


class Wishing(Pushcast):
    """With users who change their minds while their push waits for a retry."""

    def fail_once(self) -> None:
        """The first request of each token gets a 503; each rule counts all requests of its token."""
        rules = [{"match": {"token": TOKENS[user]}, "effect": "fail:1:503"} for user in USERS]
        self.world.simulators["apns"].control("/rules", rules, "PUT")

    def requests(self, user: str) -> int:
        found: list[dict[str, Any]] = self.world.simulators["apns"].control("/rules")
        return int(found[USERS.index(user)]["seen"])

    def on_a_rung(self, user: str) -> list[int]:
        """When each retry of the user is due, milliseconds since the epoch."""
        return [time_of(headers_of(each)) or 0 for topic in RUNGS for each in self._of(topic, user)]

    def parked(self, user: str) -> list[Why | None]:
        return [parked_of(headers_of(each)).why for each in self._of(topics.PARKED, user)]

    def _of(self, topic: str, user: str) -> list[Message]:
        records = [each for each in read_all(self.kafka, topic, PARTITIONS) if each.value() is not None]
        batches = [(each, decode_batch(each.value() or b"")) for each in records]
        return [each for each, batch in batches if any(user in part.targets.user for part in batch.messages)]

    def prefer(self, user: str, **wishes: Any) -> None:
        """Returns when its row is in the devices topic."""
        before = self._wishes(user)
        self._write(topics.DEVICE_CHANGED, user, {"op": "prefer", **wishes})
        self.until(lambda: self._wishes(user) > before, f"{user} has chosen")

    def _wishes(self, user: str) -> int:
        """How often the user has chosen."""
        records = read_all(self.kafka, topics.DEVICE, PARTITIONS)
        values = [each.value() for each in records if each.key() == user_row_key(user)]
        return sum(decode_user_row(value).at is not None for value in values if value)


def quiet_now() -> list[dict[str, Any]]:
    """Quiet hours that began two hours ago and end in two hours."""
    now, two_hours = datetime.now(UTC), timedelta(hours=2)
    return [{"days": list(DAYS), "from": f"{now - two_hours:%H:%M}", "to": f"{now + two_hours:%H:%M}"}]


@pytest.mark.timeout(400)
def test_a0_an_opt_out_ends_a_waiting_retry_and_quiet_hours_hold_one() -> None:
    with one_process(platforms=("apns",), overrides=OVERRIDES) as (world, process):
        pushcast = Wishing(world, process)
        for user in USERS:
            pushcast.register(user, "apns", TOKENS[user])
        pushcast.fail_once()
        for user in USERS:
            pushcast.notify(user, "n")
        pushcast.until(lambda: all(map(pushcast.on_a_rung, USERS)), "every push waits on a rung")
        assert [pushcast.requests(user) for user in USERS] == [1, 1, 1]
        pushcast.prefer("ann", classes={"default": "off"})
        pushcast.prefer("carl", quiet_hours=quiet_now())
        first_due_at = min(due_at for user in USERS for due_at in pushcast.on_a_rung(user))
        assert time.time() * 1000 < first_due_at, "they have chosen while it waited"

        pushcast.until(lambda: bool(pushcast.receipts("ann")), "ann's push ends")
        [ann] = pushcast.receipts("ann").values()
        assert (ann["outcome"], ann["reason"], ann["attempts"]) == ("suppressed", "opted_out", 1)
        pushcast.until(pushcast.accepted("ben", "n"), "ben, who said nothing, gets his")
        [ben] = pushcast.receipts("ben").values()
        assert ben["attempts"] == 2

        pushcast.until(lambda: bool(pushcast.parked("carl")), "carl's push waits for the end of his quiet hours")
        assert set(pushcast.parked("carl")) == {Why.QUIET_HOURS}
        assert pushcast.receipts("carl") == {}
        assert [pushcast.requests(user) for user in USERS] == [1, 2, 1]

        pushcast.prefer("carl", quiet_hours=[])
        pushcast.until(pushcast.accepted("carl", "n"), "carl has ended them")
        [carl] = pushcast.receipts("carl").values()
        assert carl["attempts"] == 2
        assert [pushcast.requests(user) for user in USERS] == [1, 2, 2]
        assert pushcast.opened() == [], "no breaker had a hand in it"
        with Books(world.settings) as books:
            assert books.reckon(None).balanced
