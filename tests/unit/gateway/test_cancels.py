"""Cancels and broadcasts over real HTTP. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.words import Platform
from pushcast.report.answers import report_of
from pushcast.report.notes import Note
from pushcast.wire.control.api_keys import Scope
from pushcast.wire.control.control import CampaignCancel, Halt, Kind, Name, Pause, Subject, encode
from pushcast.wire.control.control_reader import decode
from twins.gateway import NOW_MS, gateway

BROADCAST = {"id": "b-1", "app": "news", "class": "digest", "title": "Goal!", "audience": {"topics": ["team/arsenal"]}}


def report(ended: int) -> dict[str, Any]:
    outcomes = {"apns\0accepted\0": ended} if ended else {}
    return report_of(Note("n-1", "notification", "news", planned={"apns": 2}, ended=outcomes), NOW_MS)


@pytest.mark.parametrize(
    ("ended", "history", "status", "state"),
    [(0, 0, 202, "cancelled"), (1, 1, 202, "already_left"), (2, 2, 409, None), (None, 0, 202, "unknown")],
)
async def test_g30_a_cancel_is_written_unless_all_has_ended(
    ended: int | None, history: int, status: int, state: str | None
) -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.NOTIFICATIONS_CANCEL)) as client:
        if ended is not None:
            rig.reports.all["n-1"] = report(ended)
        rig.reports.history = [{"notification": "n-1"}] * history
        answer = await client.delete("/v1/notifications/n-1", params={"user": "u"})
    assert answer.status_code == status, answer.text
    assert answer.json().get("state") == state
    written = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert [each["ids"] for each in written] == ([["n-1"]] if status == 202 else [])
    assert {put.topic for put in rig.producer.puts} <= {"push.cancel.v1"}


async def test_what_has_ended_may_still_be_removed_from_screens() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.reports.all["n-1"], rig.reports.history = report(2), [{"notification": "n-1"}] * 2
        answer = await client.delete("/v1/notifications/n-1", params={"user": "u", "remove": "true"})
        wrong = await client.delete("/v1/notifications/n-1", params={"user": "u", "remove": "1"})
        nobody = await client.delete("/v1/notifications/n-1")
    assert (answer.status_code, wrong.status_code, nobody.status_code) == (202, 400, 422)
    assert json.loads(rig.producer.puts[0].value or b"")["remove"] is True


async def test_a_campaign_is_cancelled_and_let_go_again() -> None:
    subject = Name(Kind.CANCEL, "cup/final")
    async with gateway() as rig, rig.client(rig.key(Scope.NOTIFICATIONS_CANCEL)) as client:
        path = "/v1/campaigns/cup%2Ffinal/cancel"
        cancelled = await client.post(path, json={"comment": "wrong picture", "remove": True})
        bare = await client.post(path)
        resumed = await client.delete(path)
    assert [each.status_code for each in (cancelled, bare, resumed)] == [202] * 3
    assert (cancelled.json(), resumed.json()["cancelled"]) == ({"campaign": "cup/final", "cancelled": True}, False)
    assert [(put.topic, put.key) for put in rig.producer.puts] == [("push.control.v1", subject.key())] * 3
    written = decode(subject, rig.producer.puts[0].value or b"")
    assert isinstance(written, CampaignCancel)
    assert (written.comment, written.remove, written.since_ms) == ("wrong picture", True, None)
    assert rig.producer.puts[2].value is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"remark": "x"}, "#/remark"),
        ({"comment": "x" * 501}, "#/comment"),
        ({"comment": 1}, "#/comment"),
        ({"remove": "yes"}, "#/remove"),
    ],
)
async def test_a_cancel_of_a_campaign_that_says_something_else_is_refused(body: dict[str, Any], pointer: str) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post("/v1/campaigns/cup/cancel", json=body)
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer])
    assert rig.producer.puts == []


async def test_a_key_for_one_app_cancels_no_campaign() -> None:
    async with gateway() as rig, rig.client(rig.key(apps=("news",))) as client:
        answers = [await client.post("/v1/campaigns/cup/cancel"), await client.delete("/v1/campaigns/cup/cancel")]
    assert [each.status_code for each in answers] == [403] * 2


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("POST", "/v1/campaigns/{}/cancel", Name(Kind.CANCEL, "a")),
        ("PUT", "/v1/broadcasts/{}/hold", Name(Kind.HOLD, "a")),
        ("DELETE", "/v1/broadcasts/{}", Name(Kind.STOP, "a")),
    ],
)
async def test_what_nobody_would_remember_is_refused_and_what_is_known_is_not(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, known: Name
) -> None:
    """Rulings II.27: a stop that is ignored is a broadcast that cannot be stopped."""
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 1)
    async with gateway() as rig, rig.client(rig.key()) as client:
        entry = CampaignCancel() if known.kind is Kind.CANCEL else Halt(since_ms=1)
        rig.control.apply(known.key(), encode(entry))
        answers = [await client.request(method, path.format(name)) for name in ("b", "a")]
    assert [each.status_code for each in answers] == [422, 202]
    assert answers[0].json()["errors"][0]["code"] == "too_many"
    assert [put.key for put in rig.producer.puts] == [known.key()]


async def test_one_pause_more_than_anybody_remembers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_ENTRIES", 1)
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode(Pause(1)))
        answers = [await client.put(f"/v1/pauses/news/{platform}") for platform in ("fcm", "apns")]
    assert [each.status_code for each in answers] == [422, 200]
    assert answers[0].json()["errors"][0]["code"] == "too_many"


async def test_a_broadcast_is_written_under_its_id_in_the_lane_of_its_class() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.BROADCASTS_SEND)) as client:
        answer = await client.post("/v1/broadcasts", json=BROADCAST)
        nameless = await client.post("/v1/broadcasts", json={k: v for k, v in BROADCAST.items() if k != "id"})
    assert answer.status_code == 202, answer.text
    put = rig.producer.puts[0]
    assert (put.topic, put.partition, put.key) == ("push.broadcast.bulk.v1", 0, b"b-1")
    assert (answer.json()["id"], answer.headers["Location"]) == ("b-1", "/v1/reports/b-1")
    assert rig.producer.puts[1].key == nameless.json()["id"].encode()


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"audience": None}, "#/audience"),
        ({"user": "u"}, "#/user"),
        ({"app": None}, "#/app"),
        ({"pace": {"over_seconds": 0}}, "#/pace/over_seconds"),
        ({"id": ""}, "#/id"),
        ({"id": "b" * 257}, "#/id"),
    ],
)
async def test_a_broadcast_that_is_not_valid_is_refused_by_field(change: dict[str, Any], pointer: str) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post("/v1/broadcasts", json=BROADCAST | change)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert rig.producer.puts == []


async def test_a_key_for_some_topics_reaches_no_other_audience() -> None:
    audiences: list[Any] = [{"topics": ["team/arsenal"]}, {"topics": ["team/arsenal", "vip"]}, {"all": True}]
    async with gateway() as rig, rig.client(rig.key(Scope.BROADCASTS_SEND, topics=("team/*",))) as client:
        answers = [await client.post("/v1/broadcasts", json=BROADCAST | {"audience": each}) for each in audiences]
    assert [answer.status_code for answer in answers] == [202, 403, 403]
    assert answers[2].json()["type"] == "/problems/topic_not_allowed"


async def test_a_broadcast_is_held_resumed_and_stopped() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.BROADCASTS_SEND)) as client:
        answers = [
            await client.put("/v1/broadcasts/b%2F1/hold"),
            await client.delete("/v1/broadcasts/b%2F1/hold"),
            await client.delete("/v1/broadcasts/b%2F1"),
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert [put.key for put in rig.producer.puts] == [b"hold/b/1", b"hold/b/1", b"stop/b/1"]
    assert [put.value is None for put in rig.producer.puts] == [False, True, False]


async def test_an_audience_is_counted_and_nothing_is_sent() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.BROADCASTS_SEND)) as client:
        exact = await client.post("/v1/broadcasts/count", json=BROADCAST | {"pace": {"per_second": 10}})
        quick = await client.post("/v1/broadcasts/count", params={"quick": "true"}, json=BROADCAST)
        rig.counted = None
        late = await client.post("/v1/broadcasts/count", json=BROADCAST)
    assert (exact.json()["devices"], quick.status_code) == (100, 200)
    assert (late.status_code, late.json()["type"]) == (503, "/problems/count_unavailable")
    values = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert [(each["count_only"], each["quick"], "pace" in each) for each in values[:2]] == [
        (True, False, False),
        (True, True, False),
    ]
    assert [asked[1:] for asked in rig.counts[:2]] == [("bulk", 0, False), ("bulk", 1, True)]


@pytest.mark.parametrize(("devices", "status"), [(970, 202), (971, 403)])
async def test_a_key_with_a_largest_audience_counts_first_with_three_percent_more(devices: int, status: int) -> None:
    async with gateway() as rig, rig.client(rig.key(max_audience=1000)) as client:
        rig.counted = {"devices": devices}
        answer = await client.post("/v1/broadcasts", json=BROADCAST)
        rig.counted = None
        unknown = await client.post("/v1/broadcasts", json=BROADCAST)
    assert (answer.status_code, unknown.status_code) == (status, 503)
    sent = [each for put in rig.producer.puts if "count_only" not in (each := json.loads(put.value or b""))]
    assert len(sent) == (1 if status == 202 else 0)


async def test_how_far_a_broadcast_has_come() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.REPORTS_READ)) as client:
        rig.progress["b-1"] = {"planned": 7}
        found, unknown = await client.get("/v1/broadcasts/b-1"), await client.get("/v1/broadcasts/b-2")
    assert (found.json(), unknown.status_code) == ({"planned": 7}, 404)
