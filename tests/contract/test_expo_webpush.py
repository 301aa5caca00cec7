"""Expo and Web Push against their simulators: what differs from the suite that APNs and FCM share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from contract.expo_webpush_lab import (
    Lab,
    expo_provider,
    expo_tokens,
    lab_of,
    webpush_provider,
)
from contract.provider_lab import outcomes
from pushcast.model.clock import ManualClock
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.port import Result


@pytest.fixture
async def webpush(work_dir: Path) -> AsyncIterator[Lab]:
    async with lab_of("webpush", work_dir) as lab:
        yield lab


@pytest.fixture
async def expo(work_dir: Path) -> AsyncIterator[Lab]:
    async with lab_of("expo", work_dir) as lab:
        yield lab


async def test_every_browser_reads_what_was_sent(webpush: Lab) -> None:
    addresses = [webpush.subscription() for _ in range(300)]
    results = await webpush.send(addresses, title="Tor! 🎉", data={"match": "4711"})
    assert outcomes(results) == {("accepted", None): 300}
    assert (webpush.stats["accepted"], webpush.stats["duplicates"]) == (300, 0)
    assert not webpush.simulator.provider.recorder.violations
    assert len({result.provider_id for result in results}) == 300
    for address in (addresses[0], addresses[-1]):
        (read,) = webpush.simulator.messages(orjson.loads(address)["endpoint"])
        shown = json.loads(read["body"])
        options = shown["options"]
        assert (shown["title"], options["body"], options["data"]) == ("Tor! 🎉", "1:0", {"match": "4711"})
        assert read["urgency"] == "high"
        assert 3500 < read["ttl_seconds"] <= 3600


async def test_a_collapse_id_replaces_what_was_not_read(webpush: Lab) -> None:
    address = webpush.subscription()
    for score in ("1:0", "2:0"):
        await webpush.send([address], body=score, collapse_id="match/4711")
    (read,) = webpush.simulator.messages(orjson.loads(address)["endpoint"])
    assert json.loads(read["body"])["options"]["body"] == "2:0"


@pytest.mark.parametrize("personality", ["mozilla", "fcm", "apple", "wns"])
async def test_services_answers_have_the_verdicts_of_the_table(webpush: Lab, personality: str) -> None:
    verdicts = ["ok", "410", "404", "413", "429", "503", "500"]
    results = await webpush.send([webpush.subscription(personality=personality, verdict=each) for each in verdicts])
    assert [(result.disposition.value, result.reason) for result in results] == [
        ("accepted", None),
        ("invalid", "device_unregistered"),
        ("invalid", "device_unregistered"),
        ("rejected", "payload_too_large" if personality != "fcm" else "bad_request"),
        ("retry", "rate_limited"),
        ("retry", "provider_unavailable"),
        ("retry", "provider_error"),
    ]
    assert results[4].retry_after_seconds == 60.0


@pytest.mark.parametrize("personality", ["fcm", "apple"])
async def test_a_subscription_of_another_vapid_key_is_invalid_and_nothing_else(webpush: Lab, personality: str) -> None:
    other = webpush.subscription(personality=personality, key=b"\4" + bytes(64))
    results = await webpush.send([other, webpush.subscription()])
    assert outcomes(results) == {("invalid", "vapid_key_mismatch"): 1, ("accepted", None): 1}


async def test_a_wrong_vapid_key_costs_no_subscription(webpush: Lab) -> None:
    """Every subscription refuses us: the key file is wrong, and no device is."""
    addresses = [webpush.subscription(personality="fcm", key=b"\4" + bytes(64)) for _ in range(150)]
    first = outcomes(await webpush.send(addresses))
    assert set(first) <= {("invalid", "vapid_key_mismatch"), ("credential", "mass_invalid_tokens")}
    assert first["invalid", "vapid_key_mismatch"] < 100
    assert outcomes(await webpush.send(addresses)) == {("credential", "mass_invalid_tokens"): 150}


async def test_an_expired_vapid_token_costs_one_signature_and_no_push(webpush: Lab) -> None:
    assert outcomes(await webpush.send([webpush.subscription()])) == {("accepted", None): 1}
    webpush.simulator.clock.advance(13 * 3600)
    # The token in use is young for our clock, so another one would not help: the service's clock is ahead of ours.
    results = await webpush.send([webpush.subscription(personality="apple")])
    assert outcomes(results) == {("credential", "credential_refused"): 1}


async def test_a_subject_that_apple_refuses_is_a_matter_of_the_credential(webpush: Lab) -> None:
    provider = webpush_provider(webpush.simulator, subject="mailto:push@localhost")
    await provider.start()
    results = await Lab(webpush.simulator, provider).send([webpush.subscription(personality="apple")])
    await provider.close()
    assert outcomes(results) == {("credential", "credential_refused"): 1}


async def test_redirects_are_not_followed_and_bodies_without_end_are_cut(webpush: Lab) -> None:
    results = await webpush.send([webpush.at("/probe/redirect"), webpush.at("/probe/huge"), webpush.subscription()])
    assert [(result.disposition.value, result.reason) for result in results] == [
        ("rejected", "redirect_refused"),
        ("rejected", "bad_request"),
        ("accepted", None),
    ]
    assert webpush.stats["requests"] == 3


async def test_an_answer_that_does_not_come_is_unknown_and_holds_up_nobody(webpush: Lab) -> None:
    provider = webpush_provider(webpush.simulator, request_timeout_seconds=1.0)
    await provider.start()
    results = await Lab(webpush.simulator, provider).send([webpush.at("/probe/slow"), webpush.subscription()])
    await provider.close()
    assert outcomes(results) == {("unknown", "unknown_outcome"): 1, ("accepted", None): 1}


async def test_without_leave_loopback_is_never_dialled(webpush: Lab) -> None:
    provider = webpush_provider(webpush.simulator, allow_loopback=False, allowed_hosts=["127.0.0.1"])
    await provider.start()
    results = await Lab(webpush.simulator, provider).send([webpush.subscription(), b"{}"])
    await provider.close()
    assert outcomes(results) == {("rejected", "endpoint_refused"): 1, ("invalid", "token_malformed"): 1}
    assert webpush.simulator.provider.opened_total == 0


async def test_keys_that_are_none_are_malformed(webpush: Lab) -> None:
    fields = orjson.loads(webpush.subscription())
    flipped = fields["p256dh"][:-2] + ("AA" if not fields["p256dh"].endswith("AA") else "BA")
    results = await webpush.send([orjson.dumps(fields | {"p256dh": flipped}), webpush.subscription()])
    assert outcomes(results) == {("invalid", "token_malformed"): 1, ("accepted", None): 1}


async def test_a_web_push_dry_run_reaches_nobody(webpush: Lab) -> None:
    results = await webpush.send([webpush.subscription(), b"junk"], dry_run=True)
    assert outcomes(results) == {("accepted", None): 1, ("invalid", "token_malformed"): 1}
    assert webpush.stats["requests"] == 0


async def test_a_web_push_that_is_too_large_never_leaves(webpush: Lab) -> None:
    results = await webpush.send([webpush.subscription()], body="x" * 4000)
    assert outcomes(results) == {("rejected", "payload_too_large"): 1}
    assert webpush.stats["requests"] == 0


async def test_many_small_messages_share_the_connection(webpush: Lab) -> None:
    batches = [webpush.send([webpush.subscription()], title=f"chat {number}") for number in range(100)]
    results = [result for batch in await asyncio.gather(*batches) for result in batch]
    assert outcomes(results) == {("accepted", None): 100}
    assert webpush.simulator.provider.opened_total <= 2


async def test_goaways_of_a_push_service_lose_nothing(webpush: Lab) -> None:
    await webpush.simulator.set_state({"goaway": {"after_requests": 40}})
    results = await webpush.send([webpush.subscription() for _ in range(200)])
    assert outcomes(results) == {("accepted", None): 200}
    assert (webpush.stats["accepted"], webpush.stats["duplicates"]) == (200, 0)


async def test_cancelling_a_web_push_harms_no_other(webpush: Lab) -> None:
    assert outcomes(await webpush.send([webpush.subscription()])) == {("accepted", None): 1}
    await webpush.simulator.set_state({"latency": 300})
    late: list[Result] = []
    batch = webpush.message([webpush.subscription() for _ in range(30)])
    cancelled = asyncio.create_task(webpush.provider.send(batch, range(30), late.extend))
    other = asyncio.create_task(webpush.send([webpush.subscription() for _ in range(10)]))
    while webpush.stats["requests"] < 41:
        await asyncio.sleep(0.01)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    known = len(late)
    assert outcomes(await other) == {("accepted", None): 10}
    assert len(late) == known


async def test_expo_takes_a_hundred_at_a_time_and_answers_each_with_a_ticket(expo: Lab) -> None:
    options = {"collapse_id": "m", "thread_id": "t", "badge": 1, "sound": "default"}
    results = await expo.send(expo_tokens(250), title="Tor! 🎉", data={"match": "4711"}, **options)
    assert outcomes(results) == {("accepted", None): 250}
    assert (expo.stats["accepted"], expo.stats["duplicates"], expo.stats["requests"]) == (250, 0, 3)
    assert len({result.provider_id for result in results}) == 250
    assert all(result.status == 200 and 0 < result.sent_at <= result.answered_at for result in results)


async def test_tickets_belong_to_their_positions(expo: Lab) -> None:
    kinds = ["", "unreg-", "big-", "", "unreg-"]
    now = int(time.time() * 1000)
    expiries = [now + 60_000 * (number % 2 + 1) for number in range(5)]
    addresses = [expo_tokens(1, kind)[0] for kind in kinds]
    results = await expo.send([*addresses, b"no token"], expires_at=[*expiries, now])
    assert [(result.disposition.value, result.reason) for result in results] == [
        ("accepted", None),
        ("invalid", "device_unregistered"),
        ("rejected", "payload_too_large"),
        ("accepted", None),
        ("invalid", "device_unregistered"),
        ("invalid", "token_malformed"),
    ]
    assert results[1].invalid_since == results[1].sent_at
    assert expo.stats["requests"] == 1


async def test_small_messages_of_one_moment_share_a_request(expo: Lab) -> None:
    batches = [expo.send(expo_tokens(1), title=f"chat {number}") for number in range(80)]
    results = [result for batch in await asyncio.gather(*batches) for result in batch]
    assert outcomes(results) == {("accepted", None): 80}
    assert expo.stats["requests"] == 1


async def test_a_request_of_several_projects_is_sent_again_a_project_at_a_time(expo: Lab) -> None:
    foreign = expo_tokens(2, "other-project-")
    results = await expo.send([*expo_tokens(5), *foreign, *expo_tokens(5)])
    assert outcomes(results) == {("accepted", None): 10, ("invalid", "token_of_other_project"): 2}
    assert expo.stats["requests"] == 3


async def test_a_foreign_token_alone_is_told_from_a_refused_credential_by_what_is_served_later(expo: Lab) -> None:
    foreign = expo_tokens(1, "other-project-")
    for _ in range(2):
        assert outcomes(await expo.send(foreign)) == {("credential", "credential_refused"): 1}
    assert outcomes(await expo.send(expo_tokens(1))) == {("accepted", None): 1}
    assert outcomes(await expo.send(foreign)) == {("invalid", "token_of_other_project"): 1}


async def test_a_wrong_access_token_is_a_matter_of_the_credential(expo: Lab, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong")
    clock = ManualClock(int(time.time() * 1000))
    provider = expo_provider(expo.simulator, access_token_file=str(file), clock=clock)
    await provider.start()
    lab = Lab(expo.simulator, provider)
    assert outcomes(await lab.send(expo_tokens(3))) == {("credential", "credential_refused"): 3}
    file.write_bytes(Path(expo.simulator.credentials["access_token_file"]).read_bytes())
    clock.advance(10)
    assert outcomes(await lab.send(expo_tokens(3))) == {("accepted", None): 3}
    await provider.close()


async def test_without_an_access_token_expo_may_refuse(expo: Lab) -> None:
    await expo.simulator.set_state({"enforce_access_token": True})
    provider = expo_provider(expo.simulator, access_token_file=None)
    await provider.start()
    results = await Lab(expo.simulator, provider).send(expo_tokens(3))
    await provider.close()
    assert outcomes(results) == {("credential", "credential_refused"): 3}


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ("status:429", ("retry", "rate_limited")),
        ("status:500", ("retry", "provider_error")),
        ("html:502", ("retry", "provider_unavailable")),
        ("empty:503", ("retry", "provider_unavailable")),
        ("status:401:UNAUTHORIZED", ("credential", "credential_refused")),
        ("status:404:NOT_FOUND", ("credential", "endpoint_wrong")),
        ("empty:200", ("unknown", "answer_unreadable")),
        ("drop", ("unknown", "unknown_outcome")),
    ],
)
async def test_a_refused_request_is_one_verdict_for_all_in_it(
    expo: Lab, effect: str, expected: tuple[str, str]
) -> None:
    expo.simulator.set_rules([{"effect": effect, "times": 20}])  # a rule meets each recipient
    assert outcomes(await expo.send(expo_tokens(20))) == {expected: 20}
    assert expo.stats["requests"] == 1


async def test_what_expo_finds_invalid_is_found_by_halving(expo: Lab) -> None:
    addresses = expo_tokens(64)
    rule = {"match": {"token": addresses[41].decode()}, "effect": "status:400:VALIDATION_ERROR"}
    expo.simulator.set_rules([rule])
    results = await expo.send(addresses)
    assert outcomes(results) == {("accepted", None): 63, ("rejected", "bad_request"): 1}
    assert results[41].reason == "bad_request"
    assert (expo.stats["accepted"], expo.stats["duplicates"]) == (63, 0)


async def test_expo_out_of_reach_leaves_everything_unsent(expo: Lab) -> None:
    await expo.simulator.set_state({"network": "refuse"})
    assert outcomes(await expo.send(expo_tokens(20))) == {("unsent", "connection_failed"): 20}
    await expo.simulator.set_state({"network": "up"})
    assert outcomes(await expo.send(expo_tokens(20))) == {("accepted", None): 20}


async def test_an_answer_of_expo_that_does_not_come_is_unknown(expo: Lab) -> None:
    expo.simulator.set_rules([{"effect": "never"}])
    provider = expo_provider(expo.simulator, request_timeout_seconds=0.7)
    await provider.start()
    results = await Lab(expo.simulator, provider).send(expo_tokens(5))
    await provider.close()
    assert outcomes(results) == {("unknown", "unknown_outcome"): 5}


async def test_the_project_limit_is_kept(expo: Lab) -> None:
    results = await expo.send(expo_tokens(700))
    assert outcomes(results) == {("accepted", None): 700}
    assert "429 TOO_MANY_REQUESTS" not in expo.stats["verdicts"]


async def test_an_expo_dry_run_reaches_nobody(expo: Lab) -> None:
    results = await expo.send([*expo_tokens(2), b"junk"], dry_run=True)
    assert outcomes(results) == {("accepted", None): 2, ("invalid", "token_malformed"): 1}
    assert expo.stats["requests"] == 0


async def test_a_message_too_large_for_expo_never_leaves(expo: Lab) -> None:
    assert outcomes(await expo.send(expo_tokens(2), body="x" * 5000)) == {("rejected", "payload_too_large"): 2}
    assert expo.stats["requests"] == 0


async def test_cancelling_a_send_to_expo_keeps_what_waits_from_leaving(expo: Lab) -> None:
    await expo.simulator.set_state({"latency": 200})
    late: list[Result] = []
    batch = expo.message(expo_tokens(700))
    cancelled = asyncio.create_task(expo.provider.send(batch, range(700), late.extend))
    while expo.stats["requests"] < 1:
        await asyncio.sleep(0.01)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert outcomes(await expo.send(expo_tokens(10))) == {("accepted", None): 10}
    assert expo.stats["accepted"] < 700
    assert late == []


async def test_receipts_say_what_became_of_tickets(expo: Lab) -> None:
    names = ["", "rcpt-unreg-", "rcpt-big-", "rate-", "cred-", "developer-", "expo-error-", "late-"]
    await expo.simulator.set_state({"receipt_delay_seconds": 60})
    results = await expo.send([expo_tokens(1, name)[0] for name in names])
    assert outcomes(results) == {("accepted", None): len(names)}
    ids = [str(result.provider_id) for result in results]
    assert isinstance(expo.provider, ExpoProvider)
    assert await expo.provider.receipts(ids) == ({}, None)
    expo.simulator.clock.advance(61)
    polled = await expo.provider.receipts([*ids, str(uuid4())])
    assert polled.refused is None
    assert {name: polled.verdicts[id_][:2] for name, id_ in zip(names, ids, strict=True) if id_ in polled.verdicts} == {
        "": ("accepted", None),
        "rcpt-unreg-": ("invalid", "device_unregistered"),
        "rcpt-big-": ("rejected", "payload_too_large"),
        "rate-": ("retry", "rate_limited"),
        "cred-": ("retry", "third_party_credential_refused"),
        "developer-": ("rejected", "bad_request"),
        "expo-error-": ("retry", "provider_error"),
    }
    await expo.simulator.set_state({"network": "refuse"})
    expo.simulator.drop()
    refused = (await expo.provider.receipts(ids)).refused
    assert refused is not None
    assert refused.disposition.value in {"unsent", "unknown"}


async def test_pushes_that_would_wait_too_long_for_their_turn_go_back_unsent(expo: Lab) -> None:
    clock = ManualClock(int(time.time() * 1000))
    provider = expo_provider(expo.simulator, clock=clock)
    await provider.start()
    sending = asyncio.create_task(Lab(expo.simulator, provider).send(expo_tokens(250)))
    while expo.stats["accepted"] < 100:
        await asyncio.sleep(0.01)
    clock.advance(61)
    results = await sending
    await provider.close()
    assert outcomes(results) == {("accepted", None): 100, ("unsent", "rate_limited"): 150}


async def test_after_a_429_nothing_leaves_before_expo_said(expo: Lab) -> None:
    expo.simulator.set_rules([{"effect": "status:429", "times": 5, "retry_after": "7"}])
    clock = ManualClock(int(time.time() * 1000))
    provider = expo_provider(expo.simulator, clock=clock)
    await provider.start()
    lab = Lab(expo.simulator, provider)
    refused = await lab.send(expo_tokens(5))
    assert {(result.reason, result.retry_after_seconds) for result in refused} == {("rate_limited", 7.0)}
    later = asyncio.create_task(lab.send(expo_tokens(5)))
    assert (await lab.send([b"junk"]))[0].reason == "token_malformed"  # the loop has turned
    assert expo.stats["requests"] == 1
    clock.advance(7.5)
    later_still = asyncio.create_task(lab.send(expo_tokens(1)))
    assert outcomes(await later_still) == {("accepted", None): 1}
    assert outcomes(await later) == {("accepted", None): 5}
    await provider.close()


async def test_when_no_project_is_served_it_is_the_credential(expo: Lab, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong")
    provider = expo_provider(expo.simulator, access_token_file=str(file))
    await provider.start()
    results = await Lab(expo.simulator, provider).send([*expo_tokens(3), *expo_tokens(2, "other-project-")])
    await provider.close()
    assert outcomes(results) == {("credential", "credential_refused"): 5}


async def test_large_requests_are_compressed_and_small_ones_are_not(expo: Lab) -> None:
    await expo.send(expo_tokens(1))
    await expo.send(expo_tokens(100))
    encodings = [delivery["headers"].get("content-encoding") for delivery in expo.simulator.deliveries()]
    assert encodings == [None, "gzip"]
