"""Every provider and engine asks before it writes: what waited in it leaves no more once the caller may not send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.expo_webpush_lab import Lab as OtherLab
from contract.expo_webpush_lab import expo_tokens, lab_of
from contract.provider_lab import ENGINES, Lab, lab_with, outcomes, provider_for
from pushcast.model.batch import Message
from pushcast.providers.port import ManyAtOnce, Part, Provider, Result
from pushcast.simulators import start

HELD_BACK = ("unsent", "not_sent_in_time")


@pytest.fixture(params=ENGINES, ids=lambda pair: "/".join(pair))
async def lab(request: pytest.FixtureRequest, work_dir: Path) -> AsyncIterator[Lab]:
    platform, engine = request.param
    async with lab_with(platform, engine, work_dir) as lab:
        yield lab


@pytest.fixture
async def webpush(work_dir: Path) -> AsyncIterator[OtherLab]:
    async with lab_of("webpush", work_dir) as lab:
        yield lab


@pytest.fixture
async def expo(work_dir: Path) -> AsyncIterator[OtherLab]:
    async with lab_of("expo", work_dir) as lab:
        yield lab


async def sent(provider: Provider, batch: Message, may_leave: Callable[[], bool]) -> list[Result]:
    results: list[Result] = []
    await provider.send(batch, range(len(batch.targets)), results.extend, may_leave)
    assert sorted(result.target for result in results) == list(range(len(batch.targets)))
    return results


def never() -> bool:
    return False


async def test_nothing_of_what_may_not_leave_is_sent_and_a_later_try_is(lab: Lab) -> None:
    batch = lab.message(lab.tokens("good", 40))
    assert outcomes(await sent(lab.provider, batch, never)) == {HELD_BACK: 40}
    assert lab.accepted == 0
    assert outcomes(await lab.send_message(batch)) == {("accepted", None): 40}
    assert (lab.accepted, lab.duplicates) == (40, 0)


async def test_what_waited_for_a_stream_stays_and_what_is_out_is_answered(lab: Lab) -> None:
    # A new connection to APNs has one stream, one to FCM a hundred.
    results = await sent(lab.provider, lab.message(lab.tokens("good", 150)), lambda: lab.accepted == 0)
    found = outcomes(results)
    assert set(found) == {("accepted", None), HELD_BACK}
    assert found["accepted", None] == lab.accepted <= 100


async def test_one_that_may_not_send_holds_up_no_other(lab: Lab) -> None:
    assert isinstance(lab.provider, ManyAtOnce)
    results: list[Result] = []
    mine, theirs = (lab.message(lab.tokens("good", 3)) for _ in range(2))
    stays = lab.provider.send_many([Part(mine, range(3), results.extend)], never)
    _, others = await asyncio.gather(stays, lab.send_message(theirs))
    assert outcomes(results) == {HELD_BACK: 3}
    assert outcomes(others) == {("accepted", None): 3}


async def test_what_waits_for_the_pace_stays_and_its_turn_is_given_back(tmp_path: Path) -> None:
    async with start("fcm", work_dir=tmp_path) as simulator:
        # Two hundred a second: the last of these waits for more than seven seconds.
        provider = provider_for(simulator, "multicast", quota_per_minute=12_000, ramp_up_seconds=0)
        lab = Lab("fcm", "multicast", simulator, provider)
        await provider.start()
        await lab.send(lab.tokens("good", 1))
        asked: list[bool] = []

        def may_leave() -> bool:
            asked.append(lab.accepted == 1)
            return asked[-1]

        found = outcomes(await sent(provider, lab.message(lab.tokens("good", 1_500)), may_leave))
        assert found == {("accepted", None): lab.accepted - 1, HELD_BACK: 1_501 - lab.accepted}
        assert 1 < lab.accepted < 1_501
        assert len(asked) < 200, "asked for each target"
        await provider.close()


async def test_web_push_asks_too(webpush: OtherLab) -> None:
    batch = webpush.message([webpush.subscription() for _ in range(5)])
    assert outcomes(await sent(webpush.provider, batch, never)) == {HELD_BACK: 5}
    assert webpush.stats["requests"] == 0
    assert outcomes(await webpush.send_message(batch)) == {("accepted", None): 5}


async def test_expo_asks_before_each_request(expo: OtherLab) -> None:
    # A hundred leave at once, and the others wait for their turn.
    results = await sent(expo.provider, expo.message(expo_tokens(150)), lambda: expo.stats["requests"] == 0)
    assert outcomes(results) == {("accepted", None): 100, HELD_BACK: 50}
    assert expo.stats["requests"] == 1


async def test_expo_asks_just_before_it_writes_however_long_the_connection_took(expo: OtherLab) -> None:
    answers = iter((True, False))
    mine, theirs = (expo.message(expo_tokens(3)) for _ in range(2))
    stays, goes = await asyncio.gather(sent(expo.provider, mine, lambda: next(answers)), expo.send_message(theirs))
    assert outcomes(stays) == {HELD_BACK: 3}
    assert outcomes(goes) == {("accepted", None): 3}
    assert (expo.stats["requests"], expo.stats["accepted"]) == (1, 3)


async def test_expo_sends_what_others_may_send_in_the_same_request(expo: OtherLab) -> None:
    mine, theirs = (expo.message(expo_tokens(3)) for _ in range(2))
    stays, goes = await asyncio.gather(sent(expo.provider, mine, never), expo.send_message(theirs))
    assert outcomes(stays) == {HELD_BACK: 3}
    assert outcomes(goes) == {("accepted", None): 3}
    assert (expo.stats["requests"], expo.stats["accepted"]) == (1, 3)


async def test_expo_asks_again_for_the_parts_of_a_request(expo: OtherLab) -> None:
    """Tokens of two projects in one request are refused, and sent again project by project."""
    batch = expo.message([*expo_tokens(2), *expo_tokens(1, "other-project-")])
    results = await sent(expo.provider, batch, lambda: expo.stats["requests"] < 2)
    assert outcomes(results) == {("accepted", None): 2, HELD_BACK: 1}
    assert expo.stats["requests"] == 2
