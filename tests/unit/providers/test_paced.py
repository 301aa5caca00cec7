"""How parts are cut to the pieces that a pace grants, and what a pace grants to those who may not send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.clock import ManualClock
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.client import Setup
from pushcast.providers.paced import first_of
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, Part, Result
from twins.steady import Steady
from unit.providers.messages import message
from unit.providers.test_memory import NoCredential

MESSAGES = [message() for _ in range(8)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.data())
def test_every_target_leaves_once_in_its_order_and_pieces_are_as_large_as_granted(
    sizes: list[int], data: st.DataObject
) -> None:
    parts = [Part(MESSAGES[number], range(size), lambda _: None) for number, size in enumerate(sizes)]
    rest = iter(parts)
    left, cut = sum(sizes), None
    gone: list[tuple[int, int]] = []
    while left:
        granted = data.draw(st.integers(1, left))
        pieces, cut = first_of(granted, cut, rest)
        assert sum(len(piece.indices) for piece in pieces) == granted
        gone += [(id(piece.message), index) for piece in pieces for index in piece.indices]
        left -= granted
    assert cut is None
    assert next(rest, None) is None
    assert gone == [(id(MESSAGES[number]), index) for number, size in enumerate(sizes) for index in range(size)]


class SilentEngine(Steady):
    """Is asked for nothing in these tests."""

    async def start(self) -> None:
        return

    async def exchange(self, *_: object) -> None:
        raise AssertionError("something left")

    def replace_connections(self, opened_before: float) -> None:
        return

    async def close(self) -> None:
        return


async def test_who_may_not_send_ends_its_wait_for_the_pace_and_gives_its_turn_back() -> None:
    clock = ManualClock()
    pace = Pace(60_000, ramp_seconds=0, now_seconds=clock.monotonic_seconds())
    setup = Setup("news", "multicast", SilentEngine(), NoCredential(), 10.0, clock, pace=pace)
    provider = ApnsProvider(setup, topic="t", authority=b"push.example")
    first, second = message([b"ab" * 32] * 70), message([b"ab" * 32] * 250)
    results: list[list[Result]] = [[], []]
    parts = [Part(first, range(70), results[0].extend), Part(second, range(250), results[1].extend)]
    await provider.send_many(parts, lambda: False)
    for part, found in zip(parts, results, strict=True):
        assert sorted(result.target for result in found) == list(part.indices)
        assert {(result.disposition, result.reason) for result in found} == {(Disposition.UNSENT, "not_sent_in_time")}
    assert pace.take(100, clock.monotonic_seconds()) == (100, 0.0)
