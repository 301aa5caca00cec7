from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushcast.simulators import Simulator, start
from unit.simulators.h2_client import BODY, Answer, H2Client, device, eventually, provider_token, push_headers

TOKEN = "ab" * 32


async def push(simulator: Simulator, body: str = "hello", **changes: str) -> int:
    client = await H2Client.connect(simulator)
    text = json.dumps({"aps": {"alert": body}}).encode()
    answer = await client.call(device(TOKEN), push_headers(simulator, **changes), text)
    client.close()
    return answer.status


async def test_a_retry_with_the_same_collapse_id_shows_once_and_alerts_twice(apns: Simulator) -> None:
    apns.set_device(TOKEN, online=True)
    for body in ("first", "second"):
        await push(apns, body, apns_collapse_id="goal")
    await push(apns, "other")
    screen = apns.screen(TOKEN)
    assert [json.loads(row["body"])["aps"]["alert"] for row in screen["shown"]] == ["second", "other"]
    assert screen["alerts"] == 3


async def test_an_offline_device_keeps_the_newest_per_app_and_nothing_that_expired(apns: Simulator) -> None:
    apns.set_device(TOKEN, online=False)
    for body in ("first", "second"):
        assert await push(apns, body) == 200
    assert await push(apns, "now or never", apns_expiration="0") == 200
    assert apns.screen(TOKEN) == {"online": False, "shown": [], "alerts": 0, "badge": None, "stored": 1}
    apns.set_device(TOKEN, online=True)
    assert [json.loads(row["body"])["aps"]["alert"] for row in apns.screen(TOKEN)["shown"]] == ["second"]


async def test_what_expired_while_the_device_was_offline_is_never_shown(apns: Simulator) -> None:
    apns.set_device(TOKEN, online=False)
    await push(apns, apns_expiration=str(int(apns.clock.now()) + 60))
    apns.clock.advance(61)
    apns.set_device(TOKEN, online=True)
    assert apns.screen(TOKEN)["shown"] == []


async def test_an_app_takes_off_its_screen_what_a_removal_names(apns: Simulator) -> None:
    apns.set_device(TOKEN, online=True)
    client = await H2Client.connect(apns)
    shown = {
        "by its id": {"aps": {"alert": "a"}, "pc": {"id": "n-1"}},
        "by its thread": {"aps": {"alert": "b", "thread-id": "t1"}},
        "neither": {"aps": {"alert": "c"}, "pc": {"id": "n-2"}},
    }
    for payload in shown.values():
        await client.call(device(TOKEN), push_headers(apns), json.dumps(payload).encode())
    await push(apns, "d", apns_collapse_id="n-3")
    removal = {"aps": {"content-available": 1}, "event": "remove", "ids": ["n-1", "n-3"], "threads": ["t1"], "seq": 1}
    background = {"apns_push_type": "background", "apns_priority": "5"}
    answer = await client.call(device(TOKEN), push_headers(apns, **background), json.dumps(removal).encode())
    client.close()
    assert answer.status == 200
    screen = apns.screen(TOKEN)
    assert [json.loads(row["body"])["aps"]["alert"] for row in screen["shown"]] == ["c"]
    assert screen["alerts"] == 4


async def test_a2_an_app_does_not_show_what_was_made_before_a_removal_that_overtook_it(apns: Simulator) -> None:
    apns.set_device(TOKEN, online=True)
    client = await H2Client.connect(apns)
    removal = {"aps": {"content-available": 1}, "event": "remove", "ids": ["n-1"], "threads": ["t1"], "seq": 100}
    background = {"apns_push_type": "background", "apns_priority": "5"}
    await client.call(device(TOKEN), push_headers(apns, **background), json.dumps(removal).encode())
    adds = [
        {"aps": {"alert": "older"}, "pc": {"id": "n-1"}, "seq": 100},
        {"aps": {"alert": "older, of the thread", "thread-id": "t1"}, "seq": 99},
        {"aps": {"alert": "newer, of the thread", "thread-id": "t1"}, "seq": 101},
        {"aps": {"alert": "another"}, "pc": {"id": "n-2"}, "seq": 99},
        {"aps": {"alert": "of a class that is not removable"}, "pc": {"id": "n-1"}},
    ]
    for payload in adds:
        await client.call(device(TOKEN), push_headers(apns), json.dumps(payload).encode())
    await client.call(device(TOKEN), push_headers(apns, **background), json.dumps(removal).encode())
    client.close()
    shown = [json.loads(row["body"])["aps"]["alert"] for row in apns.screen(TOKEN)["shown"]]
    assert shown == ["newer, of the thread", "another"], "the one that does not say when it was made is taken off again"


async def test_the_view_of_devices_is_off_until_it_is_asked_for(apns: Simulator, fcm: Simulator) -> None:
    with pytest.raises(ValueError, match="switch the store on"):
        apns.screen(TOKEN)
    with pytest.raises(ValueError, match="switch the store on"):
        fcm.screen(TOKEN)
    with pytest.raises(ValueError, match="fcm has no view"):
        fcm.set_device(TOKEN, online=True)


