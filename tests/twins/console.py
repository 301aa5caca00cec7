"""A console on loopback without Kafka, and what a test lets it show."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from pushcast.console.api import Api
from pushcast.console.build import pages
from pushcast.console.deeds import Deeds
from pushcast.console.desk import Desk
from pushcast.console.preview import Previews
from pushcast.console.proxy import TrustedProxy
from pushcast.console.server import ConsoleServer
from pushcast.console.session import Sessions
from pushcast.console.watch import Process, Watch
from pushcast.gateway.connections import ConnectionBounds
from pushcast.gateway.questions import Sources
from pushcast.model.errors import PushcastError
from pushcast.wire import topics
from pushcast.wire.control.actions import Actions, OperatorAction, decode
from pushcast.wire.control.api_keys import Scope
from twins.gateway import Rig, settings_of

SECRET = b"s" * 32
OPERATOR = (Scope.CONSOLE_VIEW, Scope.CONSOLE_OPERATE, Scope.CONSOLE_SEND)
METRICS = """pushcast_outcomes_total{app="news",lane="urgent",outcome="accepted",platform="apns",reason=""} %d
pushcast_outcomes_total{app="news",lane="urgent",outcome="invalid",platform="apns",reason="device_unregistered"} %d
pushcast_oldest_unfinished_seconds{group="pushcast-plan-urgent",topic="push.notification.urgent.v1"} %f
"""


def standing_of(**more: Any) -> dict[str, Any]:
    """How groups stand when all is well."""
    row = {"state": "STABLE", "members": 1, "lag": 0, "oldest_at": None, "topics": {}, "partitions": {}}
    names = ("register", "plan-urgent", "plan-normal", "keep", "send-apns-urgent", "settle")
    found = {
        "groups": [{"group": f"pushcast-{name}", **row} for name in names],
        "parked": 0,
        "dead_letters_last_hour": {},
        "open_transactions": [],
        "of_a_later_release": {},
    }
    return found | more


#: What every answer of why has, besides its sentence and evidence.
WHY = {
    "verdict": {"answer": "accepted_by_provider", "because": None},
    "hints": ["news on d-1 was last heard of at 2026-09-01T00:00:00.000Z: it may no longer be there"],
    "traces": ["4bf92f3577b34da6a3ce929d0e0e4736"],
    "kept_since": {"push.receipt.v1": "2026-09-14T14:13:00.000Z"},
}


def report_of(note_id: str, **more: Any) -> dict[str, Any]:
    """A report as `/v1/reports/{id}` answers it: 1,000 planned, 990 accepted, 10 gone."""
    found = {
        "id": note_id,
        "kind": "notification",
        "app": "news",
        "class": "breaking",
        "campaign": None,
        "dry_run": False,
        "created_at": "2026-09-21T14:13:00.000Z",
        "first_planned_at": "2026-09-21T14:13:01.000Z",
        "last_ended_at": "2026-09-21T14:13:20.000Z",
        "state": "settled",
        "planned": 1000,
        "open": 0,
        "overdue": 0,
        "held": 0,
        "outcomes": {"accepted": 990, "invalid": 10},
        "platforms": {
            "apns": {
                "planned": 1000,
                "outcomes": {"accepted": 990, "invalid": 10},
                "reasons": {"device_unregistered": 10},
            }
        },
        "not_planned": {"no_devices": 3},
        "latency_ms": {"p50": 420.0, "p90": 1200.0, "p99": 4100.0, "relative_error": 0.0443},
        "latency_histogram": [{"up_to_ms": 430.5, "count": 500}, {"up_to_ms": 4305.4, "count": 490}],
        "within_seconds": {"10": 1.0, "60": 1.0, "120": 1.0},
        "slo": {"within_seconds": 120, "share": 1.0, "target": 0.9, "met": True},
        "engagement": {"received": 0, "opened": 0},
        "copies_of_receipts": 0,
        "as_of": "2026-09-21T14:13:30.000Z",
        "complete": True,
        "missing_partitions": [],
    }
    return found | more


def device_of(device: str, **more: Any) -> dict[str, Any]:
    """A device as `/v1/users/{user}/devices` answers it."""
    found = {
        "user": "u-1",
        "device": device,
        "app": "news",
        "platform": "apns",
        "purpose": None,
        "state": "active",
        "locale": "de-DE",
        "time_zone": "Europe/Berlin",
        "app_version": "7.1",
        "registered_at": "2026-09-20T14:13:20.000Z",
        "seen_at": "2026-09-21T09:40:02.000Z",
        "suspended_at": None,
        "suspended_reason": None,
        "removed_at": None,
    }
    return found | more


class ConsoleRig(Rig):
    """A console that listens, and everything behind it."""

    def __init__(
        self,
        *,
        secure: bool = False,
        proxy: TrustedProxy | None = None,
        bounds: ConnectionBounds | None = None,
        reports: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.owned: dict[str, list[dict[str, Any]]] = {}
        self.answer: dict[str, Any] = {"answer": "It was accepted.", "evidence": []}
        self.letters: list[dict[str, Any]] = []
        self.stories: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, list[dict[str, Any]]] = {}
        super().__init__(reports=reports, options=options)
        self.processes = [Process("sender-urgent", "http://sender", "sender-urgent:1")]
        self.told: dict[str, tuple[int, bytes]] = {}
        self.groups: dict[str, Any] | None = standing_of()
        self.watch = Watch(lambda: self.processes, self.fetch, self.standing, lambda: self.now_ms)
        self.actions = Actions()
        settings = settings_of(**options or {})
        self.desk = Desk(
            Api(self.calls.keyed, lambda: self.now_ms),
            self.watch,
            Previews(settings),
            self.control,
            self.story,
            self.keyring,
            self.actions,
            {name: tuple(app.platforms()) for name, app in settings.apps.items()},
            {name: rule.lane for name, rule in settings.classes.items()},
            settings.kafka.partitions,
            None if settings.console is None else settings.console.trace_url,
        )
        self.console = ConsoleServer(
            pages(self.desk),
            self.door,
            Sessions(SECRET, 3600),
            Deeds(self.writer, lambda: self.now_ms),
            secure=secure,
            proxy=proxy,
            request_seconds=5.0,
            observe=lambda page, status, _: self.observed.append((page, status)),
            bounds=bounds,
            now_ms=lambda: self.now_ms,
        )

    def sources_of(self) -> Sources:
        return (
            super()
            .sources_of()
            ._replace(
                why=lambda user, note, device: (True, WHY | self.answer),
                devices=lambda user: self.owned.get(user, []),
                letters=lambda limit: self.letters[:limit],
                timers=lambda user: self.waiting.get(user, []),
            )
        )

    def _redrive(self, wanted: Any, since: int | None, until: int | None) -> dict[str, Any]:
        super()._redrive(wanted, since, until)
        return {"letters": 1, "redriven": 1, "deliveries": 1, "redriven_before": 0, "invalid": 0, "left_out": {}}

    async def fetch(self, url: str) -> tuple[int, bytes]:
        if url not in self.told:
            raise OSError("refused")
        return self.told[url]

    async def story(self, device: str, user: str | None) -> dict[str, Any]:
        if device not in self.stories:
            return {"steps": [], "kept_since": {}, "left_out": 0, "unreadable": {}, "waits": []}
        return self.stories[device]

    async def standing(self) -> dict[str, Any]:
        if self.groups is None:
            raise PushcastError("no broker answers")
        return self.groups

    def acted(self) -> list[OperatorAction]:
        """Actions that were written down."""
        return [decode(put.value) for put in self.producer.puts if put.topic == topics.ACTION and put.value is not None]

    def browser(self) -> httpx.AsyncClient:
        """A client that sends what a browser sends with a form of this console."""
        url = f"http://127.0.0.1:{self.console.port}"
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": url}
        return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=False)

    async def signed_in(self, client: httpx.AsyncClient, *scopes: Scope, **more: Any) -> str:
        """Signs in with a new key; returns the token of its forms."""
        key = self.key(*(scopes or OPERATOR), **more)
        answer = await client.post("/sign-in", data={"key": key, "next": "/keys"})
        assert answer.status_code == 303, answer.text
        return token_in((await client.get("/keys")).text)


def token_in(page: str) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="_token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@contextlib.asynccontextmanager
async def console(**options: Any) -> AsyncIterator[ConsoleRig]:
    """Listens until the block ends."""
    rig = ConsoleRig(**options)
    await rig.console.start("127.0.0.1", 0)
    try:
        yield rig
    finally:
        await rig.console.close()
