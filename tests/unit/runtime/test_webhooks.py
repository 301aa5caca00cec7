"""Webhooks of a changed configuration, while the process runs."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.doors import Webhook
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.runtime import webhooks
from pushcast.runtime.webhooks import Webhooks


class Endpoint:
    """Notes what becomes of it."""

    def __init__(self, name: str, wanted: Webhook, *_: object) -> None:
        if wanted.url.endswith("/broken"):
            raise ConfigurationError("no secrets")
        self.name, self.wanted = name, wanted
        self.said: list[str] = []

    @property
    def started(self) -> bool:
        return bool(self.said)

    def start(self) -> None:
        self.said.append("start")

    def close(self) -> None:
        self.said.append("close")


class Tail:
    """Of the control topic."""

    def __init__(self, *_: object, **__: object) -> None:
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1

    async def close(self) -> None:
        self.starts = -1


def hook(path: str) -> dict[str, Any]:
    more = {"secret_file": "s", "events": ["tokens.invalid"], "allowed_hosts": ["crm.example"]}
    return {"url": f"https://crm.example/{path}", **more}


def settings(**hooks: str) -> Settings:
    return Settings.model_validate({"webhooks": {name: hook(path) for name, path in hooks.items()}})


@pytest.fixture(autouse=True)
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "WebhookEndpoint", Endpoint)
    monkeypatch.setattr(webhooks, "ControlTail", Tail)


async def opened(**hooks: str) -> tuple[Any, dict[str, Any]]:
    nobody: Any = None
    found: Any = Webhooks(settings(**hooks), nobody, None)
    await found.start()
    return found, {each.name: each for each in found.endpoints}


async def test_what_comes_begins_what_goes_ends_and_what_stays_goes_on() -> None:
    found, before = await opened(stays="a", goes="b", changes="c")
    await found.change(settings(stays="a", changes="d", comes="e").webhooks)
    now = {each.name: each for each in found.endpoints}
    assert now.keys() == {"stays", "changes", "comes"}
    assert now["stays"] is before["stays"]
    assert [each.said for each in (now["stays"], now["changes"], now["comes"])] == [["start"]] * 3
    assert [before[name].said for name in ("goes", "changes")] == [["start", "close"]] * 2
    assert found._tail.starts == 1
    await found.close()
    assert all(each.said == ["start", "close"] for each in now.values())


async def test_the_first_webhook_of_a_process_learns_first_whether_it_is_disabled() -> None:
    found, _ = await opened()
    assert found._tail.starts == 0
    await found.change(settings(crm="a").webhooks)
    assert (found._tail.starts, [each.said for each in found.endpoints]) == (1, [["start"]])


async def test_one_whose_secrets_cannot_be_used_stays_as_it_was_and_the_others_change() -> None:
    found, before = await opened(crm="a", bi="b")
    await found.change(settings(crm="broken", bi="c", new="broken").webhooks)
    assert {each.name: each.wanted.url[-1] for each in found.endpoints} == {"crm": "a", "bi": "c"}
    assert (before["crm"].said, before["bi"].said) == (["start"], ["start", "close"])
