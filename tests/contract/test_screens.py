"""What a user sees of notifications whose texts are equal."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest

from contract.provider_lab import address_at, provider_for
from pushcast.config.settings import Settings
from pushcast.model.batch import KINDS, Message
from pushcast.model.device import AddressKind
from pushcast.model.ids import delivery_id
from pushcast.providers.registry import build
from pushcast.simulators import start
from pushcast.simulators.configuration import provider_settings
from unit.providers.messages import message

TOKEN = "ab" * 32


def ring(*notification_ids: str) -> Message:
    """The same text from each of these notifications, for one device."""
    batch = message([TOKEN.encode()] * len(notification_ids), title="Ding dong", body="Someone is at the door")
    batch.targets.delivery_id = [delivery_id(each, "anna", "news", "phone") for each in notification_ids]
    batch.targets.expires_at = [int(time.time() * 1000) + 3_600_000] * len(notification_ids)
    return batch


@pytest.mark.parametrize(
    ("messages", "collapse_by", "shown"),
    [
        ([ring("bellA"), ring("bellB")], "notification", 2),
        ([ring("bellA", "bellB")], "notification", 2),
        ([ring("bellA"), ring("bellA")], "notification", 1),
        ([ring("bellA"), ring("bellB")], "content", 1),
    ],
    ids=["two notifications", "two in one message", "one twice", "two, told apart by content"],
)
async def test_a_notification_replaces_nothing_but_itself(
    messages: list[Message], collapse_by: str, shown: int, work_dir: Path
) -> None:
    """Reproduction 5.4: two rings of a doorbell are two on the screen."""
    async with start("apns", work_dir=work_dir) as simulator:
        simulator.set_device(TOKEN, online=True)
        provider = provider_for(simulator, "multicast", send={"collapse_by": collapse_by})
        await provider.start()
        for each in messages:
            await provider.send(each, range(len(each.targets)), lambda _: None)
        await provider.close()
        assert len(simulator.screen(TOKEN)["shown"]) == shown


@pytest.mark.parametrize("platform", ["fcm", "webpush", "expo"])
async def test_on_other_platforms_too_only_a_repeat_replaces(platform: str, work_dir: Path) -> None:
    """Reproduction 5.4 for the tag of Android, browsers and Expo."""
    async with start(platform, work_dir=work_dir) as simulator:
        await simulator.set_state({"store": True})
        chosen = provider_settings(simulator.describe()) | {"request_timeout_seconds": 5.0}
        provider = build("news", simulator.platform, Settings.model_validate({"apps": {"news": {platform: chosen}}}))
        await provider.start()
        address = address_at(simulator)
        kind = KINDS.index(AddressKind.SUBSCRIPTION if platform == "webpush" else AddressKind.TOKEN)
        for name in ("bellA", "bellB", "bellA"):
            each = ring(name)
            each.targets.address, each.targets.kind = [address], [kind]
            await provider.send(each, range(1), lambda _: None)
        await provider.close()
        token = orjson.loads(address)["endpoint"] if platform == "webpush" else address.decode()
        screen = simulator.screen(token)
        assert (len(screen["shown"]), screen["alerts"]) == (2, 3)
        assert screen["shown"][0]["appearance"] == {"title": "Ding dong", "body": "Someone is at the door"}
