"""What the pages ask and do with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pushcast.console.api import Api
from pushcast.console.preview import Previews
from pushcast.console.watch import Watch
from pushcast.gateway.keyring import ApiKeyring
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.actions import Actions
from pushcast.wire.control.control_state import ControlState

#: (device id or hash of a token, user) to its steps, as `pushcast device why --output json` has them. Raises
#: PushcastError.
Story = Callable[[str, str | None], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Desk:
    """`apps`: the platforms of each. `classes`: the lane of each. `partitions`: of every topic that a stage
    reads. `trace_url`: of a trace whose id takes the place of {trace}."""

    api: Api
    watch: Watch
    previews: Previews
    control: ControlState
    story: Story
    keys: ApiKeyring
    actions: Actions
    apps: Mapping[str, tuple[Platform, ...]]
    classes: Mapping[str, Lane]
    partitions: int
    trace_url: str | None = None
