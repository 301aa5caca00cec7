"""What was read before a keeper took the partition over: A6 of reference/time.md asks for a day of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pushcast.keep.read_back import AGAIN_SECONDS, MAX_RECORDS, EarlierEngagement, EarlierRecord, ReadBack
from pushcast.model.clock import ManualClock
from pushcast.model.marks import Marks, mark_of
from pushcast.wire.events.engagement import Engagement, Event, encode_engagement
from pushcast.wire.headers import first
from pushcast.wire.schemas import FRAME_BYTES, SchemaSource, avro_type
from pushcast.wire.waiting.held import CLOSES
from twins.keep import T0, Earlier, Keeper, KeepWorld, keeper_of, told


async def successor_of_one_who_heard(world: KeepWorld) -> Keeper:
    """Three reads, committed and gone."""
    keeper = await keeper_of(world)
    world.engage("read", ids=["a"])
    world.engage("read", app="news", thread="t1", up_to=T0 + 1000)
    world.engage("opened", ids=["b"])
    await told(keeper)
    await keeper.commit_now(keeper.partitions())
    keeper.die()
    return await keeper_of(world)


async def ends_of(world: KeepWorld, keeper: Keeper) -> dict[str, str]:
    """What becomes of four that come afterwards; empty: it is sent."""
    for name in ("a", "b", "c", "d"):
        thread = {"c": "t1", "d": "t2"}.get(name)
        fields = {"id": name, "app": "news", "title": "t", "options": {"thread_id": thread}, "created_at": T0}
        world.hold(name, T0, event=json.dumps(fields).encode())
    await told(keeper)
    return {
        json.loads(each.value() or b"")["id"]: (first(each.headers(), CLOSES) or b"").decode() for each in world.due()
    }


async def test_a6_a_keeper_knows_what_was_read_before_it_took_the_partition_over() -> None:
    world = KeepWorld()
    successor = await successor_of_one_who_heard(world)
    assert await ends_of(world, successor) == {"a": "read", "b": "", "c": "read", "d": ""}
    assert cast(Earlier, world.earlier).asked == 1, "once; the first keeper had no predecessor"


async def test_without_reading_it_once_more_it_would_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    world = KeepWorld()
    monkeypatch.setattr(world, "earlier", None)
    successor = await successor_of_one_who_heard(world)
    assert set((await ends_of(world, successor)).values()) == {""}


async def test_a_broker_that_is_away_is_asked_again() -> None:
    world = KeepWorld()
    cast(Earlier, world.earlier).failures = 1
    successor = await successor_of_one_who_heard(world)
    assert cast(Earlier, world.earlier).asked == 1
    await told(successor, AGAIN_SECONDS)
    assert (await ends_of(world, successor))["a"] == "read"


class Registry(SchemaSource):
    """Does not answer at first."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def prepare(self, values: Iterable[bytes | None]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("schema registry: ConnectError")
        self.known[7] = avro_type("engagement").parsed


async def test_a_registry_that_is_away_is_asked_again() -> None:
    """It ended the keeper: what was read in a frame of the registry, before it took the partition over."""
    at = Engagement(Event.READ, "ann", ("a",), None, None, None, None, None, T0)
    value = b"\0\0\0\0\7" + encode_engagement(at)[FRAME_BYTES:]

    class Told:
        async def read(self, *_: int) -> list[EarlierRecord]:
            return [EarlierRecord(b"ann", value, T0)]

    clock = ManualClock(T0)
    back = ReadBack(Told(), clock, lambda *_: pytest.fail("it ended"), schemas=Registry(1))
    tenure = SimpleNamespace(number=3, read_back_to=10, read_back_at=0.0, read=Marks())
    await back._work(cast(Any, tenure))
    assert (tenure.read_back_to, tenure.read_back_at) == (10, clock.monotonic_seconds() + AGAIN_SECONDS)
    await back._work(cast(Any, tenure))
    assert tenure.read_back_to == 0
    assert tenure.read.covers(mark_of("ann", "a"), T0)


async def test_what_is_no_engagement_is_passed_by() -> None:
    world = KeepWorld()
    world.engage("no such event")
    successor = await successor_of_one_who_heard(world)
    assert (await ends_of(world, successor))["a"] == "read"


class Log:
    """A topic of ten million records, of which a few are here."""

    def __init__(self, since: int) -> None:
        self._since = since
        self.span = (0, 0)

    async def since(self, spots: list[Any], at_ms: int) -> dict[Any, int]:
        return dict.fromkeys(spots, self._since)

    async def read(self, spans: Mapping[Any, tuple[int, int]], on_record: Callable[[Any], None]) -> None:
        [self.span] = spans.values()
        values = b'{"event": "read", "ids": ["a"]}', b'{"event": "opened", "ids": ["b"]}', b"\xc3\x01avro", None
        for value in values:
            on_record(SimpleNamespace(key=lambda: b"ann", value=lambda it=value: it, timestamp=lambda: (1, T0)))


@pytest.mark.parametrize(("since", "first"), [(9_999_000, 9_999_000), (5, 10_000_000 - MAX_RECORDS)])
async def test_of_the_last_day_the_newest_are_read_and_what_plainly_is_no_read_is_left_out(
    since: int, first: int
) -> None:
    log = Log(since)
    found = await EarlierEngagement(cast(Any, log)).read(3, T0, 10_000_000)
    assert log.span == (first, 10_000_000)
    assert [each.value for each in found] == [b'{"event": "read", "ids": ["a"]}', b"\xc3\x01avro"]
    assert {(each.key, each.written_at) for each in found} == {(b"ann", T0)}
