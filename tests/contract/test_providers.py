"""What every provider and engine must do, against the simulators. What a library cannot do is a strict expected
failure with its reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.provider_lab import ALL_AT_ONCE, ENGINES, Lab, outcomes, provider_for
from pushcast.model.batch import KINDS
from pushcast.model.device import AddressKind
from pushcast.providers.port import Result
from pushcast.simulators import start

GAPS = {
    ("aioapns", "test_a_payload_may_fill_the_limit"): "aioapns writes JSON with spaces, which count",
    ("httpx", "test_a_stream_the_server_refused_is_unsent"): "httpx does not tell REFUSED_STREAM from other resets",
    ("httpx", "test_goaways_lose_nothing_and_repeat_nothing"): "httpx fails every request in flight at a GOAWAY",
    (
        "httpx",
        "test_the_number_of_streams_may_change_at_any_time",
    ): "httpcore deadlocks when the limit falls below its use",
}


@pytest.fixture(params=ENGINES, ids=lambda pair: "/".join(pair))
async def lab(request: pytest.FixtureRequest, work_dir: Path) -> AsyncIterator[Lab]:
    platform, engine = request.param
    name = getattr(request.function, "__name__", "")
    if (engine, name) in GAPS:
        request.applymarker(pytest.mark.xfail(strict=True, reason=GAPS[engine, name]))
    timeouts = getattr(request.function, "request_timeouts_seconds", {})
    timeout_seconds = timeouts.get(engine, timeouts.get("all", 20.0))
    async with start(platform, work_dir=work_dir) as simulator:
        provider = provider_for(simulator, engine, request_timeout_seconds=timeout_seconds, send=ALL_AT_ONCE)
        await provider.start()
        yield Lab(platform, engine, simulator, provider)
        await provider.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in others if "pushcast/providers" in str(task.get_coro())] == []


def times_out_after(seconds: float, **engines: float):
    """The lab's request timeout, for tests that wait for it."""

    def mark(function):
        function.request_timeouts_seconds = {"all": seconds, **engines}
        return function

    return mark


async def test_every_target_of_a_batch_is_accepted_once(lab: Lab) -> None:
    count = lab.scaled(1000)
    results = await lab.send(lab.tokens("good", count))
    assert outcomes(results) == {("accepted", None): count}
    assert (lab.accepted, lab.duplicates) == (count, 0)
    assert len({result.provider_id for result in results}) == count
    assert all(result.status == 200 and 0 < result.sent_at <= result.answered_at for result in results)


async def test_only_the_indices_asked_for_are_sent(lab: Lab) -> None:
    batch = lab.message(lab.tokens("good", 10))
    results: list[Result] = []
    await lab.provider.send(batch, [1, 3, 7], results.extend)
    assert sorted(result.target for result in results) == [1, 3, 7]
    assert lab.accepted == 3


async def test_answers_have_the_verdicts_of_the_table(lab: Lab) -> None:
    kinds = ["good", "dead", "unavailable", "internal", "throttled", "malformed"]
    results = await lab.send([token for kind in kinds for token in lab.tokens(kind, 1)])
    assert [(result.disposition.value, result.reason) for result in results] == [
        ("accepted", None),
        ("invalid", "device_unregistered"),
        ("retry", "provider_unavailable"),
        ("retry", "provider_error"),
        ("retry", "rate_limited"),
        ("invalid", "token_malformed"),
    ]
    assert [result.status for result in results] == [200, 410 if lab.platform == "apns" else 404, 503, 500, 429, None]
    assert results[2].retry_after_seconds is not None
    assert (results[1].invalid_since is not None) == (lab.platform == "apns")


async def test_many_error_bodies_do_not_stall_a_connection(lab: Lab) -> None:
    # aioapns as it ships stalls after 65,535 bytes of bodies, some 1,100 answers of APNs.
    rounds = {"multicast": 50, "aioapns": 15, "httpx": 1}[lab.engine]
    results = await lab.send(lab.tokens("good", 1))
    for _ in range(rounds):
        results += await lab.send(lab.tokens("dead", 100))
    assert outcomes(results) == {("accepted", None): 1, ("invalid", "device_unregistered"): rounds * 100}
    # FCM's access token comes over a connection of its own.
    assert lab.simulator.provider.opened_total == (1 if lab.platform == "apns" else 2)


async def test_a_burst_on_a_cold_connection_is_taken(lab: Lab) -> None:
    count = lab.scaled(500)
    batches = [lab.send(lab.tokens("good", 1), title=f"chat {number}") for number in range(count)]
    results = [result for batch in await asyncio.gather(*batches) for result in batch]
    assert outcomes(results) == {("accepted", None): count}
    assert lab.accepted == count


async def test_answers_may_come_in_any_order(lab: Lab) -> None:
    await lab.simulator.set_state({"latency": {"ms": 40, "jitter_ms": 40}})
    count = lab.scaled(200)
    dead, good = lab.tokens("dead", count), lab.tokens("good", count)
    results = await lab.send([token for pair in zip(dead, good, strict=True) for token in pair])
    assert [result.disposition.value for result in results] == ["invalid", "accepted"] * count


