from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushcast.simulators import Simulator, start


def token(name: str) -> str:
    return f"ExponentPushToken[{name}]"


@pytest.fixture
async def expo(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("expo", work_dir=work_dir, apps=2) as simulator:
        yield simulator


@pytest.fixture
async def client(expo: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    context = ssl.create_default_context(cafile=str(expo.ca_file))
    base = f"{expo.url}/--/api/v2/push/"
    async with httpx.AsyncClient(base_url=base, http2=True, verify=context, trust_env=False) as made:
        yield made


async def send(client: httpx.AsyncClient, value: Any, **headers: str) -> httpx.Response:
    return await client.post("send", content=json.dumps(value), headers=headers)


async def receipts(client: httpx.AsyncClient, ids: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = (await client.post("getReceipts", json={"ids": ids})).json()["data"]
    return data


async def test_tickets_come_in_the_order_of_recipients(expo: Simulator, client: httpx.AsyncClient) -> None:
    messages = [
        {"to": [token("a"), token("unreg-b")], "title": "one"},
        {"to": token("c"), "title": "two", "data": {"k": 1}},
        {"to": "not a token", "title": "three"},
    ]
    tickets = (await send(client, messages)).json()["data"]
    assert [ticket["status"] for ticket in tickets] == ["ok", "error", "ok", "error"]
    assert tickets[1]["details"] == {"error": "DeviceNotRegistered", "expoPushToken": token("unreg-b")}
    assert expo.stats()["accepted"] == 2


async def test_one_message_alone_and_gzip_are_taken(client: httpx.AsyncClient) -> None:
    single = await send(client, {"to": token("a"), "body": "x"})
    assert len(single.json()["data"]) == 1
    body = gzip.compress(json.dumps([{"to": token("a"), "body": "x"}]).encode())
    assert (await client.post("send", content=body, headers={"content-encoding": "gzip"})).status_code == 200
    broken = await client.post("send", content=b"plain", headers={"content-encoding": "gzip"})
    assert broken.json()["errors"][0]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ([{"to": token(str(n))} for n in range(101)], 400, "PUSH_TOO_MANY_NOTIFICATIONS"),
        ([{"to": [token("a")] * 101}], 400, "PUSH_TOO_MANY_NOTIFICATIONS"),
        ([{"to": token("a")}, {"to": token("other-project-b")}], 400, "PUSH_TOO_MANY_EXPERIENCE_IDS"),
        ([{"title": "nobody"}], 400, "VALIDATION_ERROR"),
        ([{"to": token("a"), "colour": "red"}], 400, "VALIDATION_ERROR"),
        (["text"], 400, "VALIDATION_ERROR"),
    ],
)
async def test_a_request_is_refused_as_a_whole(
    expo: Simulator, client: httpx.AsyncClient, value: Any, status: int, code: str
) -> None:
    answer = await send(client, value)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert expo.stats()["accepted"] == 0


async def test_mixed_projects_are_told_apart(client: httpx.AsyncClient) -> None:
    answer = await send(client, [{"to": token("a")}, {"to": token("shop-project/b")}])
    details = answer.json()["errors"][0]["details"]
    assert details == {"news-project": [token("a")], "shop-project": [token("shop-project/b")]}


async def test_receipts_come_later_and_vanish_after_a_day(expo: Simulator, client: httpx.AsyncClient) -> None:
    await expo.set_state({"receipt_delay_seconds": 900})
    names = ["a", "rcpt-unreg-b", "rate-c", "cred-d", "late-e"]
    tickets = (await send(client, [{"to": token(name)} for name in names])).json()["data"]
    ids = [ticket["id"] for ticket in tickets]
    assert await receipts(client, ids) == {}
    expo.clock.advance(901)
    found = await receipts(client, [*ids, "unknown"])
    assert list(found) == ids[:4]
    errors = [found[ticket].get("details", {}).get("error") for ticket in ids[:4]]
    assert errors == [None, "DeviceNotRegistered", "MessageRateExceeded", "InvalidCredentials"]
    expo.clock.advance(9_000)
    assert ids[4] in await receipts(client, ids)
    expo.clock.advance(86_400)
    assert await receipts(client, ids) == {}


@pytest.mark.parametrize(
    ("effect", "status"),
    [("status:503", 503), ("status:429", 429), ("html:502", 502), ("status:400:VALIDATION_ERROR", 400)],
)
async def test_a_rule_may_be_about_questions_for_receipts(
    expo: Simulator, client: httpx.AsyncClient, effect: str, status: int
) -> None:
    expo.set_rules([{"match": {"token": "getReceipts"}, "effect": effect, "times": 1}])
    (ticket,) = (await send(client, [{"to": token("a")}])).json()["data"]
    assert (await client.post("getReceipts", json={"ids": [ticket["id"]]})).status_code == status
    assert ticket["id"] in await receipts(client, [ticket["id"]])


async def test_receipts_are_under_maintenance_too(expo: Simulator, client: httpx.AsyncClient) -> None:
    await expo.set_state({"maintenance": True})
    assert (await client.post("getReceipts", json={"ids": ["a"]})).status_code == 503


async def test_who_reads_receipts_needs_an_access_token_where_it_is_enforced(
    expo: Simulator, client: httpx.AsyncClient
) -> None:
    wrong = await client.post("getReceipts", json={"ids": ["a"]}, headers={"authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    await expo.set_state({"enforce_access_token": True})
    assert (await client.post("getReceipts", json={"ids": ["a"]})).status_code == 403
    good = "Bearer " + Path(expo.credentials["access_token_file"]).read_text().strip()
    allowed = await client.post("getReceipts", json={"ids": ["a"]}, headers={"authorization": good})
    assert allowed.json() == {"data": {}}


async def test_too_many_receipts_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("getReceipts", json={"ids": [str(n) for n in range(1001)]})
    assert answer.json()["errors"][0]["code"] == "PUSH_TOO_MANY_RECEIPTS"
    assert (await client.post("getReceipts", json={"ids": "x"})).status_code == 400


async def test_six_hundred_a_second_and_project(expo: Simulator, client: httpx.AsyncClient) -> None:
    expo.clock.freeze()
    batch = [{"to": token(str(n))} for n in range(100)]
    statuses = [(await send(client, batch)).status_code for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    other = [{"to": token("shop-project/a")}]
    assert (await send(client, other)).status_code == 200
    expo.clock.advance(1)
    assert (await send(client, batch)).status_code == 200


async def test_access_tokens_are_enforced_when_told_to(expo: Simulator, client: httpx.AsyncClient) -> None:
    good = Path(expo.credentials["access_token_file"]).read_text()
    message = {"to": token("a")}
    assert (await send(client, message, authorization="Bearer wrong")).status_code == 401
    await expo.set_state({"enforce_access_token": True})
    assert (await send(client, message)).status_code == 403
    assert (await send(client, message, authorization=f"Bearer {good}")).status_code == 200


async def test_rules_can_be_about_a_ticket_or_the_whole_request(expo: Simulator, client: httpx.AsyncClient) -> None:
    expo.set_rules([{"match": {"token": token("b")}, "effect": "reason:DeviceNotRegistered"}])
    tickets = (await send(client, [{"to": token("a")}, {"to": token("b")}])).json()["data"]
    assert [ticket["status"] for ticket in tickets] == ["ok", "error"]
    expo.set_rules([{"effect": "status:503"}])
    answer = await send(client, {"to": token("a")})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "API_ERROR")
    expo.set_rules([{"effect": "fail:1:500"}])
    assert [(await send(client, {"to": token("a")})).status_code for _ in range(2)] == [500, 200]


async def test_expo_may_deliver_twice(expo: Simulator, client: httpx.AsyncClient) -> None:
    await expo.set_state({"deliver_twice": 1.0})
    await send(client, {"to": token("a")})
    assert expo.stats()["duplicates"] == 1


async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.post("elsewhere")).status_code == 404
