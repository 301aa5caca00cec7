"""What the providers must survive, against the simulators: mass refusals, revoked keys, throttling, deaf servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from contract.provider_lab import ALL_AT_ONCE, Lab, outcomes, provider_for
from pushcast.model.clock import ManualClock
from pushcast.providers.client import TemplateProvider
from pushcast.providers.port import Result
from pushcast.simulators import Simulator, start


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("under-fire")


@pytest.fixture(params=["apns", "fcm"])
async def lab(request: pytest.FixtureRequest, work_dir: Path) -> AsyncIterator[Lab]:
    async with start(request.param, work_dir=work_dir / request.param) as simulator:
        provider = provider_for(simulator, "multicast", request_timeout_seconds=20.0, send=ALL_AT_ONCE)
        await provider.start()
        yield Lab(request.param, "multicast", simulator, provider)
        await provider.close()


def refuse_tokens(simulator: Simulator) -> None:
    """As when the tokens of another environment or project come to this one."""
    reason = "BadDeviceToken" if simulator.platform == "apns" else "SENDER_ID_MISMATCH"
    simulator.set_rules([{"effect": f"reason:{reason}"}])


async def test_tokens_refused_in_masses_are_a_configuration_error(lab: Lab) -> None:
    word = "token_refused" if lab.platform == "apns" else "token_of_other_project"
    refuse_tokens(lab.simulator)
    first = await lab.send(lab.tokens("good", 60))
    assert outcomes(first) == {("invalid", word): 60}
    more = [result for _ in range(20) for result in await lab.send(lab.tokens("good", 50))]
    counted = outcomes(more)
    assert set(counted) <= {("invalid", word), ("credential", "mass_invalid_tokens")}
    assert counted["credential", "mass_invalid_tokens"] >= 20 * 50 - 100
    lab.simulator.set_rules([])
    assert outcomes(await lab.send(lab.tokens("good", 150))) == {("accepted", None): 150}
    refuse_tokens(lab.simulator)
    assert outcomes(await lab.send(lab.tokens("good", 10))) == {("invalid", word): 10}


async def test_some_refused_tokens_among_good_ones_are_believed(lab: Lab) -> None:
    reason = "BadDeviceToken" if lab.platform == "apns" else "SENDER_ID_MISMATCH"
    lab.simulator.set_rules([{"effect": f"reason:{reason}", "probability": 0.2}])
    results = [result for _ in range(10) for result in await lab.send(lab.tokens("good", 100))]
    assert {disposition for disposition, _ in outcomes(results)} == {"accepted", "invalid"}


async def test_devices_that_are_gone_in_masses_are_believed(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("dead", 500))) == {("invalid", "device_unregistered"): 500}


async def test_a_revoked_key_of_one_app_leaves_the_others_alone(tmp_path: Path) -> None:
    async with start("apns", work_dir=tmp_path, apps=2) as simulator:
        ours, other = simulator.credentials["apps"].values()
        labs = []
        for number, app in enumerate((ours, other)):
            chosen = {name: app[name] for name in ("key_file", "key_id", "team_id", "topic")}
            lab = Lab(
                "apns", "multicast", simulator, provider_for(simulator, "multicast", **chosen), number * 1_000_000
            )
            await lab.provider.start()
            assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
            labs.append(lab)
        simulator.provider.set_state({"revoked_keys": [ours["key_id"]]})
        mine, others = await asyncio.gather(*(lab.send(lab.tokens("good", 50)) for lab in labs))
        assert outcomes(mine) == {("credential", "credential_refused"): 50}
        assert outcomes(others) == {("accepted", None): 50}
        for lab in labs:
            await lab.provider.close()


@pytest.mark.parametrize("retry_after", ["30", None])
async def test_429s_slow_the_rate_and_a_retry_after_holds_it(tmp_path: Path, retry_after: str | None) -> None:
    clock = ManualClock(int(time.time() * 1000))
    async with start("fcm", work_dir=tmp_path) as simulator:
        simulator.clock.set(clock.now_ms() / 1000)
        simulator.clock.freeze()
        provider = cast(
            TemplateProvider,
            provider_for(simulator, "multicast", clock=clock, quota_per_minute=600_000, ramp_up_seconds=0),
        )
        lab = Lab("fcm", "multicast", simulator, provider)
        await provider.start()
        pace = provider.pace
        assert pace is not None
        assert outcomes(await lab.send(lab.tokens("good", 50))) == {("accepted", None): 50}
        full = pace.rate
        await simulator.set_state({"quota": {"project_per_minute": 0, "retry_after": retry_after}})
        clock.advance(2)
        results = await lab.send(lab.tokens("good", 50))
        assert outcomes(results) == {("retry", "rate_limited"): 50}
        assert {result.retry_after_seconds for result in results} == {30.0 if retry_after else 60.0}
        assert pace.rate < full * 0.8
        await simulator.set_state({"quota": None})
        asked = simulator.provider.recorder.requests
        held = asyncio.create_task(lab.send(lab.tokens("good", 5)))
        await asyncio.sleep(0)
        assert pace.hold_seconds(clock.monotonic_seconds()) > 25
        assert simulator.provider.recorder.requests == asked
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        clock.advance(61)
        assert outcomes(await lab.send(lab.tokens("good", 5))) == {("accepted", None): 5}
        await provider.close()


async def test_a_paced_provider_sends_no_target_past_its_expiry(tmp_path: Path) -> None:
    async with start("fcm", work_dir=tmp_path) as simulator:
        # Ten a second: the last of these waits for more than half a second.
        provider = provider_for(simulator, "multicast", quota_per_minute=600, ramp_up_seconds=0)
        lab = Lab("fcm", "multicast", simulator, provider)
        await provider.start()
        batch = lab.message(lab.tokens("good", 8))
        now = batch.targets.expires_at[0] - 3_600_000
        batch.targets.expires_at = [now + 3_600_000] * 4 + [now + 50] * 4
        results = await lab.send_message(batch)
        assert outcomes(results[:4]) == {("accepted", None): 4}
        assert outcomes(results[4:]) == {("unsent", "not_sent_in_time"): 4}
        assert lab.accepted == 4
        await provider.close()


async def test_a_server_that_stops_reading_ends_in_time_and_costs_no_other_connection(work_dir: Path) -> None:
    async with start("apns", work_dir=work_dir / "deaf") as simulator:
        provider = provider_for(simulator, "multicast", request_timeout_seconds=1.0)
        lab = Lab("apns", "multicast", simulator, provider)
        await provider.start()
        assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
        await simulator.set_state({"frozen": True})
        # More than any buffer between us takes: some never leave, the others are never answered.
        batches = await asyncio.gather(*(lab.send(lab.tokens("good", 500), body="x" * 3_900) for _ in range(6)))
        dispositions = {result.disposition.value for batch in batches for result in batch}
        assert dispositions <= {"unknown", "unsent"}
        await simulator.set_state({"frozen": False})
        deadline_at = asyncio.get_running_loop().time() + 30
        while outcomes(await lab.send(lab.tokens("good", 5))) != {("accepted", None): 5}:
            assert asyncio.get_running_loop().time() < deadline_at
        await provider.close()


async def test_a_hundred_cancellations_in_flight_harm_no_other_request(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    await lab.simulator.set_state({"latency": 400})
    late: list[Result] = []
    doomed = [
        asyncio.create_task(lab.provider.send(lab.message(lab.tokens("good", 1)), [0], late.extend)) for _ in range(100)
    ]
    others = [asyncio.create_task(lab.send(lab.tokens("good", 1))) for _ in range(100)]
    deadline_at = asyncio.get_running_loop().time() + 20
    while lab.simulator.provider.recorder.requests < (201 if lab.platform == "apns" else 150):
        assert asyncio.get_running_loop().time() < deadline_at
        await asyncio.sleep(0.01)
    for task in doomed:
        task.cancel()
    ended = await asyncio.gather(*doomed, return_exceptions=True)
    cancelled = sum(isinstance(error, asyncio.CancelledError) for error in ended)
    assert cancelled + len(late) >= 100
    assert cancelled > 0
    results = [result for batch in await asyncio.gather(*others) for result in batch]
    assert outcomes(results) == {("accepted", None): 100}
    assert lab.duplicates == 0


@pytest.mark.slow
async def test_goaways_every_thousand_of_a_hundred_thousand_pushes_lose_and_double_nothing(work_dir: Path) -> None:
    pushes, size = 100_000, 1_000
    async with start("apns", work_dir=work_dir / "goaway", checks=False) as simulator:
        lab = Lab("apns", "multicast", simulator, provider_for(simulator, "multicast", request_timeout_seconds=14.0))
        await lab.provider.start()
        await simulator.set_state({"goaway": {"after_requests": 1_000}})
        accepted = unknown = 0
        for _ in range(pushes // size):
            counted = outcomes(await lab.send(lab.tokens("good", size)))
            accepted += counted["accepted", None]
            unknown += counted["unknown", "unknown_outcome"]
        assert accepted + unknown == pushes
        assert unknown <= 10
        assert lab.duplicates == 0
        assert accepted <= lab.accepted <= accepted + unknown
        assert simulator.provider.opened_total > pushes // size // 2
        await lab.provider.close()
