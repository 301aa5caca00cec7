"""The scenarios in the order of issue 5, and how one is run by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from faults.rig import Rig, Size, rigged
from faults.scenarios import (
    acl,
    broadcast,
    broker,
    clock,
    disk,
    keep,
    kill,
    overload,
    poison,
    providers,
    recreate,
    storm,
    table,
    zombie,
)


@dataclass(frozen=True)
class Scenario:
    """A story and the world it needs."""

    NAME: str
    TITLE: str
    story: Callable[[Rig], None]
    brokers: int = 1
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    broker_properties: dict[str, str] = field(default_factory=dict)

    def world(self, size: Size, seed: int, say: Callable[[str], None]) -> AbstractContextManager[Rig]:
        """Of its own."""
        return rigged(
            size,
            seed,
            brokers=self.brokers,
            overrides=self.overrides,
            broker_properties=self.broker_properties,
            say=say,
        )


SCENARIOS = (
    Scenario(kill.NAME, kill.TITLE, kill.story),
    Scenario(broadcast.NAME, broadcast.TITLE, broadcast.story),
    Scenario(keep.NAME, keep.TITLE, keep.story, overrides=keep.OVERRIDES),
    Scenario(broker.NAME, broker.TITLE, broker.story),
    Scenario("leaders", "Three brokers: leaders one after the other, then two at once", broker.leaders, brokers=3),
    Scenario(zombie.NAME, zombie.TITLE, zombie.story),
    Scenario(storm.NAME, storm.TITLE, storm.story),
    Scenario(providers.NAME, providers.TITLE, providers.story, overrides=providers.OVERRIDES),
    Scenario(overload.NAME, overload.TITLE, overload.story),
    Scenario(poison.NAME, poison.TITLE, poison.story),
    Scenario(table.NAME, table.TITLE, table.story),
    Scenario(disk.NAME, disk.TITLE, disk.story),
    Scenario(acl.NAME, acl.TITLE, acl.story, broker_properties=acl.BROKER_PROPERTIES),
    Scenario(recreate.NAME, recreate.TITLE, recreate.story),
    Scenario(clock.NAME, clock.TITLE, clock.story),
)
