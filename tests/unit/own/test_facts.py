"""Acceptance facts of ownership (audiences 34, 37, 41), over the real REGISTER and OWN on one Kafka twin."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from pushcast.model.ids import partition_of
from pushcast.stream.batch import TP
from pushcast.stream.tracker import Tracker
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_CLAIM, TOKEN_EVICT
from twins.kafka import OPEN, settled
from unit.own.twin import OwnHarness, own_kafka
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

TOKEN = "ab12" * 16
A, B = "user-1", "user-2"


class Pair:
    """A registrar and an owner of claims, which hand each other what they wrote."""

    def __init__(self) -> None:
        self.kafka = TwinKafka()
        self.registrar = Harness(self.kafka)
        self.owner = OwnHarness(own_kafka(log=self.kafka.log))

    async def change(self, user: str, at: int, op: str = "register", token: str = TOKEN, device: str = "d") -> None:
        """An event that happened at T0 + `at`."""
        event: dict[str, Any] = {"op": op, "app": "news", "device": device, "at": T0 + at}
        if op == "register":
            event |= {"platform": "apns", "token": token}
        home = partition_of(user.encode(), PARTITIONS)
        self.kafka.append(record(DEVICE_CHANGED, home, 0, user.encode(), orjson.dumps(event)))

    async def rest(self) -> None:
        """Until nobody has anything to do."""
        while any(
            [
                await self._follow(self.registrar, DEVICE_CHANGED, TOKEN_EVICT),
                await self._follow(self.owner, TOKEN_CLAIM),
            ]
        ):
            await settled()

    async def _follow(self, process: Harness | OwnHarness, *sources: str) -> bool:
        moved = False
        for source, partition in itertools.product(sources, range(PARTITIONS)):
            tracker = process.trackers.setdefault(TP(source, partition), Tracker(0, OPEN))
            records = self.kafka.log[source, partition][tracker.next_offset :]
            if records:
                await process.stage.handle(process.batch(records))
                moved = True
            process.kafka.tail(partition)
        await settled()
        return moved

    def devices(self) -> list[str]:
        """As `user/device`."""
        keys = [key.decode().split("\0") for user in (A, B) for key in self.registrar.row_values(user)]
        return [f"{user}/{device}" for user, _, device in keys]


@pytest.mark.parametrize("order", [((A, 1), (B, 2)), ((B, 2), (A, 1))])
async def test_fact_34_a_token_is_of_whoever_was_registered_with_it_last(order: tuple[tuple[str, int], ...]) -> None:
    pair = Pair()
    for user, at in order:
        await pair.change(user, at - 10)
        await pair.rest()
    assert pair.devices() == [f"{B}/d"]
    [marker] = pair.registrar.gone_rows(A).values()
    assert (marker.suspended_reason, marker.registered_at) == ("token_moved", T0 - 9)
    await pair.change(A, 3 - 10)
    await pair.rest()
    assert pair.devices() == [f"{A}/d"]


async def test_fact_34_a_phone_that_was_left_keeps_nobodys_token_for_a_registration_from_before() -> None:
    pair = Pair()
    await pair.change(A, -50)
    await pair.change(A, -40, "unregister")
    await pair.rest()
    await pair.change(B, -55)
    await pair.rest()
    assert pair.devices() == []


async def test_fact_41_the_same_user_with_a_new_device_id_and_the_same_token_has_one_row() -> None:
    pair = Pair()
    await pair.change(A, -20, device="before")
    await pair.change(A, -10, device="after")
    await pair.rest()
    assert pair.devices() == [f"{A}/after"]


async def test_a_device_with_a_new_token_keeps_it_when_its_former_one_moves() -> None:
    pair = Pair()
    await pair.change(A, -30)
    await pair.change(B, -20)
    await pair.change(A, -25, token="cd34" * 16)
    await pair.rest()
    assert sorted(pair.devices()) == [f"{A}/d", f"{B}/d"]


async def test_fact_37_a_registrar_that_is_killed_between_a_row_and_its_claim_leaves_one_owner() -> None:
    pair = Pair()
    await pair.change(A, -30)
    await pair.rest()
    await pair.change(B, -20)
    pair.kafka.acks = False
    await pair._follow(pair.registrar, DEVICE_CHANGED)
    pair.kafka.acknowledge(1)  # the row; its claim is lost
    heir = Pair()
    heir.kafka.log = pair.kafka.log
    heir.owner = OwnHarness(own_kafka(log=pair.kafka.log))
    for partition in range(PARTITIONS):
        heir.registrar.kafka.tail(partition)
        heir.owner.kafka.tail(partition)
        heir.registrar.trackers[TP(DEVICE_CHANGED, partition)] = Tracker(
            pair.registrar.committable(DEVICE_CHANGED, partition), OPEN
        )
    await heir.rest()
    assert heir.devices() == [f"{B}/d"]
