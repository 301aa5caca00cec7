"""The process under test of `bench send`, with a provider that tests answer for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pushcast.bench.messages import messages
from pushcast.bench.sender import Load, Run, measure, portions
from pushcast.http2.leave import MayLeave, always
from pushcast.model.batch import Message
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, OnResults, Result
from twins.steady import Steady


class FakeProvider(Steady):
    """Accepts everything, a turn of the loop later; remembers the most that was open at once."""

    app = "news"
    platform = Platform.APNS
    engine = "multicast"

    def __init__(self) -> None:
        self.open = self.most_open = self.sent = 0
        self.state = "new"

    async def start(self) -> None:
        self.state = "started"

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        self.open += len(indices)
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0)
        self.open -= len(indices)
        self.sent += len(indices)
        on_results([Result(index, Disposition.ACCEPTED) for index in indices])

    async def close(self) -> None:
        self.state = "closed"


def parts(targets: int, per_message: int) -> list[Message]:
    return list(messages(Platform.APNS, targets, per_message, body_chars=10, now_ms=0))


@pytest.mark.parametrize("items", [1, 3, 4, 5, 8, 21])
def test_portions_have_as_many_targets_as_asked_for(items: int) -> None:
    portioned = list(portions(parts(8, 4), items))
    assert sum(len(part.targets) for part in portioned) == items
    assert all(len(part.targets) == 4 for part in portioned[:-1])


async def test_no_more_targets_are_open_than_the_bound() -> None:
    provider = FakeProvider()
    run = Run(provider, 100)
    await run.send(portions(parts(400, 40), 1000))
    assert (provider.sent, provider.most_open) == (1000, 80)


async def test_a_message_larger_than_the_bound_goes_alone() -> None:
    provider = FakeProvider()
    await Run(provider, 10).send(portions(parts(80, 40), 80))
    assert (provider.sent, provider.most_open) == (80, 40)


async def test_results_are_counted_by_disposition_and_reason() -> None:
    class Refusing(FakeProvider):
        async def send(
            self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
        ) -> None:
            first, *rest = indices
            on_results([Result(first, Disposition.INVALID, "device_unregistered")])
            on_results([Result(index, Disposition.ACCEPTED) for index in rest])

    run = Run(Refusing(), 100)
    await run.send(parts(8, 4))
    assert run.shown() == {"accepted": 6, "invalid:device_unregistered": 2}


async def test_the_warm_up_is_reported_apart_and_ends_before_the_measured_part() -> None:
    provider = FakeProvider()
    sent_at_go: list[int] = []

    async def go_on() -> None:
        sent_at_go.append(provider.sent)

    asked = Load("news", Platform.APNS, 50, 20, 10, 30, 40, 1000)
    report = await measure(asked, provider, go_on)
    assert sent_at_go == [20]
    assert (report.warm_up_results, report.results) == ({"accepted": 20}, {"accepted": 50})
    assert (provider.sent, provider.state) == (asked.total, "closed")
    assert report.cpu_seconds > 0
    assert report.seconds > 0
    assert report.rss_bytes > 1_000_000
    assert report.handed_over_at_seconds <= report.first_result_at_seconds
