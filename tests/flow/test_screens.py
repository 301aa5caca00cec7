"""What a phone shows in the end, on a running Pushcast: badges that count up and are put right (B1), and notifications
that are taken back (R1). Numbers 3 and 2 follow each other on the icon, and the screen is empty at last."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from flow.kafka_tools import produce
from flow.one_process import ROLES, one_process
from flow.test_reproductions import PARTITIONS, Pushcast
from pushcast.model.ids import partition_of
from pushcast.wire import topics

TOKEN = "b1" * 32


class Phone(Pushcast):
    """A Pushcast with one iPhone."""

    @property
    def screen(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.simulators["apns"].control(f"/screen?token={TOKEN}")
        return found

    def tell(self, topic: str, event: dict[str, Any]) -> None:
        key = b"ann"
        produce(self.kafka, topic, [(partition_of(key, PARTITIONS), key, orjson.dumps(event))])


@pytest.mark.timeout(300)
def test_b1_r1_the_number_on_the_icon_follows_what_is_read_and_the_screen_what_is_taken_back() -> None:
    keep = {"removal_wait_seconds": 1, "badge_wait_seconds": 1, "badges_per_hour": 60}
    overrides = {"kafka": {"partitions": PARTITIONS}, "keep": keep}
    with one_process((*ROLES, "keeper"), platforms=("apns",), overrides=overrides) as (world, process):
        phone = Phone(world, process)
        world.simulators["apns"].control("/devices", {"token": TOKEN, "online": True})
        phone.register("ann", "apns", TOKEN)
        for name in "abc":
            phone.notify("ann", name, options={"badge": "+1", "collapse_id": name})
        phone.until(lambda: phone.screen["badge"] == 3, "three count")
        phone.tell(topics.ENGAGEMENT, {"event": "read", "ids": ["b"], "app": "news"})
        phone.until(lambda: phone.screen["badge"] == 2, "the one that was read counts no more")
        assert len(phone.screen["shown"]) == 3, "the push for the number alone shows nothing"
        phone.tell(topics.CANCEL, {"ids": ["a", "b", "c"], "remove": True})
        phone.until(lambda: phone.screen["shown"] == [], "they are taken back")
        phone.until(lambda: phone.screen["badge"] == 0, "and count no more")
        found = phone.receipts("ann")
        assert {row["outcome"] for row in found.values()} == {"accepted"}
        assert {row["class"] for row in found.values()} == {"default", "badge", "remove"}
