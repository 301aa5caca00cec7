"""`rehearse: true` answers what would be sent; no record of it goes to Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import KafkaException

from pushcast.gateway.rehearsals import expected_seconds, present_rate
from pushcast.model.broadcast import BroadcastPace
from pushcast.model.words import Lane
from pushcast.wire.control.api_keys import Scope
from twins.gateway import NOW_MS, gateway

MAY = Scope.NOTIFICATIONS_SEND, Scope.HISTORY_READ
NOTE = {"id": "n-1", "user": "u-1", "app": "news", "class": "breaking", "title": "Goal!"}
CAST = {"id": "b-1", "app": "news", "title": "Goal!", "audience": {"all": True}}


def minute(due_at: str, accepted: int) -> dict[str, Any]:
    return {"due_at": due_at, "outcomes": {"accepted": accepted, "dead": 7}}


@pytest.mark.parametrize("way", [{}, {"Origin": "https://a.example"}], ids=["quick", "usual"])
async def test_a_notification_is_rehearsed_and_not_written(way: dict[str, str]) -> None:
    async with gateway() as rig, rig.client(rig.key(*MAY)) as client:
        answer = await client.post("/v1/notifications", json=NOTE | {"rehearse": True}, headers=way)
    found = answer.json()
    assert (answer.status_code, rig.producer.puts) == (200, [])
    assert (found["id"], found["lane"], found["rehearsed"], found["deliveries"]) == ("n-1", "urgent", True, 2)
    sizes = {each["platform"]: each for each in found["sizes"]}
    assert sizes.keys() == {"apns", "fcm"}
    assert 0 < sizes["apns"]["bytes"] < sizes["apns"]["limit_bytes"] == 4096
    [(lane, user, value, now_ms)] = rig.rehearsed
    assert (lane, user, json.loads(value), now_ms) == (Lane.URGENT, "u-1", NOTE, NOW_MS)


async def test_what_would_be_refused_is_refused_and_a_wrong_word_is_named() -> None:
    async with gateway() as rig, rig.client(rig.key(*MAY, apps=("news",))) as client:
        asked: list[dict[str, Any]] = [{"app": "shop"}, {"usr": "u"}, {"rehearse": "yes"}, {"title": "x" * 5000}]
        answers = [await client.post("/v1/notifications", json=NOTE | {"rehearse": True} | each) for each in asked]
        bulk = await client.post("/v1/notifications/bulk", json={"notifications": [NOTE | {"rehearse": True}]})
    assert [answer.status_code for answer in answers] == [403, 422, 422, 422]
    assert answers[2].json()["errors"][0]["pointer"] == "#/rehearse"
    assert bulk.json()["results"][0]["problem"]["type"] == "/problems/unknown_field", "a bulk is for sending"
    assert (rig.rehearsed, rig.producer.puts) == ([], [])


async def test_a_key_that_may_not_read_histories_learns_nothing_of_a_users_devices() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.NOTIFICATIONS_SEND)) as client:
        answer = await client.post("/v1/notifications", json=NOTE | {"rehearse": True})
        sent = await client.post("/v1/notifications", json=NOTE | {"rehearse": False})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope_missing")
    assert (sent.status_code, rig.rehearsed) == (202, [])


async def test_rehearse_false_sends_and_a_rehearsal_claims_no_id() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        await client.post("/v1/notifications", json=NOTE | {"rehearse": True})
        sent = await client.post("/v1/notifications", json=NOTE | {"title": "Other", "rehearse": False})
    assert (sent.status_code, sent.json()["replayed"]) == (202, False)
    [put] = rig.producer.puts
    assert json.loads(put.value or b"") == NOTE | {"title": "Other"}


@pytest.mark.parametrize("error", [KafkaException("away"), ConnectionError("silent")])
async def test_without_an_answer_of_kafka_it_is_a_503(error: Exception) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.no_answer = error
        answer = await client.post("/v1/notifications", json=NOTE | {"rehearse": True})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/kafka_unavailable")
    assert answer.headers["Retry-After"] == "5"


async def test_a_broadcast_is_counted_measured_and_timed() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.counted = {"devices": 6000, "per_platform": {"apns": 6000}, "exact": True}
        rig.reports.minutes = [minute("10:00", 6000), minute("10:00", 600), minute("10:01", 60)]
        answer = await client.post("/v1/broadcasts", json=CAST | {"rehearse": True})
        paced = await client.post("/v1/broadcasts", json=CAST | {"rehearse": True, "pace": {"per_second": 10}})
    found = answer.json()
    assert (answer.status_code, found["devices"], found["rehearsed"]) == (200, 6000, True)
    assert (found["accepted_per_second"], found["expected_seconds"]) == (110.0, 54.5)
    assert paced.json()["expected_seconds"] == 600
    assert {each["platform"] for each in found["sizes"]} == {"apns", "fcm"}
    orders = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert [order["count_only"] for order in orders] == [True, True], "nothing but counts is written"


def test_the_time_that_it_takes_goes_by_the_slower_of_rate_and_pace() -> None:
    assert expected_seconds(1000, None, None) is None
    assert expected_seconds(1000, 50.0, None) == 20
    assert expected_seconds(1000, 50.0, BroadcastPace(over_seconds=3600), waits_seconds=60) == 3660
    assert expected_seconds(1000, None, BroadcastPace(per_second=10)) == 100
    assert present_rate({"totals": []}) is None
