"""Dead letters and scheduled notifications over real HTTP, without Kafka."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from pushcast.wire.control.api_keys import Scope
from twins.gateway import gateway

REDRIVE = "/v1/dead-letters/redrive"
TIMERS = [{"notification": "n-1", "due_at": "x"}, {"notification": "n-2", "due_at": "y"}, {"notification": "n-2"}]


async def test_a_redrive_counts_unless_it_is_told_to_write() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.DLQ_WRITE)) as client:
        counted = await client.post(REDRIVE)
        body = {"execute": True, "topics": ["push.send.apns.bulk.v1"], "users": ["u"], "since": "2026-11-28T10:00:00Z"}
        done = await client.post(REDRIVE, json=body)
    assert (counted.json(), done.json()) == ({"executed": False, "letters": 1}, {"executed": True, "letters": 1})
    (first, *never), (second, *times) = rig.redrives
    assert (first.execute, first.topics, never) == (False, frozenset(), [None, None])
    assert (second.topics, second.users, times) == ({"push.send.apns.bulk.v1"}, {"u"}, [1_795_860_000_000, None])


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"exec": true}', 422, "unknown_field"),
        (b'{"topics": "a"}', 422, "invalid_field"),
        (b'{"since": "yesterday"}', 422, "invalid_field"),
        (b"{", 400, "invalid_json"),
    ],
)
async def test_a_redrive_that_is_mistyped_touches_nothing(body: bytes, status: int, kind: str) -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post(REDRIVE, content=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert rig.redrives == []


async def test_two_redrives_do_not_run_at_once_and_need_a_key_for_all_apps() -> None:
    async with gateway() as rig:
        begun, go = threading.Event(), threading.Event()

        def slow(*_: Any) -> dict[str, Any]:
            begun.set()
            go.wait(10)
            return {"letters": 0}

        rig.redrive = slow
        async with rig.client(rig.key()) as client:
            first = asyncio.create_task(client.post(REDRIVE))
            await asyncio.to_thread(begun.wait, 10)
            second = await client.post(REDRIVE)
            go.set()
            done, third = await first, await client.post(REDRIVE)
        async with rig.client(rig.key(apps=("news",))) as client:
            narrow = await client.post(REDRIVE)
    assert (second.status_code, second.json()["type"]) == (503, "/problems/overloaded")
    assert (done.status_code, third.status_code, narrow.status_code) == (200, 200, 403)


async def test_why_is_asked_for_the_event_of_a_record() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ)) as client:
        rig.records["push.notification.urgent.v1", 3, 18872] = "u", "n-7"
        record = {"record": "push.notification.urgent.v1/3/18872"}
        found = await client.get("/v1/users/u/why", params=record)
        others = [
            await client.get("/v1/users/v/why", params=record),
            await client.get("/v1/users/u/why", params=record | {"notification": "n-8"}),
            await client.get("/v1/users/u/why", params={"record": "push.notification.urgent.v1/3/18873"}),
        ]
        wrong = [await client.get("/v1/users/u/why", params={"record": each}) for each in ("a", "a/1/x", "/1/2")]
    assert found.json()["answer"] == "u n-7 None"
    assert [answer.status_code for answer in others] == [404] * 3
    assert [answer.status_code for answer in wrong] == [400] * 3


async def test_what_is_scheduled_is_listed_shown_and_cancelled() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.timers = TIMERS
        listed = await client.get("/v1/users/u/scheduled")
        shown = await client.get("/v1/users/u/scheduled/n-2")
        missing = [await client.get("/v1/users/u/scheduled/n-9"), await client.delete("/v1/users/u/scheduled/n-9")]
        one = await client.delete("/v1/users/u/scheduled/n-2")
        every = await client.delete("/v1/users/u/scheduled")
        rig.timers = []
        nothing = await client.delete("/v1/users/u/scheduled")
    assert (listed.json()["waiting"], len(shown.json()["timers"])) == (3, 2)
    assert [answer.status_code for answer in missing] == [404, 404]
    assert (one.json()["cancelled"], every.json()["cancelled"]) == (["n-2"], ["n-1", "n-2"])
    assert (nothing.status_code, nothing.json()["record"]) == (202, None)
    written = [json.loads(put.value or b"") for put in rig.producer.puts]
    assert [each["ids"] for each in written] == [["n-2"], ["n-1", "n-2"]]


async def test_a_schedule_is_read_with_one_scope_and_cancelled_with_another() -> None:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ)) as client:
        rig.timers = TIMERS
        read, cancelled = await client.get("/v1/users/u/scheduled"), await client.delete("/v1/users/u/scheduled")
    assert (read.status_code, cancelled.status_code) == (200, 403)
