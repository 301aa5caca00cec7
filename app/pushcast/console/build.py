"""The console's pages, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from pushcast.console.desk import Desk
from pushcast.console.pages import (
    control,
    devices,
    examples,
    health,
    keys,
    letters,
    now,
    people,
    reports,
    send,
    webhooks,
)
from pushcast.console.visit import Away, Page, View, Visit
from pushcast.wire.control.api_keys import Scope

_VIEW: Final = (Scope.CONSOLE_VIEW, Scope.CONSOLE_OPERATE, Scope.CONSOLE_SEND)
_OPERATE: Final = (Scope.CONSOLE_OPERATE,)
_SEND: Final = (Scope.CONSOLE_SEND,)

AtDesk = Callable[[Desk, Visit], Awaitable[View | Away]]


def pages(desk: Desk) -> list[Page]:
    """Connects to nothing."""
    return [
        _shown("/", "now", now.show, desk, live=True),
        _shown("/reports", "reports", reports.listed, desk),
        _shown("/reports/{id}", "report", reports.show, desk, live=True),
        _shown("/campaigns/{label}", "campaign", reports.campaign, desk, live=True),
        _shown("/examples", "examples", examples.show, desk),
        _shown("/people", "people", people.show, desk),
        _shown("/people/{user}", "person", people.by_name, desk),
        _shown("/devices", "device", devices.show, desk),
        _shown("/devices/{device}", "device_by_name", devices.by_name, desk),
        _shown("/control", "control", control.show, desk),
        _shown("/dead-letters", "letters", letters.show, desk),
        _shown("/health", "health", health.show, desk, live=True),
        _shown("/webhooks", "webhooks", webhooks.show, desk),
        _shown("/keys", "keys", keys.keys, desk),
        _shown("/actions", "actions", keys.actions, desk),
        _shown("/send", "send", send.show, desk),
        _form("/send", "send", send.send, desk, _SEND),
        _form("/people/cancel", "cancel", people.cancel, desk),
        _form("/campaigns/{label}/cancel", "cancel_campaign", reports.cancel, desk),
        _form("/dead-letters/redrive", "redrive", letters.redrive, desk),
        _form("/webhooks/resume", "resume_webhook", webhooks.resume, desk),
        _form("/control/pause", "pause", control.pause, desk),
        _form("/control/resume", "resume", control.resume, desk),
        _form("/control/broadcast", "switch_broadcast", control.broadcast, desk),
    ]


def _shown(path: str, name: str, handler: AtDesk, desk: Desk, *, live: bool = False) -> Page:
    return Page("GET", path, name, _VIEW, partial(handler, desk), live)


def _form(path: str, name: str, handler: AtDesk, desk: Desk, scopes: tuple[Scope, ...] = _OPERATE) -> Page:
    return Page("POST", path, name, scopes, partial(handler, desk), does=name)
