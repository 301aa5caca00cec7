"""A retry is asked for its user again, by a settler with a copy of the devices table: A0 of reference/time.md."""

from __future__ import annotations

import pytest

from flow.kafka_tools import read_all
from flow.one_process import one_process
from flow.test_reproductions import Pushcast
from pushcast.model.ids import partition_of, user_row_key
from pushcast.wire import topics

PARTITIONS = 2
USERS = {"ann": "c1" * 32, "ben": "d1" * 32}
RETRIABLE = "reason:InternalServerError"


class Choosing(Pushcast):
    """With users who change their minds."""

    def retries(self) -> int:
        return sum(len(read_all(self.kafka, topics.retry(delay), PARTITIONS)) for delay in ("10s", "1m"))

    def opt_out(self, user: str) -> None:
        self._write(topics.DEVICE_CHANGED, user, {"op": "prefer", "classes": {"default": "off"}})
        rows = partition_of(user.encode(), PARTITIONS), user_row_key(user)
        self.until(lambda: rows in self._rows(), f"{user} has chosen")

    def _rows(self) -> set[tuple[int, bytes]]:
        records = read_all(self.kafka, topics.DEVICE, PARTITIONS)
        return {(record.partition() or 0, record.key() or b"") for record in records}


@pytest.mark.timeout(300)
def test_a0_who_opts_out_while_a_retry_waits_gets_nothing_and_the_others_get_theirs() -> None:
    overrides = {
        "kafka": {"partitions": PARTITIONS},
        "retry": {"rungs_seconds": [30, 30, 30, 30]},
        # Two of two devices fail: without this the breaker opens, and their work is parked instead.
        "send": {"breaker": {"failure_share": 1.1}},
    }
    with one_process(platforms=("apns",), overrides=overrides) as (world, process):
        pushcast = Choosing(world, process)
        control = world.simulators["apns"].control
        for user in USERS:
            pushcast.register(user, "apns", USERS[user])
        refused = [{"match": {"provider": "apns", "token": token}, "effect": RETRIABLE} for token in USERS.values()]
        control("/rules", {"rules": refused}, "PUT")
        for user in USERS:
            pushcast.notify(user, "n")
        pushcast.until(lambda: pushcast.retries() >= len(USERS), "both wait on a rung, or did twice")
        pushcast.opt_out("ann")
        control("/rules", {"rules": []}, "PUT")
        pushcast.until(lambda: all(map(pushcast.receipts, USERS)), "both have ended")
        [ann], [ben] = pushcast.receipts("ann").values(), pushcast.receipts("ben").values()
        assert (ann["outcome"], ann["reason"]) == ("suppressed", "opted_out")
        assert ben["outcome"] == "accepted"
        assert min(ann["attempts"], ben["attempts"]) >= 1, "both were tried before"
        assert pushcast.opened() == [], "neither was parked"
