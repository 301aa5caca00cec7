from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pushcast.simulators import Simulator, start
from pushcast.simulators.apns.prefixes import OLD_TIMESTAMP_MS
from unit.simulators.h2_client import BODY, H2Client, device, provider_token, push_headers

GOOD_ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
BACKGROUND = b'{"aps":{"content-available":1}}'


async def refused(simulator: Simulator, path: str, body: bytes = BODY, **changes: str) -> tuple[int, str]:
    client = await H2Client.connect(simulator)
    answer = await client.call(path, push_headers(simulator, **changes), body)
    client.close()
    return answer.status, answer.reason if answer.body else "accepted"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (200, "accepted")),
        ({"apns_id": GOOD_ID}, (200, "accepted")),
        ({"apns_id": "not-a-uuid"}, (400, "BadMessageId")),
        ({"apns_id": GOOD_ID.replace("e", "g")}, (400, "BadMessageId")),
        ({"apns_topic": ""}, (400, "MissingTopic")),
        ({"apns_topic": "com.example.other"}, (400, "TopicDisallowed")),
        ({"apns_topic": "com.example.shop"}, (400, "TopicDisallowed")),
        ({"apns_topic": "com.example.news.voip"}, (400, "BadTopic")),
        ({"apns_topic": "com.example.news.voip", "apns_push_type": "voip"}, (200, "accepted")),
        ({"apns_push_type": "voip"}, (400, "BadTopic")),
        ({"apns_push_type": "loud"}, (400, "InvalidPushType")),
        ({"apns_push_type": ""}, (200, "accepted")),
        ({"apns_priority": "1"}, (200, "accepted")),
        ({"apns_priority": "7"}, (400, "BadPriority")),
        ({"apns_push_type": "background"}, (400, "BadPriority")),
        ({"apns_push_type": "background", "apns_priority": "5"}, (200, "accepted")),
        ({"apns_expiration": "0"}, (200, "accepted")),
        ({"apns_expiration": "soon"}, (400, "BadExpirationDate")),
        ({"apns_collapse_id": "x" * 64}, (200, "accepted")),
        ({"apns_collapse_id": "x" * 65}, (400, "BadCollapseId")),
        ({"authorization": ""}, (403, "MissingProviderToken")),
        ({"authorization": "bearer "}, (403, "MissingProviderToken")),
        ({"authorization": "bearer nonsense"}, (403, "InvalidProviderToken")),
    ],
)
async def test_headers_are_judged_as_apple_does(
    apns: Simulator, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await refused(apns, device("aa"), **changes) == expected


@pytest.mark.parametrize(
    ("path", "body", "changes", "expected"),
    [
        ("/3/device/", BODY, {}, (400, "MissingDeviceToken")),
        ("/3/device/" + "zz" * 32, BODY, {}, (400, "BadDeviceToken")),
        ("/3/device/abc", BODY, {}, (400, "BadDeviceToken")),
        ("/4/device/" + "aa" * 32, BODY, {}, (404, "BadPath")),
        ("/3/device/" + "AB" * 50, BODY, {}, (200, "accepted")),
        (device("aa"), b"", {}, (400, "PayloadEmpty")),
        (device("aa"), b"{not json", {}, (400, "PayloadEmpty")),
        (device("aa"), b'{"other":1}', {}, (400, "PayloadEmpty")),
        (device("aa"), b'{"aps":{"alert":"%b"}}' % (b"x" * 4096), {}, (413, "PayloadTooLarge")),
        (device("aa"), b'{"aps":{"alert":"%b"}}' % (b"x" * (4096 - 20)), {}, (200, "accepted")),
        (
            device("aa"),
            b'{"aps":{"alert":"%b"}}' % (b"x" * 5000),
            {"apns_topic": "com.example.news.voip", "apns_push_type": "voip"},
            (200, "accepted"),
        ),
    ],
)
async def test_path_and_payload_are_judged_as_apple_does(
    apns: Simulator, path: str, body: bytes, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await refused(apns, path, body, **changes) == expected


async def test_the_first_fault_in_pushys_order_is_the_one_reported(apns: Simulator) -> None:
    faults = [
        ({"apns_id": "bad"}, "BadMessageId"),
        ({"apns_topic": ""}, "MissingTopic"),
        ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_push_type": "loud"}, "InvalidPushType"),
        ({"authorization": ""}, "MissingProviderToken"),
    ]
    for index in range(len(faults)):
        changes = {name: value for change, _ in faults[index:] for name, value in change.items()}
        assert (await refused(apns, device("aa"), b"", **changes))[1] == faults[index][1]


async def test_verdicts_by_token_prefix_need_no_valid_request(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    before = apns.clock.now_ms()
    fresh = await client.call(device("dead0410"), {}, b"")
    old = await client.call(device("dead0411"), {}, b"")
    assert (fresh.status, fresh.reason) == (410, "Unregistered")
    assert b'"timestamp":%d' % OLD_TIMESTAMP_MS in old.body
    assert before <= int(fresh.body.rpartition(b":")[2].rstrip(b"}")) <= apns.clock.now_ms()
    for prefix, expected in {
        "dead0412": (410, "ExpiredToken"),
        "bad00400": (400, "BadDeviceToken"),
        "bad00401": (400, "DeviceTokenNotForTopic"),
        "e0000429": (429, "TooManyRequests"),
        "e0000500": (500, "InternalServerError"),
        "e0000503": (503, "ServiceUnavailable"),
    }.items():
        answer = await client.call(device(prefix), {}, b"")
        assert (answer.status, answer.reason) == expected


async def test_a_token_can_fail_so_often_first(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    answers = [await client.call(device("f1a00002"), push_headers(apns), BODY) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]


async def test_a_connection_is_bound_to_the_team_and_key_of_its_first_push(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200
    other = await client.call(device("aa"), push_headers(apns, "shop"), BODY)
    assert (other.status, other.reason) == (403, "InvalidProviderToken")
    fresh = await H2Client.connect(apns)
    assert (await fresh.call(device("aa"), push_headers(apns, "shop"), BODY)).status == 200


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "ZZZZZZZZZZ"}, "InvalidProviderToken"),
        ({"kid": "ZZZZZZZZZZ"}, "InvalidProviderToken"),
        ({"iat": "now"}, "InvalidProviderToken"),
    ],
)
async def test_claims_that_do_not_fit_the_key_are_refused(apns: Simulator, claims: dict[str, Any], reason: str) -> None:
    token = provider_token(apns, **claims)
    assert await refused(apns, device("aa"), authorization=token) == (403, reason)


async def test_a_token_expires_after_an_hour_and_its_connection_never_recovers(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    headers = push_headers(apns)
    assert (await client.call(device("aa"), headers, BODY)).status == 200
    apns.clock.advance(3601)
    assert (await client.call(device("aa"), headers, BODY)).reason == "ExpiredProviderToken"
    renewed = push_headers(apns, authorization=provider_token(apns, iat=int(apns.clock.now())))
    assert (await client.call(device("aa"), renewed, BODY)).reason == "ExpiredProviderToken"
    fresh = await H2Client.connect(apns)
    assert (await fresh.call(device("aa"), renewed, BODY)).status == 200


async def test_a_token_from_the_future_is_refused_beyond_the_allowed_skew(apns: Simulator) -> None:
    now = int(apns.clock.now())
    assert (await refused(apns, device("aa"), authorization=provider_token(apns, iat=now + 30)))[0] == 200
    ahead = await refused(apns, device("aa"), authorization=provider_token(apns, iat=now + 120))
    assert ahead == (403, "InvalidProviderToken")


async def test_a_second_new_token_within_twenty_minutes_is_one_too_many(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    now = int(apns.clock.now())
    first, second = (push_headers(apns, authorization=provider_token(apns, iat=now - n)) for n in (2, 1))
    assert (await client.call(device("aa"), first, BODY)).status == 200
    early = await client.call(device("aa"), second, BODY)
    assert (early.status, early.reason) == (429, "TooManyProviderTokenUpdates")
    assert (await client.call(device("aa"), first, BODY)).status == 200
    apns.clock.advance(1201)
    assert (await client.call(device("aa"), second, BODY)).status == 200
    assert apns.stats()["provider_tokens_seen"] == 2


async def test_token_updates_can_be_counted_per_team(apns: Simulator) -> None:
    await apns.set_state({"token_update_scope": "team"})
    now = int(apns.clock.now())
    tokens = [provider_token(apns, iat=now - n) for n in (2, 1)]
    assert (await refused(apns, device("aa"), authorization=tokens[0]))[0] == 200
    assert (await refused(apns, device("aa"), authorization=tokens[0]))[0] == 200
    assert (await refused(apns, device("aa"), authorization=tokens[1]))[0] == 429


async def test_a_token_that_was_used_before_the_scope_became_the_team_is_no_update(apns: Simulator) -> None:
    now = int(apns.clock.now())
    tokens = [provider_token(apns, iat=now - n) for n in (2, 1)]
    assert (await refused(apns, device("aa"), authorization=tokens[0]))[0] == 200
    await apns.set_state({"token_update_scope": "team"})
    assert (await refused(apns, device("aa"), authorization=tokens[1]))[0] == 429
    assert (await refused(apns, device("aa"), authorization=tokens[0]))[0] == 200
    apns.clock.advance(1201)
    assert (await refused(apns, device("aa"), authorization=tokens[1]))[0] == 200
    assert (await refused(apns, device("aa"), authorization=tokens[0]))[0] == 200


async def test_a_revoked_key_is_invalid_for_its_app_alone(apns: Simulator) -> None:
    await apns.set_state({"revoked_keys": [apns.credentials["apps"]["news"]["key_id"]]})
    assert await refused(apns, device("aa")) == (403, "InvalidProviderToken")
    client = await H2Client.connect(apns)
    assert (await client.call(device("aa"), push_headers(apns, "shop"), BODY)).status == 200


async def test_many_bad_device_tokens_end_the_connection(apns: Simulator) -> None:
    await apns.set_state({"bad_device_token_limit": 2})
    client = await H2Client.connect(apns)
    for _ in range(2):
        await client.call(device("bad00400"), {}, b"")
    await client.until(lambda: bool(client.goaways))


async def test_the_sandbox_names_each_push_and_refuses_production_keys(work_dir: Path) -> None:
    async with start("apns", work_dir=work_dir, environment="sandbox") as sandbox:
        client = await H2Client.connect(sandbox)
        answer = await client.call(device("aa"), push_headers(sandbox), BODY)
        assert len(answer.headers["apns-unique-id"]) == 36


async def test_with_checks_off_only_rules_and_prefixes_decide(work_dir: Path) -> None:
    async with start("apns", work_dir=work_dir, checks=False) as lenient:
        client = await H2Client.connect(lenient)
        answers = await asyncio.gather(
            client.call("/3/device/whatever", {}, b"x"), client.call(device("dead0410"), {}, b"x")
        )
        assert [answer.status for answer in answers] == [200, 410]


async def test_a_token_that_was_taken_for_alerts_is_refused_under_a_topic_of_another_kind_and_the_other_way_round(
    apns: Simulator,
) -> None:
    voip: dict[str, Any] = {"apns_topic": "com.example.news.voip", "apns_push_type": "voip"}
    assert await refused(apns, device("aa")) == (200, "accepted")
    assert await refused(apns, device("aa"), **voip) == (400, "DeviceTokenNotForTopic")
    assert await refused(apns, device("ab"), **voip) == (200, "accepted")
    assert await refused(apns, device("ab")) == (400, "DeviceTokenNotForTopic")
    assert await refused(apns, device("aa")) == (200, "accepted"), "it is kept"
