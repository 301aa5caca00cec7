"""Credentials of APNs and FCM over hours and failures, against the simulators."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contract.provider_lab import Lab, outcomes, provider_for
from pushcast.model.clock import ManualClock
from pushcast.simulators import Simulator, start
from pushcast.simulators.certificates import client_certificate, identity


@pytest.fixture
async def apns(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with start("apns", work_dir=tmp_path, apps=2) as simulator:
        yield simulator


@pytest.fixture
async def fcm(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with start("fcm", work_dir=tmp_path) as simulator:
        yield simulator


def advance(clock: ManualClock, simulator: Simulator, seconds: float) -> None:
    clock.advance(seconds)
    simulator.clock.advance(seconds)


async def test_a_provider_token_is_changed_in_time_for_hours_by_two_processes_alike(apns: Simulator) -> None:
    apns.clock.set(1_800_000_000)
    apns.clock.freeze()
    clocks = [ManualClock(), ManualClock()]
    clocks[1].jump_wall(-30)  # its clock is behind
    labs = [Lab("apns", "multicast", apns, provider_for(apns, "multicast", clock=clock)) for clock in clocks]
    labs[1].sent = 1_000_000
    for lab in labs:
        await lab.provider.start()
    try:
        for _ in range(30):  # five hours
            for lab in labs:
                assert outcomes(await lab.send(lab.tokens("good", 3))) == {("accepted", None): 3}
            apns.clock.advance(600)
            for clock in clocks:
                clock.advance(600)
        tokens = {delivery["headers"]["authorization"] for delivery in apns.deliveries()}
        assert len(tokens) == apns.provider.stats()["provider_tokens_seen"]
        assert 7 <= len(tokens) <= 9
    finally:
        for lab in labs:
            await lab.provider.close()


async def test_o2_a_key_of_apns_that_is_replaced_on_disk_is_used_without_a_restart(apns: Simulator) -> None:
    clock = ManualClock()
    apns.clock.set(clock.now_ms() / 1000)
    apns.clock.freeze()
    good = Path(apns.credentials["key_file"])
    content = good.read_bytes()
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    good.write_bytes(other)
    lab = Lab("apns", "multicast", apns, provider_for(apns, "multicast", clock=clock))
    await lab.provider.start()
    assert outcomes(await lab.send(lab.tokens("good", 2))) == {("credential", "credential_refused"): 2}
    replacement = good.with_suffix(".new")
    replacement.write_bytes(content)
    os.replace(replacement, good)
    clock.advance(6)
    assert outcomes(await lab.send(lab.tokens("good", 2))) == {("accepted", None): 2}
    await lab.provider.close()


async def test_an_unrelated_key_on_a_connection_moves_to_another_one(apns: Simulator) -> None:
    apns.set_rules([{"effect": "reason:UnrelatedKeyIdInToken", "times": 1}])
    lab = Lab("apns", "multicast", apns, provider_for(apns, "multicast"))
    await lab.provider.start()
    assert outcomes(await lab.send(lab.tokens("good", 3))) == {("accepted", None): 3}
    assert apns.provider.opened_total == 2
    await lab.provider.close()


async def test_what_no_other_connection_mends_is_reported_after_one_more_try(apns: Simulator) -> None:
    apns.set_rules([{"effect": "reason:TooManyProviderTokenUpdates"}])
    lab = Lab("apns", "multicast", apns, provider_for(apns, "multicast"))
    await lab.provider.start()
    results = await lab.send(lab.tokens("good", 3))
    assert outcomes(results) == {("retry", "too_many_token_updates"): 3}
    assert results[0].retry_after_seconds == 60
    assert apns.provider.recorder.requests == 6
    await lab.provider.close()


async def test_access_tokens_are_fetched_ahead_of_time_and_never_missed(fcm: Simulator) -> None:
    clock = ManualClock()
    fcm.clock.set(clock.now_ms() / 1000)
    fcm.clock.freeze()
    lab = Lab("fcm", "multicast", fcm, provider_for(fcm, "multicast", clock=clock))
    await lab.provider.start()
    for _ in range(36):  # six hours
        assert outcomes(await lab.send(lab.tokens("good", 3))) == {("accepted", None): 3}
        advance(clock, fcm, 600)
        await lab.send(lab.tokens("good", 1))
        deadline_at = asyncio.get_running_loop().time() + 10
        while fcm.provider.recorder.events["token_requests"] < fcm.provider.stats()["access_tokens_issued"]:
            assert asyncio.get_running_loop().time() < deadline_at
            await asyncio.sleep(0.01)
    assert "401 UNAUTHENTICATED" not in fcm.provider.recorder.verdicts
    assert 6 <= fcm.provider.stats()["access_tokens_issued"] <= 8
    await lab.provider.close()


async def test_many_senders_wait_for_one_access_token(fcm: Simulator) -> None:
    lab = Lab("fcm", "multicast", fcm, provider_for(fcm, "multicast"))
    await lab.provider.start()
    batches = await asyncio.gather(*(lab.send(lab.tokens("good", 1)) for _ in range(50)))
    assert outcomes([result for batch in batches for result in batch]) == {("accepted", None): 50}
    assert fcm.provider.stats()["access_tokens_issued"] == 1
    await lab.provider.close()


async def test_a_token_endpoint_that_is_away_sends_nothing_and_is_asked_again_after_a_pause(fcm: Simulator) -> None:
    clock = ManualClock()
    fcm.clock.set(clock.now_ms() / 1000)
    lab = Lab("fcm", "multicast", fcm, provider_for(fcm, "multicast", clock=clock))
    await lab.provider.start()
    await fcm.set_state({"token_endpoint": "unavailable"})
    results = []
    for _ in range(5):
        results += await lab.send(lab.tokens("good", 3))
    assert outcomes(results) == {("unsent", "provider_unavailable"): 15}
    assert all(0 < (result.retry_after_seconds or 0) <= 1 for result in results)
    assert fcm.provider.recorder.events["token_requests"] == 1
    await fcm.set_state({"token_endpoint": "ok"})
    clock.advance(1.1)
    assert outcomes(await lab.send(lab.tokens("good", 3))) == {("accepted", None): 3}
    await lab.provider.close()


async def test_a_refused_service_account_is_a_credential_problem(fcm: Simulator) -> None:
    lab = Lab("fcm", "multicast", fcm, provider_for(fcm, "multicast"))
    await lab.provider.start()
    await fcm.set_state({"token_endpoint": "invalid_grant"})
    assert outcomes(await lab.send(lab.tokens("good", 3))) == {("credential", "credential_refused"): 3}
    assert fcm.provider.recorder.requests == 0
    await lab.provider.close()


@pytest.mark.parametrize("engine", ["multicast", "aioapns", "httpx"])
async def test_a_client_certificate_serves_instead_of_a_token(tmp_path: Path, engine: str) -> None:
    async with start("apns", work_dir=tmp_path, mtls=True) as simulator:
        topic = simulator.credentials["topic"]
        parts = client_certificate(identity(tmp_path), tmp_path, "news", topic)
        both = tmp_path / "both.pem"
        both.write_bytes(b"".join(part.read_bytes() for part in parts))
        none = {"key_file": None, "key_id": None, "team_id": None}
        lab = Lab("apns", engine, simulator, provider_for(simulator, engine, certificate_file=both, **none))
        await lab.provider.start()
        assert outcomes(await lab.send(lab.tokens("good", 20))) == {("accepted", None): 20}
        assert "authorization" not in simulator.deliveries()[0]["headers"]
        await lab.provider.close()