async def test_an_answer_split_over_frames_is_read_whole(lab: Lab) -> None:
    await lab.simulator.set_state({"split_errors": True})
    assert outcomes(await lab.send(lab.tokens("dead", 20))) == {("invalid", "device_unregistered"): 20}


async def test_a_stream_the_server_refused_is_unsent(lab: Lab) -> None:
    results = await lab.send(lab.tokens("refused", 1) + lab.tokens("good", 5))
    assert outcomes(results) == {("unsent", "stream_refused"): 1, ("accepted", None): 5}


async def test_an_answer_cut_off_by_a_reset_is_no_verdict_on_the_token(lab: Lab) -> None:
    lab.simulator.set_rules([{"effect": "partial:INTERNAL_ERROR", "times": 1}])
    results = await lab.send(lab.tokens("good", 1))
    assert results[0].disposition.value in {"unknown", "retry"}
    assert outcomes(await lab.send(lab.tokens("good", 5))) == {("accepted", None): 5}


async def test_a_503_without_a_body_ends_its_request(lab: Lab) -> None:
    lab.simulator.set_rules([{"effect": "empty:503", "times": 3}])
    results = await lab.send(lab.tokens("good", 10))
    assert outcomes(results) == {("retry", "provider_unavailable"): 3, ("accepted", None): 7}


@times_out_after(1.0)
async def test_requests_that_are_never_answered_harm_no_other(lab: Lab) -> None:
    # Until the first answer APNs takes one request at a time: a silent one would hold up all others.
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    silent = asyncio.create_task(lab.send(lab.tokens("silent", 10)))
    while lab.simulator.provider.recorder.requests < 11:
        await asyncio.sleep(0.01)
    slow = asyncio.create_task(_steady(lab, silent))
    assert outcomes(await silent) == {("unknown", "unknown_outcome"): 10}
    assert set(outcomes(await slow)) == {("accepted", None)}


async def _steady(lab: Lab, until: asyncio.Task[list[Result]]) -> list[Result]:
    results = []
    while not until.done():
        results += await lab.send(lab.tokens("slow", 5))
    return results + await lab.send(lab.tokens("good", 50))


async def test_goaways_lose_nothing_and_repeat_nothing(lab: Lab) -> None:
    await lab.simulator.set_state({"goaway": {"after_requests": lab.scaled(70)}, "latency": 5})
    count = lab.scaled(500)
    results = await lab.send(lab.tokens("good", count))
    assert outcomes(results) == {("accepted", None): count}
    assert (lab.accepted, lab.duplicates) == (count, 0)
    assert lab.simulator.provider.opened_total > 2


async def test_a_connection_that_drops_leaves_outcomes_unknown_and_is_replaced(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    await lab.simulator.set_state({"latency": 30_000})
    waiting = asyncio.create_task(lab.send(lab.tokens("good", 20)))
    while lab.simulator.provider.recorder.requests < 21:
        await asyncio.sleep(0.01)
    lab.simulator.drop()
    assert outcomes(await waiting) == {("unknown", "unknown_outcome"): 20}
    await lab.simulator.set_state({"latency": None})
    assert outcomes(await lab.send(lab.tokens("good", 20))) == {("accepted", None): 20}


@times_out_after(0.6)
async def test_a_provider_that_is_away_leaves_everything_unsent(lab: Lab) -> None:
    await lab.simulator.set_state({"network": "refuse"})
    results = await lab.send(lab.tokens("good", 20))
    assert {result.disposition.value for result in results} == {"unsent"}
    assert {result.reason for result in results} <= {"connection_failed", "not_sent_in_time", "provider_unavailable"}
    assert lab.accepted == 0


async def test_a_provider_that_comes_back_is_found(lab: Lab) -> None:
    await lab.simulator.set_state({"network": "refuse"})
    results = [] if lab.engine == "multicast" else await lab.send(lab.tokens("good", 3))
    assert {result.disposition.value for result in results} <= {"unsent"}
    await lab.simulator.set_state({"network": "up"})
    deadline_at = asyncio.get_running_loop().time() + 30
    while outcomes(await lab.send(lab.tokens("good", 3))) != {("accepted", None): 3}:
        assert asyncio.get_running_loop().time() < deadline_at
        await asyncio.sleep(0.05)


async def test_an_expired_credential_costs_one_refresh_and_no_push(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 5))) == {("accepted", None): 5}
    lab.refuse_credential_once()
    results = await lab.send(lab.tokens("good", 50))
    assert outcomes(results) == {("accepted", None): 50}
    assert (lab.accepted, lab.duplicates) == (55, 0)
    if lab.platform == "apns":  # an expired provider token sticks to its connection
        assert lab.simulator.provider.opened_total == 2
    else:
        assert lab.simulator.provider.stats()["access_tokens_issued"] == 2


