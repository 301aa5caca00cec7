"""Changes of subscriptions against the FCM simulator, by the engine that sends pushes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.providers import registry
from pushcast.providers.fcm.subscriptions import SubscriptionChange, TopicSubscriptions
from pushcast.providers.port import Disposition
from pushcast.simulators import Simulator, start

TOKEN = b"cAbCdEfGhIjKlMnOpQrStU:APA91b" + b"z" * 100
OTHER = b"c-OtherOtherOtherOther:APA91b" + b"y" * 100


@asynccontextmanager
async def opened(folder: Path, **fcm: Any) -> AsyncIterator[tuple[Simulator, TopicSubscriptions]]:
    async with start("fcm", apps=("news",), work_dir=folder) as simulator:
        shown = simulator.credentials["apps"]["news"]
        chosen = {**shown, "endpoint": simulator.url, "ca_file": str(simulator.ca_file), **fcm}
        settings = Settings.model_validate({"apps": {"news": {"fcm": chosen}}})
        subscriptions = registry.build_subscriptions("news", settings)
        await subscriptions.start()
        try:
            yield simulator, subscriptions
        finally:
            await subscriptions.close()


def followed(simulator: Simulator) -> dict[str, int]:
    found: dict[str, int] = simulator.stats()["topics_followed"]
    return found


async def test_devices_follow_topics_and_leave_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as (simulator, fcm):
        asked = [SubscriptionChange(TOKEN, "team-a", True), SubscriptionChange(OTHER, "50%25", True)]
        assert [verdict.disposition for verdict in await fcm.tell(asked)] == [Disposition.ACCEPTED] * 2
        assert followed(simulator) == {"50%25": 1, "team-a": 1}
        asked = [SubscriptionChange(TOKEN, "team-a", False), SubscriptionChange(OTHER, "team-a", True)]
        assert [verdict.disposition for verdict in await fcm.tell(asked)] == [Disposition.ACCEPTED] * 2
        assert followed(simulator) == {"50%25": 1, "team-a": 1}
        assert simulator.stats()["accepted"] == 0, "no push"


@pytest.mark.parametrize("follows", [True, False])
async def test_what_fcm_knows_already_is_no_error(tmp_path: Path, follows: bool) -> None:
    async with opened(tmp_path) as (_, fcm):
        for _ in range(2):
            [verdict] = await fcm.tell([SubscriptionChange(TOKEN, "team-a", follows)])
            assert verdict.disposition is Disposition.ACCEPTED


async def test_a_device_that_fcm_does_not_know_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    async with opened(tmp_path) as (simulator, fcm):
        asked = [SubscriptionChange(b"unreg:" + TOKEN[:120], "a", True), SubscriptionChange(TOKEN, "a", True)]
        verdicts = await fcm.tell(asked)
        assert [verdict.disposition for verdict in verdicts] == [Disposition.INVALID, Disposition.ACCEPTED]
        assert followed(simulator) == {"a": 1}


async def test_a_project_that_is_away_says_when_to_come_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (simulator, fcm):
        simulator.provider.maintenance = True
        [verdict] = await fcm.tell([SubscriptionChange(TOKEN, "a", True)])
        assert (verdict.disposition, verdict.reason) == (Disposition.RETRY, "provider_unavailable")
        assert verdict.retry_after_seconds is not None
        simulator.provider.maintenance = False
        [verdict] = await fcm.tell([SubscriptionChange(TOKEN, "a", True)])
        assert verdict.disposition is Disposition.ACCEPTED


async def test_a_project_that_refuses_the_credential_is_told_of_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, project_id="another-project") as (simulator, fcm):
        [verdict] = await fcm.tell([SubscriptionChange(TOKEN, "a", False)])
        assert verdict.disposition is not Disposition.INVALID
        assert followed(simulator) == {}