async def channel(client: H2Client, simulator: Simulator, method: str, **extra: str) -> Answer:
    stream = client.machine.get_next_available_stream_id()
    client.answers[stream] = Answer()
    headers = [(":method", method), (":scheme", "https"), (":authority", "localhost")]
    headers += [(":path", extra.pop("path", "/1/apps/com.example.news/channels"))]
    headers += [("authorization", provider_token(simulator))]
    body = extra.pop("body", "")
    headers += [(name.replace("_", "-"), value) for name, value in extra.items()]
    client.machine.send_headers(stream, headers, end_stream=not body)
    if body:
        client.machine.send_data(stream, body.encode(), end_stream=True)
    client.flush()
    return await client.answer(stream)


async def test_channels_are_created_read_listed_and_deleted(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    body = json.dumps({"message-storage-policy": 1, "push-type": "LiveActivity"})
    made = await channel(client, apns, "POST", body=body)
    channel_id = made.headers["apns-channel-id"]
    assert made.status == 201
    assert len(made.headers["apns-request-id"]) == 36
    read = await channel(client, apns, "GET", apns_channel_id=channel_id)
    assert json.loads(read.body) == {"message-storage-policy": 1, "push-type": "LiveActivity"}
    listed = await channel(client, apns, "GET", path="/1/apps/com.example.news/all-channels")
    assert json.loads(listed.body) == {"channels": [channel_id]}
    assert (await channel(client, apns, "DELETE", apns_channel_id=channel_id)).status == 204
    gone = await channel(client, apns, "GET", apns_channel_id=channel_id)
    assert gone.reason == "ChannelNotRegistered"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"apns_channel_id": ""}, "MissingChannelId"),
        ({"apns_channel_id": "***"}, "BadChannelId"),
        ({"apns_channel_id": "AAAA"}, "ChannelNotRegistered"),
        ({"apns_push_type": ""}, "MissingPushType"),
        ({"apns_push_type": "alert"}, "InvalidPushType"),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_expiration": "9999999999"}, "BadExpirationDate"),
        ({"path": "/4/broadcasts/apps/com.example.shop"}, "TopicMismatch"),
    ],
)
async def test_a_publish_to_a_channel_is_judged(apns: Simulator, changes: dict[str, str], reason: str | None) -> None:
    client = await H2Client.connect(apns)
    body = json.dumps({"message-storage-policy": 0, "push-type": "LiveActivity"})
    made = await channel(client, apns, "POST", body=body)
    fields = {
        "path": "/4/broadcasts/apps/com.example.news",
        "apns_channel_id": made.headers["apns-channel-id"],
        "apns_push_type": "liveactivity",
        "apns_expiration": "0",
        "apns_priority": "10",
    }
    fields = {name: value for name, value in (fields | changes).items() if value}
    answer = await channel(client, apns, "POST", body=BODY.decode(), **fields)
    assert (answer.reason if answer.body else None) == reason
    assert apns.stats()["accepted"] == (reason is None)


async def test_a_push_certificate_replaces_the_token_and_its_uid_is_the_topic(work_dir: Path) -> None:
    async with start("apns", work_dir=work_dir, mtls=True) as simulator:
        known = simulator.credentials
        pair = (known["certificate_file"], known["certificate_key_file"])
        client = await H2Client.connect(simulator, certificate=pair)
        await client.until(lambda: client.settings[-1].get(3) == 1000)
        assert (
            await client.call(device("aa"), push_headers(simulator, authorization="", apns_topic=""), BODY)
        ).status == 200
        other = await client.call(device("aa"), push_headers(simulator, authorization="", apns_topic="com.other"), BODY)
        assert other.reason == "TopicDisallowed"
        plain = await H2Client.connect(simulator)
        assert (await plain.call(device("aa"), push_headers(simulator), BODY)).status == 200


async def test_too_many_streams_can_cost_the_connection(apns: Simulator) -> None:
    await apns.set_state({"excess_streams": "goaway", "streams": 2})
    client = await H2Client.connect(apns)
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200
    await client.until(lambda: client.settings[-1].get(3) == 2)
    await client.call(device("aa"), push_headers(apns), BODY)
    client.machine.remote_settings.update({3: 100})
    client.machine.remote_settings.acknowledge()
    for number in range(3):
        client.post(device("ba5e0001"), {}, b"", flush=number == 2)
    await client.until(lambda: bool(client.goaways))
    assert client.goaways[0].error_code == 1
    await eventually(lambda: apns.stats()["connections"]["open"] == 0)


async def test_a_connection_can_be_sent_away_after_some_time(apns: Simulator) -> None:
    await apns.set_state({"goaway": {"after_seconds": 0.05, "mode": "abrupt"}})
    client = await H2Client.connect(apns)
    await client.until(lambda: client.lost)
    assert len(client.goaways) == 1