async def test_a_revoked_credential_is_said_so_without_hammering(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    lab.revoke_credential()
    results = await lab.send(lab.tokens("good", 20))
    assert outcomes(results) == {("credential", "credential_refused"): 20}
    recorder = lab.simulator.provider.recorder
    assert recorder.requests == 21
    assert recorder.events["token_requests"] == (2 if lab.platform == "fcm" else 0)
    assert outcomes(await lab.send(lab.tokens("good", 5))) == {("credential", "credential_refused"): 5}
    assert recorder.events["token_requests"] == (2 if lab.platform == "fcm" else 0)


async def test_cancelling_a_send_harms_no_other(lab: Lab) -> None:
    assert outcomes(await lab.send(lab.tokens("good", 1))) == {("accepted", None): 1}
    await lab.simulator.set_state({"latency": 300})
    late: list[Result] = []
    batch = lab.message(lab.tokens("good", 60))
    cancelled = asyncio.create_task(lab.provider.send(batch, range(60), late.extend))
    other = asyncio.create_task(lab.send(lab.tokens("good", 30)))
    while lab.simulator.provider.recorder.requests < 80:
        await asyncio.sleep(0.01)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    known = len(late)
    assert outcomes(await other) == {("accepted", None): 30}
    for _ in range(3):
        assert outcomes(await lab.send(lab.tokens("good", 20))) == {("accepted", None): 20}
    assert len(late) == known


@times_out_after(20.0, httpx=1.5)
async def test_the_number_of_streams_may_change_at_any_time(lab: Lab) -> None:
    await lab.simulator.set_state({"latency": 2})
    results = await lab.send(lab.tokens("good", 50))
    for streams in (1, 500, 3, 50):
        running = asyncio.create_task(lab.send(lab.tokens("good", lab.scaled(200))))
        await asyncio.sleep(0.01)
        await lab.simulator.set_state({"streams": streams})
        results += await running
    assert outcomes(results) == {("accepted", None): 50 + 4 * lab.scaled(200)}
    assert lab.duplicates == 0
    assert not lab.simulator.provider.recorder.violations


async def test_a_message_that_is_too_large_never_leaves(lab: Lab) -> None:
    results = await lab.send(lab.tokens("good", 3), body="x" * 5000)
    assert outcomes(results) == {("rejected", "payload_too_large"): 3}
    assert lab.simulator.provider.recorder.requests == 0


async def test_a_payload_may_fill_the_limit(lab: Lab) -> None:
    # How FCM counts the blocks for the platforms is not documented: a whole request of 4,096 bytes is within it anyhow.
    around = {"apns": len(b'{"aps":{"alert":{"title":"Goal!","body":""}},"k":"v"}'), "fcm": 600}
    results = await lab.send(lab.tokens("good", 3), body="x" * (4096 - around[lab.platform]), data={"k": "v"})
    assert outcomes(results) == {("accepted", None): 3}


async def test_a_dry_run_reaches_nobody(lab: Lab) -> None:
    results = await lab.send([*lab.tokens("good", 3), *lab.tokens("malformed", 1)], dry_run=True)
    assert outcomes(results) == {("accepted", None): 3, ("invalid", "token_malformed"): 1}
    assert lab.accepted == 0
    assert lab.simulator.provider.recorder.requests == (0 if lab.platform == "apns" else 3)


async def test_each_target_has_its_own_expiry(lab: Lab) -> None:
    now = 1_900_000_000_000
    batch = lab.message(lab.tokens("good", 3), expires_at=[now, now + 60_000, now])
    assert outcomes(await lab.send_message(batch)) == {("accepted", None): 3}
    expected = {
        token.decode(): at // 1000 for token, at in zip(batch.targets.address, batch.targets.expires_at, strict=True)
    }
    seen = {}
    for delivery in lab.simulator.deliveries():
        if lab.platform == "apns":
            path, expiration = delivery["headers"][":path"], delivery["headers"]["apns-expiration"]
            seen[path.rpartition("/")[2]] = int(expiration)
        else:
            sent = json.loads(delivery["body"])["message"]
            seen[sent["token"]] = int(sent["apns"]["headers"]["apns-expiration"])
    assert seen == expected


TOPIC, CONDITION = KINDS.index(AddressKind.TOPIC), KINDS.index(AddressKind.CONDITION)
TO_MANY = [(TOPIC, "topic", b"news-uk"), (CONDITION, "condition", b"'a' in topics || !('b' in topics)")]


@pytest.mark.parametrize(("kind", "field", "address"), TO_MANY)
async def test_fact_52_a_topic_and_a_condition_are_one_request_of_fcm(
    work_dir: Path, kind: int, field: str, address: bytes
) -> None:
    async with start("fcm", work_dir=work_dir) as simulator:
        provider = provider_for(simulator, "multicast", send=ALL_AT_ONCE)
        await provider.start()
        lab = Lab("fcm", "multicast", simulator, provider)
        batch, large = lab.message([address]), lab.message([address], body="x" * 2_100)
        batch.targets.kind = large.targets.kind = [kind]
        assert outcomes(await lab.send_message(batch)) == {("accepted", None): 1}
        assert outcomes(await lab.send_message(large)) == {("rejected", "payload_too_large"): 1}
        [delivery] = simulator.deliveries()
        assert json.loads(delivery["body"])["message"][field] == address.decode()
        await provider.close()
