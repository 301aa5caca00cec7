"""Frequency caps on a twin of Kafka: facts K1, K2, K3, K8 of reference/time.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.caps import CapRule
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.answers.counted import Counted, encode_counted
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES, PASSED
from twins.kafka import Produced
from twins.keep import PARTITION, T0, USERS, Keeper, KeepWorld

ANN, BOB = USERS[:2]
HOUR = 3_600.0
DAY_MS = 86_400_000
THREE = CapRule("three", 3, window_ms=DAY_MS)


class Capped(KeepWorld):
    """Planners ask for notifications; a keeper lets three a day go."""

    def __init__(self, *rules: CapRule) -> None:
        super().__init__()
        self.caps = list(rules)

    async def start(self) -> Keeper:
        self.keeper = await self.take_over()
        return self.keeper

    async def ask(self, *note_ids: str, **options: Any) -> None:
        for note_id in note_ids:
            self.limit(note_id, **options)
        await self.settle()

    def tell(self, counted: Counted) -> None:
        """A planner or a sender."""
        self.log.append(Produced(topics.COUNTED, PARTITION, encode_counted(counted), ANN.encode(), [], T0))

    async def wait(self, hours: float) -> None:
        self.clock.advance(hours * HOUR)
        await self.keeper.pass_time(hours * HOUR)
        await self.settle()

    async def settle(self) -> None:
        await self.keeper.feed()
        for _ in range(4):
            await self.keeper.quiet()
            await self.keeper.pass_time(0)

    def let_go(self) -> list[str]:
        """What may be sent."""
        return [json.loads(each.value() or b"")["id"] for each in self.due() if not first(each.headers(), CLOSES)]

    def ended(self) -> dict[str, str]:
        """How the rest ended."""
        return {
            json.loads(each.value() or b"")["id"]: (first(each.headers(), CLOSES) or b"").decode()
            for each in self.due()
            if first(each.headers(), CLOSES)
        }


async def test_k1_the_fourth_of_a_day_ends_and_a_slot_is_free_to_the_millisecond() -> None:
    world = Capped(THREE)
    await world.start()
    await world.wait(9)
    for name in ("n9", "n13", "n17"):
        await world.ask(name)
        await world.wait(4)
    await world.wait(12 - 0.001 / 3600)  # 08:59:59.999
    await world.ask("late")
    await world.wait(0.001 / 3600)
    await world.ask("free")
    assert world.let_go() == ["n9", "n13", "n17", "free"]
    assert world.ended() == {"late": "frequency_cap"}
    assert all(first(each.headers(), PASSED) == b"frequency_cap" for each in world.due()[:3])


async def test_k2_of_six_on_three_lanes_three_leave_whoever_is_killed() -> None:
    world = Capped(THREE)
    keeper = await world.start()
    for number in range(6):
        world.limit(f"n{number}", lane=list(Lane)[number % 3])
    await keeper.feed()
    keeper.table.tail()
    await keeper.outbox.acknowledge_all()
    keeper.table.tail()
    await keeper.pass_time(0)  # slots are put
    keeper.die()
    await world.start()
    await world.settle()
    assert len(world.let_go()) == 3
    assert list(world.ended().values()) == ["frequency_cap"] * 3


async def test_of_what_comes_at_once_the_first_leave() -> None:
    world = Capped(THREE)
    await world.start()
    await world.ask("z", "y", "x", "b", "a")
    assert world.let_go() == ["z", "y", "x"]


async def test_each_user_has_slots_of_their_own() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS))
    await world.start()
    await world.ask("n1")
    await world.ask("n2", user=BOB)
    assert world.let_go() == ["n1", "n2"]


@pytest.mark.parametrize(("lives_hours", "ends"), [(24, None), (1, "expired/frequency_cap")])
async def test_k8_on_exceed_hold_waits_until_a_slot_is_free_unless_it_expires_before(
    lives_hours: float, ends: str | None
) -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS, on_exceed="hold"))
    await world.start()
    await world.wait(9)
    await world.ask("first")
    await world.wait(9)
    await world.ask("second", expires_at=round(T0 + (18 + lives_hours) * 3_600_000))
    if ends is not None:
        assert world.ended() == {"second": ends}
        return
    await world.wait(15 - 0.001 / 3600)
    assert world.let_go() == ["first"]
    await world.wait(0.001 / 3600)
    assert world.let_go() == ["first", "second"]


async def test_on_exceed_digest_gathers_what_is_too_much_until_a_slot_is_free() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS, on_exceed="digest"))
    await world.start()
    await world.ask("n1", expires_at=T0 + 3 * DAY_MS)
    await world.ask("n2", "n3", "n4", expires_at=T0 + 3 * DAY_MS)
    assert world.let_go() == ["n1"]
    await world.wait(24)
    [first_one, digest] = world.let_go()
    assert (first_one, digest.partition(":")[0]) == ("n1", "digest")
    assert world.ended() == {"n2": "digested", "n3": "digested", "n4": "digested"}
    await world.ask(digest, part=1, expires_at=T0 + 3 * DAY_MS)  # the planner asks for the digest itself
    assert world.let_go() == ["n1", digest, digest]


async def test_a_digest_that_is_one_too_many_waits_for_itself_and_joins_no_other() -> None:
    """The other one named it in its `digest_ids`, which no app knows, and counted all of its members as one."""
    world = Capped(CapRule("one", 1, window_ms=DAY_MS, on_exceed="digest"))
    await world.start()
    await world.ask("n1", "n2", "digest:1", "n3", expires_at=T0 + 4 * DAY_MS)
    await world.wait(24)
    assert world.ended() == {"n2": "digested", "n3": "digested"}
    assert "digest:1" in world.let_go()


async def test_one_too_many_alone_leaves_as_itself_when_a_slot_is_free() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS, on_exceed="digest"))
    await world.start()
    await world.ask("n1", "n2", expires_at=T0 + 3 * DAY_MS)
    await world.wait(24)
    assert world.let_go() == ["n1", "n2"]
    assert world.ended() == {}


async def test_what_was_called_off_takes_no_slot() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS))
    await world.start()
    world.cancel("n1")
    await world.ask("n1", "n2")
    assert world.let_go() == ["n2"]


async def test_a_user_without_traffic_costs_nothing_and_slots_leave_when_no_rule_needs_them() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS))
    await world.start()
    for _ in range(5):
        await world.ask(f"n{len(world.let_go())}", expires_at=T0 + 30 * DAY_MS)
        await world.wait(24)
    assert len(world.let_go()) == 5
    [row] = [value for key, value in world.keeper.table.rows.items() if b"\0n\0" in key]
    assert len(row) < 100


async def test_k3_a_slot_comes_back_when_the_only_delivery_had_an_invalid_token() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS))
    keeper = await world.start()
    await world.ask("n1", "n2")
    assert world.ended() == {"n2": "frequency_cap"}
    for counted in (planned("n1", 1), ended("n1", accepted=False), ended("n1", accepted=False)):
        world.tell(counted)
    await world.settle()
    await world.ask("n3")
    assert world.let_go() == ["n1", "n3"]
    assert keeper.counters["given_back", ""] == 1


async def test_ii12_a_slot_without_word_ten_minutes_after_its_expiry_is_kept_and_counted() -> None:
    world = Capped(THREE)
    keeper = await world.start()
    await world.ask("n1", expires_at=T0 + 60_000)
    await world.ask("n2", expires_at=T0 + DAY_MS)
    await world.wait((660_000 + 1) / 3_600_000)
    assert keeper.counters["unconfirmed", ""] == 0, "nobody has written the user's slots since"
    await world.ask("n3")
    assert keeper.counters["unconfirmed", ""] == 1, "the other one may still be heard of"
    for counted in (planned("n1", 1), ended("n1", accepted=False)):
        world.tell(counted)
    await world.settle()
    await world.ask("n4")
    assert world.ended() == {"n4": "frequency_cap"}, "it is not given back"
    assert keeper.counters["unconfirmed", ""] == 1


async def test_k2_what_ignores_caps_counts_when_it_was_accepted() -> None:
    world = Capped(CapRule("one", 1, window_ms=DAY_MS))
    await world.start()
    world.tell(ended("urgent", accepted=True))
    await world.settle()
    await world.ask("n1")
    assert world.ended() == {"n1": "frequency_cap"}


async def test_a_word_that_is_none_is_a_dead_letter() -> None:
    world = Capped(THREE)
    await world.start()
    world.log.append(Produced(topics.COUNTED, PARTITION, b"{}", ANN.encode(), [], T0))
    await world.settle()
    assert [each.topic for each in world.log if each.topic.endswith(".dlq")] == ["push.counted.v1.dlq"]


def planned(note_id: str, deliveries: int) -> Counted:
    return Counted(note_id, "news", "promo", bytes(8), T0, planned=deliveries)


def ended(note_id: str, *, accepted: bool) -> Counted:
    return Counted(note_id, "news", "promo", bytes(8), T0, accepted=accepted)
