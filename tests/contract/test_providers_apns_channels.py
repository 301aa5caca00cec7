"""Broadcast channels against the APNs simulator: management, publishing, refusals, and the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from typer.testing import CliRunner

from contract.provider_lab import Lab, outcomes, provider_for
from pushcast.cli.channel import app as channel_command
from pushcast.config.settings import Settings
from pushcast.model.batch import KINDS
from pushcast.model.device import AddressKind
from pushcast.model.notification import LiveActivity
from pushcast.providers.apns.channels import Channel, ChannelRefused, Channels
from pushcast.providers.port import Disposition, Result
from pushcast.providers.registry import build_channels
from pushcast.providers.unsendable import Unsendable
from pushcast.simulators import Simulator, start
from unit.providers.messages import message

UPDATE = LiveActivity(event="update", content_state='{"score":"1:0"}', timestamp=1_800_000_000_000)


def settings_of(simulator: Simulator, **changes: Any) -> dict[str, Any]:
    chosen = {name: simulator.credentials[name] for name in ("key_file", "key_id", "team_id", "topic")}
    own = {"endpoint": simulator.url, "channels_endpoint": simulator.url, "ca_file": str(simulator.ca_file)}
    return {"apps": {"news": {"apns": {**chosen, **own, **changes}}}}


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with start("apns", work_dir=tmp_path) as simulator:
        yield simulator


@pytest.fixture
async def channels(simulator: Simulator) -> AsyncIterator[Channels]:
    channels = build_channels("news", Settings(**settings_of(simulator)))
    yield channels
    await channels.close()


async def refused(asked: Any) -> tuple[str, str | None]:
    with pytest.raises(ChannelRefused) as caught:
        await asked
    return caught.value.reason, caught.value.answer


async def test_a_channel_is_created_read_listed_and_deleted(channels: Channels) -> None:
    plain, storing = await channels.create(), await channels.create(stores_newest=True)
    assert await channels.read(plain) == Channel(plain, False)
    assert await channels.read(storing) == Channel(storing, True)
    assert sorted(await channels.every()) == sorted([plain, storing])
    await channels.delete(plain)
    assert await channels.every() == [storing]
    assert await refused(channels.read(plain)) == ("channel_gone", "ChannelNotRegistered")


async def test_an_update_is_published_to_a_channel(simulator: Simulator, channels: Channels) -> None:
    channel_id = await channels.create(stores_newest=True)
    alert = {"title": "Goal!"}
    assert await channels.publish(channel_id, UPDATE, alert=alert, expires_at=1_800_003_600_000)
    delivery = simulator.deliveries()[-1]
    assert json.loads(delivery["body"]) == {
        "aps": {
            "timestamp": 1_800_000_000,
            "event": "update",
            "content-state": {"score": "1:0"},
            "alert": {"title": "Goal!"},
        }
    }
    headers = delivery["headers"]
    assert (headers["apns-expiration"], headers["apns-priority"]) == ("1800003600", "10")
    assert "apns-topic" not in headers


async def test_refusals_have_their_words(channels: Channels) -> None:
    channel_id = await channels.create()
    assert await refused(channels.publish(channel_id, UPDATE, expires_at=1_800_003_600_000)) == (
        "bad_request",
        "BadExpirationDate",
    )
    assert await refused(channels.publish("bm9uZQ==", UPDATE)) == ("channel_gone", "ChannelNotRegistered")
    assert (await refused(channels.read("no base64!")))[0] == "channel_gone"
    big = LiveActivity(event="update", content_state={"text": "x" * 5_120})
    with pytest.raises(Unsendable, match="broadcast payload"):
        await channels.publish(channel_id, big)


async def test_a_revoked_key_is_a_credential_problem(simulator: Simulator, channels: Channels) -> None:
    await simulator.set_state({"revoked_keys": [simulator.credentials["key_id"]]})
    assert (await refused(channels.create()))[0] == "credential_refused"


async def test_a_host_that_is_away_is_said_so(simulator: Simulator) -> None:
    channels = build_channels("news", Settings(**settings_of(simulator, request_timeout_seconds=0.5)))
    await simulator.set_state({"network": "refuse"})
    assert (await refused(channels.every()))[0] in {"connection_failed", "not_sent_in_time"}
    await channels.close()


CHANNEL, STORING = KINDS.index(AddressKind.CHANNEL), KINDS.index(AddressKind.STORING_CHANNEL)


async def sent(simulator: Simulator, channel: str, kind: int, engine: str = "multicast", **changes: Any) -> Result:
    """What becomes of a broadcast with `via: apns_channel` at this simulator."""
    provider = provider_for(simulator, engine)
    await provider.start()
    results: list[Result] = []
    options = {"push_type": "liveactivity", "live_activity": UPDATE, **changes}
    made = message([channel.encode()], kinds=[kind], **options)
    await provider.send(made, [0], results.extend)
    await provider.close()
    [result] = results
    return result


@pytest.mark.parametrize("engine", ["multicast", "httpx"])
async def test_a_broadcast_via_apns_channel_is_one_request_to_the_channel(
    simulator: Simulator, channels: Channels, engine: str
) -> None:
    plain, storing = await channels.create(), await channels.create(stores_newest=True)
    for channel, kind, expiration in ((plain, CHANNEL, "0"), (storing, STORING, "1800003600")):
        result = await sent(simulator, channel, kind, engine)
        delivery = simulator.deliveries()[-1]
        headers = delivery["headers"]
        assert result.disposition is Disposition.ACCEPTED
        assert UUID(result.provider_id or ""), "APNs' own id of the request"
        assert (headers["apns-channel-id"], headers["apns-expiration"]) == (channel, expiration)
        assert not {"apns-topic", "apns-id", "apns-collapse-id"} & set(headers)
        assert json.loads(delivery["body"])["aps"]["content-state"] == {"score": "1:0"}


async def test_a_channel_that_is_gone_or_of_another_kind_costs_one_rejected_delivery(
    simulator: Simulator, channels: Channels
) -> None:
    plain = await channels.create()
    wrong = await sent(simulator, plain, STORING)
    assert (wrong.disposition, wrong.reason) == (Disposition.REJECTED, "bad_request")
    await channels.delete(plain)
    gone = await sent(simulator, plain, CHANNEL)
    assert (gone.disposition, gone.reason) == (Disposition.REJECTED, "channel_gone")


async def test_a_dry_run_for_a_channel_asks_apns_nothing(simulator: Simulator) -> None:
    assert (await sent(simulator, "dHQ=", CHANNEL, dry_run=True)).disposition is Disposition.ACCEPTED
    assert simulator.deliveries() == []


async def test_an_engine_without_broadcasts_says_that_it_is_not_configured(simulator: Simulator) -> None:
    result = await sent(simulator, "dHQ=", CHANNEL, "aioapns")
    assert (result.disposition, result.reason) == (Disposition.REJECTED, "not_configured")


async def test_the_command_manages_channels(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "pushcast.yaml"
    configuration.write_text(yaml.safe_dump(settings_of(simulator)))
    monkeypatch.setenv("PUSHCAST_CONFIG", str(configuration))

    async def run(*words: str) -> dict[str, Any]:
        command = [*words, "--app", "news", "--output", "json"]
        result = await asyncio.to_thread(CliRunner().invoke, channel_command, command)
        assert result.exit_code == 0, result.output
        shown: dict[str, Any] = json.loads(result.stdout)
        return shown

    created = (await run("create", "--store"))["channel"]
    assert await run("list") == {"channels": [created]}
    assert await run("show", created) == {"channel": created, "stores_newest": True}
    published = await run("publish", created, "--content-state", '{"score":"1:0"}', "--title", "Goal!")
    assert published["request_id"]
    assert (await run("delete", created))["deleted"]
    assert await run("list") == {"channels": []}


async def test_a_live_activity_of_one_device_is_started_updated_and_ended(simulator: Simulator) -> None:
    lab = Lab("apns", "multicast", simulator, provider_for(simulator, "multicast"))
    await lab.provider.start()
    start_ = LiveActivity(
        event="start", content_state='{"score":"0:0"}', attributes_type="Match", attributes="{}", input_push_token=True
    )
    for activity in (start_, UPDATE, LiveActivity(event="end")):
        results = await lab.send(lab.tokens("good", 2), push_type="liveactivity", live_activity=activity)
        assert outcomes(results) == {("accepted", None): 2}
        sent = simulator.deliveries()[-1]
        assert sent["headers"]["apns-topic"].endswith(".push-type.liveactivity")
        assert json.loads(sent["body"])["aps"]["event"] == activity.event
    assert outcomes(await lab.send(lab.tokens("good", 1), push_type="liveactivity")) == {
        ("rejected", "invalid_field"): 1
    }
    await lab.provider.close()
