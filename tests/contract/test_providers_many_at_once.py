"""`send_many`: what `send` promises holds for every one of many messages that are handed over together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from contract.provider_lab import ENGINES, Lab, lab_with, outcomes, provider_for
from pushcast.model.batch import Message
from pushcast.providers.port import ManyAtOnce, Part, Result
from pushcast.simulators import start


class Heard:
    """The results of each of some messages."""

    def __init__(self, messages: list[Message]) -> None:
        self.results: list[list[Result]] = [[] for _ in messages]
        self.parts = [
            Part(message, range(len(message.targets)), results.extend)
            for message, results in zip(messages, self.results, strict=True)
        ]

    def complete(self) -> bool:
        return all(
            sorted(result.target for result in results) == list(part.indices)
            for part, results in zip(self.parts, self.results, strict=True)
        )


@pytest.fixture(params=ENGINES, ids=lambda pair: "/".join(pair))
async def lab(request: pytest.FixtureRequest, work_dir: Path) -> AsyncIterator[Lab]:
    platform, engine = request.param
    async with lab_with(platform, engine, work_dir) as lab:
        yield lab
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in others if "pushcast/providers" in str(task.get_coro())] == []


def provider_of(lab: Lab) -> ManyAtOnce:
    assert isinstance(lab.provider, ManyAtOnce)
    return lab.provider


async def test_each_message_hears_of_its_own_targets_once(lab: Lab) -> None:
    sizes = [1] * lab.scaled(400) + [3, 32, 33, lab.scaled(200)]
    heard = Heard([lab.message(lab.tokens("good", size), title=f"no. {n}") for n, size in enumerate(sizes)])
    await provider_of(lab).send_many(heard.parts)
    assert heard.complete()
    assert {result.disposition for results in heard.results for result in results} == {"accepted"}
    assert (lab.accepted, lab.duplicates) == (sum(sizes), 0)
    assert len({result.provider_id for results in heard.results for result in results}) == sum(sizes)


async def test_what_is_wrong_with_one_message_is_that_message_s_alone(lab: Lab) -> None:
    kinds = ["good", "dead", "unavailable", "malformed"]
    mixed = lab.message([token for kind in kinds for token in lab.tokens(kind, 1)])
    large = lab.message(lab.tokens("good", 2), body="x" * 6_000)
    high, low = (lab.message(lab.tokens("good", 2), priority=priority) for priority in ("high", "normal"))
    heard = Heard([mixed, large, high, low])
    await provider_of(lab).send_many(heard.parts)
    assert heard.complete()
    in_order = sorted(heard.results[0])
    assert [result.disposition for result in in_order] == ["accepted", "invalid", "retry", "invalid"]
    assert outcomes(heard.results[1]) == {("rejected", "payload_too_large"): 2}
    assert outcomes(heard.results[2]) == outcomes(heard.results[3]) == {("accepted", None): 2}
    assert lab.accepted == 5


async def test_an_expired_credential_costs_one_refresh_and_no_push(lab: Lab) -> None:
    first = Heard([lab.message(lab.tokens("good", 1))])
    await provider_of(lab).send_many(first.parts)
    lab.refuse_credential_once()
    heard = Heard([lab.message(lab.tokens("good", 2), title=f"no. {n}") for n in range(10)])
    await provider_of(lab).send_many(heard.parts)
    assert heard.complete()
    assert {result.disposition for results in heard.results for result in results} == {"accepted"}
    assert lab.accepted == 21


async def test_a_revoked_credential_is_said_to_every_message(lab: Lab) -> None:
    lab.revoke_credential()
    heard = Heard([lab.message(lab.tokens("good", 2), title=f"no. {n}") for n in range(3)])
    await provider_of(lab).send_many(heard.parts)
    assert heard.complete()
    assert [outcomes(results) for results in heard.results] == [{("credential", "credential_refused"): 2}] * 3


async def test_cancelling_ends_all_of_them_and_harms_no_other(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    heard = Heard([lab.message(lab.tokens("slow", 1), title=f"no. {n}") for n in range(10)])
    task = asyncio.create_task(provider_of(lab).send_many(heard.parts))
    other = asyncio.create_task(lab.send(lab.tokens("slow", 5)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes(await other) == {("accepted", None): 5}
    assert outcomes(await lab.send(lab.tokens("good", 5))) == {("accepted", None): 5}
    assert heard.results == [[]] * 10


async def test_a_paced_provider_cuts_them_as_it_likes_and_forgets_none(tmp_path: Path) -> None:
    async with start("fcm", work_dir=tmp_path) as simulator:
        # 200 a second, at most 20 at once.
        provider = provider_for(simulator, "multicast", quota_per_minute=12_000, ramp_up_seconds=0)
        lab = Lab("fcm", "multicast", simulator, provider)
        await provider.start()
        sizes = [1, 7, 30, 1, 1, 25, 2]
        messages = [lab.message(lab.tokens("good", size), title=f"no. {n}") for n, size in enumerate(sizes)]
        now = messages[3].targets.expires_at[0] - 3_600_000
        messages[3].created_at, messages[3].targets.expires_at = [now - 1_000], [now - 1]
        heard = Heard(messages)
        await cast("ManyAtOnce", provider).send_many(heard.parts)
        assert heard.complete()
        late = heard.results.pop(3)
        assert outcomes(late) == {("unsent", "not_sent_in_time"): 1}
        assert {result.disposition for results in heard.results for result in results} == {"accepted"}
        assert lab.accepted == sum(sizes) - 1
        await provider.close()
