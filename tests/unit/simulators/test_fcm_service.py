from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushcast.simulators import Simulator, start
from unit.simulators.fcm_client import DEVICE, FcmClient, assertion, error_code, fields
from unit.simulators.h2_client import Answer, H2Client, eventually

SEND = "/v1/projects/news-project/messages:send"


@pytest.mark.parametrize("http2", [True, False])
async def test_an_accepted_message_gets_a_name_over_either_http(fcm: Simulator, http2: bool) -> None:
    async with FcmClient(fcm, http2=http2) as client:
        answer = await client.send({"token": DEVICE, "notification": {"title": "t", "body": "b"}})
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert answer.status_code == 200
        assert answer.json()["name"].startswith("projects/news-project/messages/0:")
    assert fcm.stats()["accepted"] == 1


async def test_the_answer_ends_with_an_empty_data_frame(fcm: Simulator) -> None:
    client = await H2Client.connect(fcm)
    assert client.settings[0][3] == 100
    async with FcmClient(fcm) as http:
        headers = {"authorization": http.authorization}
    answer = await client.call(SEND, headers, b'{"message":{"token":"%b"}}' % DEVICE.encode())
    assert (answer.status, answer.data_frames) == (200, 2)


@pytest.mark.parametrize(
    ("message", "status", "code", "where"),
    [
        ({}, 400, "INVALID_ARGUMENT", ["message"]),
        ({"token": DEVICE, "topic": "x"}, 400, "INVALID_ARGUMENT", ["message"]),
        ({"token": "short"}, 400, "INVALID_ARGUMENT", ["message.token"]),
        ({"token": DEVICE, "data": {"a": "b", "n": 1}}, 400, None, ["message.data[1].value"]),
        ({"token": DEVICE, "data": {"from": "b"}}, 400, "INVALID_ARGUMENT", ["message.data"]),
        ({"token": DEVICE, "data": {"google.x": "b"}}, 400, "INVALID_ARGUMENT", ["message.data"]),
        ({"token": DEVICE, "colour": "red"}, 400, None, ["message"]),
        ({"token": DEVICE, "android": {"ttl": "soon"}}, 400, None, ["message.android.ttl"]),
        ({"token": DEVICE, "android": {"ttl": "2419201s"}}, 400, "INVALID_ARGUMENT", ["message.android.ttl"]),
        ({"token": DEVICE, "android": {"priority": "loud"}}, 400, None, ["message.android.priority"]),
        ({"topic": "a b"}, 400, "INVALID_ARGUMENT", ["message.topic"]),
        ({"token": DEVICE, "data": {"a": "x" * 4096}}, 400, None, []),
        ({"topic": "news", "data": {"a": "x" * 2048}}, 400, None, []),
    ],
)
async def test_a_message_at_fault_is_refused_with_the_field(
    fcm: Simulator, message: dict[str, Any], status: int, code: str | None, where: list[str]
) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send(message)
    assert (answer.status_code, error_code(answer), fields(answer)) == (status, code, where)
    assert fcm.stats()["accepted"] == 0


