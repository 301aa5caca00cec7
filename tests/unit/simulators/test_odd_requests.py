"""Requests that no SDK makes and a user's own program may: each gets an answer, and others on the connection theirs."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushcast.simulators import Simulator, start
from unit.simulators.fcm_client import DEVICE, FcmClient
from unit.simulators.h2_client import BODY, H2Client, device, push_headers


def caller(simulator: Simulator) -> httpx.AsyncClient:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    return httpx.AsyncClient(base_url=simulator.url, http2=True, verify=context, trust_env=False)


def broken(*_: object, **__: object) -> float:
    return 1 / 0


async def test_a_defect_of_ours_costs_one_request_and_not_its_connection(
    apns: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await H2Client.connect(apns)
    assert (await client.call(device("ab" * 32), push_headers(apns), BODY)).status == 200
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(apns.provider.recorder, "accept", broken)
        assert (await client.call(device("ab" * 32), push_headers(apns), BODY)).reset_code == 2
    assert (await client.call(device("ab" * 32), push_headers(apns), BODY)).status == 200
    assert apns.stats()["events"]["simulator_errors"] == 1


async def test_an_answer_that_cannot_be_written_does_not_hold_up_those_behind_it(
    apns: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that wait for their time share one timer: it was not set again."""
    await apns.set_state({"latency": 50})
    first, second = await H2Client.connect(apns), await H2Client.connect(apns)
    [one, _] = apns.provider.connections.values()
    monkeypatch.setattr(one, "answer_held", broken)
    path = device("dead0410")
    lost = first.post(path, {}, b"")
    await asyncio.sleep(0.005)  # a later tick of the wheel
    told = second.post(path, {}, b"")
    assert (await second.answer(told)).status == 410
    assert (await first.answer(lost)).reset_code == 2


@pytest.mark.parametrize("policy", [[1], {}, True, "1", 2, None])
async def test_a_channel_with_another_policy_is_refused(work_dir: Path, policy: Any) -> None:
    async with start("apns", work_dir=work_dir, checks=False) as simulator, caller(simulator) as client:
        wanted = {"message-storage-policy": policy, "push-type": "LiveActivity"}
        answer = await client.post("/1/apps/com.example.news/channels", json=wanted)
        assert (answer.status_code, answer.json()) == (400, {"reason": "BadRequestPayload"})
        odd = await client.get("/1/apps/com.example.news/channels", headers={b"apns-channel-id": "é".encode()})
        assert (odd.status_code, odd.json()) == (400, {"reason": "BadChannelId"})


async def test_without_checks_the_store_takes_whatever_stands_in_a_payload(work_dir: Path) -> None:
    async with start("apns", work_dir=work_dir, checks=False) as simulator, caller(simulator) as client:
        await simulator.set_state({"store": True})
        odd = {"aps": {"alert": "x", "thread-id": ["t"]}, "seq": 1, "pc": {"id": ["a"]}}
        removal = {"aps": {"content-available": 1}, "event": "remove", "ids": ["a"], "threads": ["t"], "seq": 2}
        for body in (odd, removal):
            answer = await client.post(device("ab" * 32), json=body, headers={"apns-expiration": "soon"})
            assert answer.status_code == 200
        assert len(simulator.screen("ab" * 32)["shown"]) == 1


HALF = "\\ud800"


@pytest.mark.parametrize(
    "message",
    [
        f'{{"token":"{HALF}{"a" * 30}"}}',
        f'{{"condition":"{HALF}"}}',
        f'{{"token":"{DEVICE}","data":{{"k":"{HALF}"}}}}',
        f'{{"token":"{DEVICE}","android":{{"ttl":"{"9" * 5000}s"}}}}',
    ],
)
async def test_fcm_refuses_what_is_no_unicode_and_numbers_without_end(fcm: Simulator, message: str) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send(b'{"message":%b}' % message.encode())
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert (await client.send({"token": DEVICE})).status_code == 200


async def test_http1_has_statuses_that_python_has_no_word_for_and_answers_without_a_body(fcm: Simulator) -> None:
    async with FcmClient(fcm, http2=False) as client:
        url = f"{fcm.url}/v1/projects/news-project/messages:send"
        fcm.set_rules([{"effect": "status:520"}])
        assert (await client.http.post(url)).status_code == 520
        fcm.set_rules([{"effect": "status:204"}])
        empty = await client.http.post(url)
        assert (empty.status_code, empty.content) == (204, b"")
        fcm.set_rules([])
        assert (await client.http.head(url)).status_code == 405
        assert (await client.send({"token": DEVICE})).status_code == 200
    assert fcm.stats()["connections"]["opened"] == 1


async def test_http1_answers_requests_that_come_before_the_last_answer(fcm: Simulator) -> None:
    """A client that writes ahead: we took what had come of its next request for the end of its connection."""
    context = ssl.create_default_context(cafile=str(fcm.ca_file))
    reader, writer = await asyncio.open_connection("127.0.0.1", fcm.port, ssl=context, server_hostname="localhost")
    await fcm.set_state({"latency": 20})
    request = b"POST /v1/projects/none/messages:send HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    writer.write(request * 2 + request[:40])
    async with asyncio.timeout(10):
        for _ in range(2):
            await reader.readuntil(b"HTTP/1.1 401")
        writer.write(request[40:])
        await reader.readuntil(b"HTTP/1.1 401")
    writer.close()


async def test_expo_weighs_a_message_as_it_came(work_dir: Path) -> None:
    """1,500 letters of Cyrillic are 3,000 bytes; as escapes of JSON they were 9,000, and MessageTooBig."""
    async with start("expo", work_dir=work_dir) as simulator, caller(simulator) as client:
        for body, status in (("я" * 1500, "ok"), ("я" * 2100, "error"), ("x" * 3000, "ok")):
            message = {"to": "ExponentPushToken[a]", "body": body}
            for text in (json.dumps(message), json.dumps(message, ensure_ascii=False)):
                answer = await client.post("/--/api/v2/push/send", content=text.encode())
                assert [each["status"] for each in answer.json()["data"]] == [status]
        odd = f'{{"to":"ExponentPushToken[{HALF}]","body":"{HALF}"}}'
        assert len((await client.post("/--/api/v2/push/send", content=odd.encode())).json()["data"]) == 1


async def test_a_web_push_is_a_post(work_dir: Path) -> None:
    async with start("webpush", work_dir=work_dir, checks=False) as simulator, caller(simulator) as client:
        endpoint = simulator.subscribe().endpoint
        for method in ("GET", "PUT"):
            answer = await client.request(method, endpoint)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert (await client.post(endpoint, headers={"ttl": "9" * 5000})).status_code == 201
        assert simulator.stats()["accepted"] == 1
        for verdict in ("000", "100", "999"):
            with pytest.raises(ValueError, match="is not ok or a status"):
                simulator.subscribe(verdict=verdict)
