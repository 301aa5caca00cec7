"""What is read meanwhile does not leave: fact P2 of reference/time.md, at the keeper."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.keep import rows
from pushcast.wire.events.threads import Thread, ThreadReader
from pushcast.wire.headers import first
from pushcast.wire.schemas import avro_type
from pushcast.wire.waiting.held import CLOSES, released_of
from pushcast.wire.waiting.timers import Timer, readable
from twins.keep import T0, USERS, Keeper, KeepWorld, keeper_of

ANN, BOB = USERS[:2]


async def read(keeper: Keeper, **fields: Any) -> None:
    keeper.world.engage("read", **fields)
    await keeper.feed()
    await keeper.quiet()


def ends(world: KeepWorld) -> list[tuple[bytes | None, str]]:
    """User and how it ended of everything that was let go; empty: it is sent."""
    return [(each.produced.key, (first(each.headers(), CLOSES) or b"").decode()) for each in world.due()]


def event(**fields: Any) -> bytes:
    options = {"thread_id": "t1"}
    return json.dumps({"id": "n", "app": "news", "title": "t", "options": options} | fields).encode()


async def test_p2_what_is_read_before_its_time_ends_at_once_and_what_is_read_later_has_left() -> None:
    world = KeepWorld()
    world.hold("early", T0 + 60_000)
    world.hold("late", T0 + 60_000)
    keeper = await keeper_of(world)
    await keeper.pass_time(59.9)
    await read(keeper, ids=["early"])
    assert ends(world) == [(ANN.encode(), "read")]
    await keeper.pass_time(0.2)
    await keeper.quiet()
    await read(keeper, ids=["late"])
    await keeper.pass_time(60)
    await keeper.quiet()
    assert ends(world) == [(ANN.encode(), "read"), (ANN.encode(), "")]
    assert keeper.counters["closed", "read"] == 1


@pytest.mark.parametrize("named", [{"ids": ["n9"]}, {"thread": "t1", "app": "news"}])
async def test_what_a_user_got_before_costs_nothing_when_more_is_read(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, Any]
) -> None:
    """A day's notifications of a user are remembered: each event about one of them decoded them all."""
    world = KeepWorld()
    for number in range(10):
        world.hold(f"n{number}", T0 + (60_000 if number == 9 else 1_000), event=event(id=f"n{number}"))
    keeper = await keeper_of(world)
    await keeper.pass_time(2)
    await keeper.quiet()
    assert len(ends(world)) == 9
    seen: list[bytes] = []

    def counted(value: bytes) -> Timer | None:
        seen.append(value)
        return readable(value)

    monkeypatch.setattr(rows, "readable", counted)
    world.engage("read", **named)
    await keeper.feed()
    assert len(set(seen)) == 1
    assert b'"id": "n9"' in seen[0], "the one that waits"


async def test_a_read_closes_by_a_word_that_planners_make_a_receipt_of() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    keeper = await keeper_of(world)
    await read(keeper, ids=["n"])
    closing = released_of(world.due()[0].headers()).closes
    assert closing is not None
    assert (closing.outcome, closing.reason) == ("suppressed", "read")


async def test_what_was_read_before_it_is_held_is_known_for_a_day() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    await read(keeper, ids=["n"])
    world.hold("n", T0)
    await keeper.feed()
    await keeper.quiet()
    assert ends(world) == [(ANN.encode(), "read")]


@pytest.mark.parametrize(
    ("held", "ended"),
    [
        (event(created_at=T0 - 1), "read"),
        (event(created_at=T0), "read"),
        (event(created_at=T0 + 1), ""),
        (event(), "read"),  # its record's time counts
        (event(app="chat"), ""),
        (event(app=None), ""),
        (event(options={"thread_id": "t2"}), ""),
        (event(options=None), ""),
        (b"?", ""),
    ],
)
async def test_reading_a_thread_ends_what_was_created_in_it_until_then(held: bytes, ended: str) -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000, event=held)
    keeper = await keeper_of(world)
    await read(keeper, app="news", thread="t1", up_to=T0)
    await keeper.pass_time(60)
    await keeper.quiet()
    assert ends(world) == [(ANN.encode(), ended)]


async def test_what_one_user_reads_is_another_ones_still_to_read() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    world.hold("n", T0 + 60_000, user=BOB)
    keeper = await keeper_of(world)
    await read(keeper, ids=["n"])
    await keeper.pass_time(60)
    await keeper.quiet()
    assert ends(world) == [(ANN.encode(), "read"), (BOB.encode(), "")]


async def test_a_keeper_that_dies_after_the_read_ends_it_once_all_the_same() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    keeper = await keeper_of(world)
    world.engage("read", ids=["n"])
    await keeper.feed()
    keeper.die()
    successor = await keeper_of(world)
    await successor.pass_time(60)
    await successor.quiet()
    assert ends(world) == [(ANN.encode(), "read")]


def test_the_thread_of_an_event_is_read_from_json_and_avro() -> None:
    reader = ThreadReader()
    datum = {"id": "n", "app": "news", "title": "t", "options": {"thread_id": "t1"}, "created_at": 5}
    assert reader.read(avro_type("notification").encode(datum)) == Thread("news", "t1", 5)
    assert reader.read(json.dumps(datum).encode()) == Thread("news", "t1", 5)
    assert reader.read(b'{"id": "n", "title": "t"}') is None
