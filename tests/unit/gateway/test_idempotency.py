"""One notification through several gateways: each answers alike, and one push leaves (doors.md, D)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pushcast.model.words import Lane
from pushcast.report.answers import report_of
from pushcast.wire import topics
from twins.books import Rows, entries
from twins.gateway import Rig, gateway
from twins.plan import T0, PlanHarness, users_of

ANN = users_of(3, 1)[0]


async def post_all(rigs: Sequence[Rig], times: int, body: dict[str, Any], headers: dict[str, str]) -> list[Any]:
    """The answers of this many posts at once, shared among the gateways."""
    key = rigs[0].key()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(rig.client(key)) for rig in rigs]
        asked = [clients[n % len(clients)].post("/v1/notifications", json=body, headers=headers) for n in range(times)]
        return list(await asyncio.gather(*asked))


@pytest.mark.parametrize(("own_id", "headers"), [("n-1", {}), (None, {"Idempotency-Key": "order-1"})], ids=["g2", "g3"])
async def test_g2_g3_the_same_a_hundred_times_over_two_gateways_is_one_push(
    own_id: str | None, headers: dict[str, str]
) -> None:
    body = {"user": ANN, "title": "Goal!"} | ({} if own_id is None else {"id": own_id})
    async with gateway() as first, gateway(keyring=first.keyring) as second:
        answers = await post_all((first, second), 100, body, headers)
        puts = [*first.producer.puts, *second.producer.puts]
    assert {answer.status_code for answer in answers} == {202}
    (note_id,) = {answer.json()["id"] for answer in answers}
    assert own_id in (None, note_id)
    assert {(put.topic, put.partition, put.key) for put in puts} == {
        (topics.notification(Lane.NORMAL), 3, ANN.encode())
    }

    plan = PlanHarness()
    plan.device(ANN)
    await plan.feed(*[(put.key.decode(), json.loads(put.value or b"")) for put in puts])
    await plan.acknowledge()
    assert len(plan.targets()) == 1

    store = Rows()
    store.apply(topics.PLANNED, entries(*plan.outbox.values(topics.PLANNED)))
    report = report_of(store.note(note_id), T0)
    assert (report["planned"], report["not_planned"]) == (1, {"duplicate": 99})