@pytest.mark.parametrize(
    "message",
    [
        {"fid": "x" * 22},
        {"topic": "news"},
        {"condition": "'a' in topics && 'b' in topics"},
        {"token": DEVICE, "data": {"a": "x" * 4000}},
        {"token": DEVICE, "android": {"collapseKey": "k", "ttl": "0s", "directBootOk": True}},
        {"token": DEVICE, "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"badge": 1}}}},
        {"token": DEVICE, "webpush": {"headers": {"TTL": "60"}}, "android": {"notification": {"tag": "x"}}},
    ],
)
async def test_every_kind_of_target_and_block_is_taken(fcm: Simulator, message: dict[str, Any]) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send(message)
        assert answer.status_code == 200, answer.text


async def test_broken_json_is_refused(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        for body in (b"{", b"[]", b'{"message":[]}', b"\xff\xfe"):
            answer = await client.send(body)
            assert answer.status_code == 400
            assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("prefix", "status", "code"),
    [
        ("unreg:", 404, "UNREGISTERED"),
        ("badarg:", 400, "INVALID_ARGUMENT"),
        ("mismatch:", 403, "SENDER_ID_MISMATCH"),
        ("quota:", 429, "QUOTA_EXCEEDED"),
        ("unavail:", 503, "UNAVAILABLE"),
        ("internal:", 500, "INTERNAL"),
        ("thirdparty:", 401, "THIRD_PARTY_AUTH_ERROR"),
    ],
)
async def test_verdicts_by_token_prefix(fcm: Simulator, prefix: str, status: int, code: str) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send({"token": prefix + DEVICE})
    assert (answer.status_code, error_code(answer)) == (status, code)


async def test_a_dead_ios_device_is_a_400_with_what_apns_said(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send({"token": "apns410:" + DEVICE})
    apns = next(detail for detail in answer.json()["error"]["details"] if "ApnsError" in detail["@type"])
    assert (answer.status_code, apns["statusCode"], apns["reason"]) == (400, 410, "Unregistered")


async def test_a_gateway_error_is_html(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send({"token": "html502:" + DEVICE})
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=UTF-8")


async def test_tokens_can_fail_first_or_be_slow(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        statuses = [(await client.send({"token": "fail2:" + DEVICE})).status_code for _ in range(3)]
        assert statuses == [503, 503, 200]
        slow = asyncio.create_task(client.send({"token": "slow30000:" + DEVICE}))
        await eventually(lambda: fcm.stats()["accepted"] == 2)
        assert (await client.send({"token": DEVICE})).status_code == 200
        assert not slow.done()
        slow.cancel()


async def test_validate_only_is_judged_and_delivers_nothing(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.send({"token": DEVICE}, validate_only=True)
        assert answer.json()["name"].endswith("/fake_message_id")
        assert (await client.send({"token": "short"}, validate_only=True)).status_code == 400
    assert fcm.stats()["accepted"] == 0


async def test_credentials_are_judged_before_the_message(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        assert (await client.send({}, project="shop-project")).json()["error"]["status"] == "PERMISSION_DENIED"
        assert (await client.send({}, project="nowhere")).status_code == 404
        client.authorization = "Bearer wrong"
        answer = await client.send({"token": "unreg:" + DEVICE})
        assert (answer.status_code, error_code(answer)) == (401, None)


async def test_access_tokens_expire_and_can_be_revoked(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        fcm.clock.advance(3500)
        assert (await client.send({"token": DEVICE})).status_code == 200
        fcm.clock.advance(100)
        assert (await client.send({"token": DEVICE})).status_code == 401
        await client.authorize()
        assert (await client.send({"token": DEVICE})).status_code == 200
        await fcm.set_state({"revoke_access_tokens": True})
        assert (await client.send({"token": DEVICE})).status_code == 401
    assert fcm.stats()["access_tokens_issued"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example/token"},
        {"iss": "nobody@nowhere.iam.gserviceaccount.com"},
        {"exp": 1_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_003_600},
        {"scope": "https://www.googleapis.com/auth/drive"},
    ],
)
async def test_an_assertion_that_does_not_hold_is_an_invalid_grant(fcm: Simulator, changes: dict[str, Any]) -> None:
    async with FcmClient(fcm) as client:
        answer = await client.exchange(assertion(fcm, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_the_token_endpoint_can_fail_in_the_ways_it_does(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        long = await client.exchange(assertion(fcm, exp=int(fcm.clock.now()) + 7200))
        assert long.json()["error"] == "invalid_grant"
        assert (await client.exchange("x", grant="password")).json()["error"] == "unsupported_grant_type"
        await fcm.set_state({"token_endpoint": "unavailable"})
        assert (await client.exchange(assertion(fcm))).status_code == 503
        await fcm.set_state({"token_endpoint": "ok", "revoked_projects": ["news-project"]})
        assert (await client.exchange(assertion(fcm))).json()["error"] == "invalid_grant"
        assert (await client.send({"token": DEVICE})).status_code == 401
        await client.authorize("shop")
        assert (await client.send({"token": DEVICE}, project="shop-project")).status_code == 200


async def test_the_project_quota_says_when_to_come_back_if_it_is_told_to(fcm: Simulator) -> None:
    await fcm.set_state({"quota": {"project_per_minute": 2, "retry_after": "30"}})
    async with FcmClient(fcm) as client:
        answers = [await client.send({"token": DEVICE}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "30"
        fcm.clock.advance(60)
        assert (await client.send({"token": DEVICE})).status_code == 200
        await fcm.set_state({"quota": {"project_per_minute": 0, "retry_after": None}})
        assert "retry-after" not in (await client.send({"token": DEVICE})).headers
        await fcm.set_state({"quota": None})
        assert (await client.send({"token": DEVICE})).status_code == 200


async def test_what_is_refused_for_its_form_or_its_token_counts_against_the_project_s_quota(fcm: Simulator) -> None:
    await fcm.set_state({"quota": {"project_per_minute": 3}})
    async with FcmClient(fcm) as client:
        messages = [{"token": DEVICE, "data": {"n": 1}}, {"token": "unreg:" + DEVICE}, {"token": "quota:" + DEVICE}]
        answers = [await client.send(message) for message in (*messages, {"token": DEVICE}, {"token": DEVICE})]
    assert [answer.status_code for answer in answers] == [400, 404, 429, 200, 429]


@pytest.mark.parametrize(
    ("state", "debug"), [({"idle_seconds": 0.1}, b"session_timeout"), ({"max_age_seconds": 0.1}, b"max_age")]
)
async def test_idle_and_old_connections_are_sent_away(fcm: Simulator, state: dict[str, float], debug: bytes) -> None:
    await fcm.set_state(state)
    client = await H2Client.connect(fcm)
    await client.until(lambda: bool(client.goaways))
    assert client.goaways[0].additional_data == debug


async def test_pings_without_requests_are_too_many_at_the_fourth(fcm: Simulator) -> None:
    client = await H2Client.connect(fcm)
    for _ in range(4):
        client.machine.ping(b"12345678")
    client.flush()
    await client.until(lambda: client.lost)
    assert (client.goaways[0].error_code, client.goaways[0].additional_data) == (0xB, b"too_many_pings")


async def test_a_request_without_authority_is_refused(fcm: Simulator) -> None:
    client = await H2Client.connect(fcm)
    stream = client.machine.get_next_available_stream_id()
    client.answers[stream] = Answer()
    client.machine.config.validate_outbound_headers = False
    fields_without = [(":method", "POST"), (":scheme", "https"), (":path", SEND)]
    client.machine.send_headers(stream, fields_without, end_stream=True)
    client.flush()
    assert (await client.answer(stream)).status == 400


async def test_with_checks_off_anyone_may_send_anything(work_dir: Path) -> None:
    async with start("fcm", work_dir=work_dir, checks=False) as lenient:
        client = await H2Client.connect(lenient)
        assert (await client.call(SEND, {}, b'{"message":{"token":"abc"}}')).status == 200
        assert (await client.call(SEND, {}, b'{"message":{"token": "unreg:abc"}}')).status == 404
        assert lenient.stats()["copies_tracked"] == 1


async def test_http1_connections_are_reset_and_dropped_too(fcm: Simulator) -> None:
    async with FcmClient(fcm, http2=False) as client:
        for effect in ("reset:CANCEL", "drop", "partial"):
            fcm.set_rules([{"effect": effect, "times": 1}])
            with pytest.raises(httpx.TransportError):
                await client.send({"token": DEVICE})
        assert (await client.send({"token": DEVICE})).status_code == 200


async def test_the_server_pings_behind_requests(fcm: Simulator) -> None:
    await fcm.set_state({"ping_seconds": 0.0})
    client = await H2Client.connect(fcm)
    await client.call(SEND, {}, b"{}")
    await client.until(lambda: client.pings > 0)


async def test_a_copy_with_less_time_left_is_a_duplicate_and_other_text_is_not(fcm: Simulator) -> None:
    async with FcmClient(fcm) as client:
        for ttl, body in (("60s", "a"), ("59s", "a"), ("60s", "b")):
            await client.send({"token": DEVICE, "notification": {"body": body}, "android": {"ttl": ttl}})
    stats = fcm.stats()
    assert (stats["accepted"], stats["duplicates"]) == (3, 1)
