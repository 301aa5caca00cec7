"""Small messages go to a provider together when it takes them so; each ends by itself all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pushcast.http2.leave import MayLeave, always
from pushcast.model.batch import Message
from pushcast.model.notification import Options
from pushcast.providers.port import Disposition, Part
from pushcast.stream.batch import TP
from unit.send.twin import TOPIC, Harness, TwinProvider, failed, message, ok, send_batch


class TwinOfMany(TwinProvider):
    """Remembers how many messages came together. It takes no message with several contents."""

    takes_wordings = False

    def __init__(self, app: str = "news", **options: object) -> None:
        super().__init__(app, **options)  # type: ignore[arg-type]
        self.together: list[list[str]] = []  # first users
        self.askers: set[MayLeave] = set()  # whoever says whether messages may leave

    async def send_many(self, parts: Sequence[Part], may_leave: MayLeave = always) -> None:
        self.askers.add(may_leave)
        self.together.append([part.message.targets.user[part.indices[0]] for part in parts])
        await asyncio.gather(*(self.send(*part, may_leave) for part in parts))


def chat(count: int, first_user: int = 0, **options: object) -> list[Message]:
    return [
        message(name=f"n{user}", first_user=user, options=Options(**options))  # type: ignore[arg-type]
        for user in range(first_user, first_user + count)
    ]


async def test_messages_of_a_partition_leave_together_in_their_order() -> None:
    provider = TwinOfMany(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(*chat(3)), send_batch(*chat(2, 3)))
    assert provider.together == [["u0", "u1", "u2", "u3", "u4"]]
    assert set(harness.outbox.outcomes().values()) == {("accepted", None)}
    assert (harness.committable(), harness.budget.held) == (102, 0)


async def test_as_many_leave_together_as_the_budget_has_room_for_and_the_others_when_it_has_it_again() -> None:
    provider = TwinOfMany(accept=True)
    harness = Harness(provider, capacity=3, acks=False)
    await harness.feed(send_batch(*chat(2), message(2, name="two", first_user=2), *chat(1, 4)))
    assert provider.seen == ["u0", "u1"]  # the one of two waits for room for both
    assert harness.budget.held == 2
    harness.outbox.acknowledge()
    await harness.settle()
    assert provider.seen == ["u0", "u1", "u2", "u3", "u4"]
    harness.outbox.acknowledge()
    await harness.settle()
    assert (harness.committable(), harness.budget.held) == (101, 0)


async def test_a_small_message_that_the_budget_can_never_hold_whole_leaves_in_parts() -> None:
    provider = TwinOfMany(accept=True)
    harness = Harness(provider, capacity=3)
    await harness.feed(send_batch(message(8)))
    assert provider.seen == [f"u{number}" for number in range(8)]
    assert (harness.committable(), harness.budget.held) == (101, 0)


async def test_small_messages_of_an_app_do_not_use_up_what_is_left_for_another_one() -> None:
    news, shop = TwinOfMany("news", accept=True), TwinOfMany("shop", accept=True)
    harness = Harness(news, shop, capacity=4, acks=False)
    await harness.feed(send_batch(*chat(6), message(app="shop", first_user=7)))
    assert news.seen == ["u0", "u1"]
    assert shop.seen == ["u7"]


async def test_partitions_and_apps_leave_apart() -> None:
    news, shop = TwinOfMany("news", accept=True), TwinOfMany("shop", accept=True)
    harness = Harness(news, shop)
    three = harness.next_batch(send_batch(*chat(2), message(app="shop", first_user=7)))
    four = harness.next_batch(send_batch(*chat(2, 2)), partition=4)
    await harness.stage.handle(three)
    await harness.stage.handle(four)
    await harness.settle()
    assert news.together == [["u0", "u1"], ["u2", "u3"]]
    assert shop.together == [["u7"]]


async def test_what_leaves_in_one_turn_asks_the_same_so_that_engines_gather_it_across_partitions() -> None:
    provider = TwinOfMany(accept=True)
    harness = Harness(provider)
    batches = [harness.next_batch(send_batch(*chat(2, 2 * each)), partition=each) for each in (3, 4)]
    for batch in batches:
        await harness.stage.handle(batch)
    await harness.settle()
    assert len(provider.together) == 2
    assert len(provider.askers) == 1


async def test_one_that_fails_is_tried_again_by_itself() -> None:
    provider = TwinOfMany(script={"u1": [failed(Disposition.UNSENT), ok(0)]})
    harness = Harness(provider)
    await harness.feed(send_batch(*chat(3)))
    assert harness.fire() == 1
    await harness.settle()
    assert provider.together == [["u0", "u1", "u2"], ["u1"]]
    assert set(harness.outbox.outcomes().values()) == {("accepted", None)}
    assert harness.committable() == 101


async def test_a_partition_that_goes_away_ends_its_own_and_no_others() -> None:
    provider = TwinOfMany()
    harness = Harness(provider, quiesce_seconds=0.0)
    await harness.feed(send_batch(*chat(2)), partition=3)
    await harness.feed(send_batch(*chat(2, 2)), partition=4)
    await harness.stage.revoking({TP(TOPIC, 3)})
    await harness.settle()
    assert provider.cancelled == 2
    for call in provider.calls[2:]:
        call.answer(ok(0))
    await harness.settle()
    assert (harness.committable(3), harness.committable(4)) == (100, 101)
    assert harness.budget.held == 0


async def test_what_has_no_result_when_it_was_cancelled_by_someone_else_is_unknown() -> None:
    provider = TwinOfMany()
    harness = Harness(provider)
    await harness.feed(send_batch(*chat(2, at_most_once=True)))
    provider.calls[0].answer(ok(0))
    provider.calls[1].returned.cancel()
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("rejected", "unknown_outcome")}
    assert harness.committable() == 101
