"""A gateway on loopback without Kafka: a producer that confirms, waits or refuses as a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from pushcast.config.settings import Settings
from pushcast.gateway.access import Door
from pushcast.gateway.build import Calls, calls
from pushcast.gateway.connections import ConnectionBounds
from pushcast.gateway.cors import Cors
from pushcast.gateway.keyring import ApiKeyring
from pushcast.gateway.questions import Sources
from pushcast.gateway.server import GatewayServer
from pushcast.gateway.user_tokens import UserTokens
from pushcast.gateway.writing import Writer
from pushcast.kafka.ack_groups import Group
from pushcast.report.answers import cursor_of, read_cursor
from pushcast.stream.errors import Full
from pushcast.stream.ports import Written
from pushcast.wire.control.api_keys import ApiKey, Hash, Scope, encode_record, new_key
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.headers import Headers
from pushcast.wire.times import rfc3339

NOW_MS = 1_790_000_000_000
PARTITIONS = 8
ALL = tuple(Scope)


class Put(NamedTuple):
    """A record that the gateway wrote."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None


@dataclass
class ProducerTwin:
    """Confirms every record at once, unless told otherwise."""

    puts: list[Put] = field(default_factory=list)
    headers: list[Headers | None] = field(default_factory=list)  # of each
    confirms: bool = True
    oldest: float = 0.0
    refusal: Exception | None = None  # what `put` raises
    failure: Exception | None = None  # what a record ends with
    waiting: list[asyncio.Future[Written]] = field(default_factory=list)

    def put(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]:
        if self.refusal is not None:
            raise self.refusal
        self.puts.append(Put(topic, partition, key, value))
        self.headers.append(headers)
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            future.set_exception(self.failure)
        elif self.confirms:
            future.set_result(Written(topic, partition, len(self.puts) - 1))
        else:
            self.waiting.append(future)
        return future

    async def put_all(
        self, records: Sequence[tuple[str, int, bytes, bytes | None]], headers: Mapping[str, Headers] | None = None
    ) -> Group:
        """Confirms at once, too. With a refusal of `put` it ends as `AckProducer` does."""
        if isinstance(self.refusal, Full):
            await asyncio.Event().wait()  # there is never room
        elif self.refusal is not None:
            raise self.refusal
        group = Group(len(records), asyncio.get_running_loop().create_future())
        for place, record in enumerate(records):
            self.puts.append(Put(*record))
            self.headers.append(None if headers is None else headers[record[0]])
            if self.confirms or self.failure is not None:
                group.end(place, self.failure)
        return group

    def oldest_seconds(self) -> float:
        return self.oldest


class ReportsTwin:
    """Reports that a test puts there."""

    def __init__(self) -> None:
        self.all: dict[str, dict[str, Any]] = {}
        self.waited: list[tuple[str, int, int]] = []
        self.history: list[dict[str, Any]] | None = []
        self.minutes: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []  # of histories: what they were to be of
        self.wanted: list[ExampleFilter] = []
        self.found: list[dict[str, Any]] = []  # examples
        self.of_apps: list[Collection[str] | None] = []  # of which a user's report was to tell
        self.standing: dict[str, Any] = {"complete": True, "missing_partitions": []}

    async def report(self, note_id: str) -> dict[str, Any] | None:
        return self.all.get(note_id)

    async def listed(
        self,
        *,
        from_ms: int | None,
        to_ms: int | None,
        limit: int,
        cursor: str | None,
        wanted: Callable[[dict[str, Any]], bool],
    ) -> dict[str, Any]:
        if cursor is not None:
            read_cursor(cursor)
        found = [each for each in self.all.values() if wanted(each)]
        return {
            "reports": found[:limit],
            "next_cursor": None if len(found) <= limit else cursor_of(1, b"x"),
            "missing_partitions": [],
        }

    async def report_of_user(
        self, note_id: str, user: str, apps: Collection[str] | None = None
    ) -> dict[str, Any] | None:
        self.of_apps.append(apps)
        found = self.all.get(note_id)
        return None if found is None else {**found, "user": user}

    async def campaign(self, label: str) -> dict[str, Any]:
        found = [each for each in self.all.values() if each.get("campaign") == label]
        return {"campaign": label, "reports": len(found), **self.standing}

    async def totals(self, *, from_ms: int) -> dict[str, Any]:
        return {"totals": self.minutes}

    async def caught_up(self, lane: str, partition: int, offset: int) -> bool:
        self.waited.append((lane, partition, offset))
        return True

    async def examples(self, wanted: ExampleFilter, limit: int) -> dict[str, Any]:
        self.wanted.append(wanted)
        return {"examples": self.found[:limit], "looked_at": 812, "whole": False, **self.standing}

    async def deliveries(
        self, user: str, *, limit: int, cursor: str | None = None, notes: Sequence[str] = (), **wanted: Any
    ) -> dict[str, Any] | None:
        if self.history is None:
            return None
        self.asked.append({name: value for name, value in wanted.items() if value is not None})
        found = [each for each in self.history if not notes or each["notification"] in notes]
        return {
            "user": user,
            "deliveries": found[:limit],
            "kept_since": rfc3339(NOW_MS - 30 * 86_400_000),
            "as_of": rfc3339(NOW_MS),
            "complete": True,
            "next_cursor": None if len(found) <= limit else cursor_of(1, b"x"),
        }


def settings_of(**more: Any) -> Settings:
    """Apps news (all platforms) and shop (APNs), classes default, breaking (urgent), digest (bulk)."""
    apns = {"key_file": "k.p8", "key_id": "ABC1234567", "team_id": "TEAM123456", "topic": "com.example"}
    fcm = {"service_account_file": "sa.json", "project_id": "p"}
    tree: dict[str, Any] = {
        "kafka": {"partitions": PARTITIONS},
        "apps": {"news": {"apns": apns, "fcm": fcm}, "shop": {"apns": apns}},
        "classes": {"breaking": {"lane": "urgent", "ttl_seconds": 3600}, "digest": {"lane": "bulk"}},
    }
    return Settings.model_validate(tree | more)


class Rig:
    """A gateway that listens, and everything behind it."""

    def __init__(
        self,
        *,
        ack_seconds: float = 5.0,
        request_seconds: float = 5.0,
        bounds: ConnectionBounds | None = None,
        user_keys: Any = None,
        reports: Any = None,
        options: Mapping[str, Any] | None = None,
        keyring: ApiKeyring | None = None,
    ) -> None:
        self.producer = ProducerTwin()
        self.writer = Writer(self.producer, PARTITIONS, ack_seconds, lambda low, _: low)
        self.keyring = ApiKeyring() if keyring is None else keyring
        self.control = ControlState()
        self.door = Door(self.keyring)
        self.unready: list[str] = []
        self.observed: list[tuple[str, int]] = []
        self.now_ms = NOW_MS
        self.reports = reports or ReportsTwin()
        self.records: dict[tuple[str, int, int], tuple[str, str]] = {}
        self.timers: list[dict[str, Any]] = []
        self.people: dict[str, list[dict[str, Any]]] | None = None  # devices by user; None: two of whoever is asked for
        self.verdict: dict[str, Any] = {"answer": "waiting", "because": "lag"}
        self.known = True  # whether topics know what is asked about
        self.redrives: list[Any] = []
        self.choices: dict[str, dict[str, Any]] = {}
        self.rehearsed: list[Any] = []
        self.no_answer: Exception | None = None  # what a rehearsal ends with
        self.counts: list[Any] = []
        self.counted: dict[str, Any] | None = {"devices": 100, "exact": False}
        self.progress: dict[str, dict[str, Any]] = {}
        self.redrive: Callable[..., dict[str, Any]] = self._redrive
        self.sources = self.sources_of()
        settings = settings_of(**options or {})
        self.calls: Calls = calls(settings, self.writer, self.control, self.sources, lambda: self.unready)
        self.server = GatewayServer(
            self.calls.keyed,
            self.calls.open,
            self.door,
            UserTokens(user_keys or {}),
            self.calls.anonymous,
            request_seconds=request_seconds,
            observe=lambda route, status, _: self.observed.append((route, status)),
            bounds=bounds,
            now_ms=lambda: self.now_ms,
            cors=Cors(() if settings.gateway is None else settings.gateway.cors_origins),
        )

    def sources_of(self) -> Sources:
        return Sources(
            self._why,
            self._devices,
            lambda limit: [{"reason": "invalid_field"}] * min(limit, 3),
            self.reports,
            lambda topic, partition, offset: self.records.get((topic, partition, offset)),
            lambda _: self.timers,
            lambda user: self.choices,
            self._count,
            lambda broadcast: self.progress.get(broadcast),
            lambda wanted, *times: self.redrive(wanted, *times),
            lambda lanes: [{"id": "b-1", "lane": str(lane)} for lane in lanes],
            lambda *asked: self._rehearse(*asked),
        )

    def _why(self, user: str, note: str, device: str | None) -> tuple[bool, dict[str, Any]]:
        said = {
            "answer": f"{user} {note} {device}",
            "evidence": [],
            "hints": [],
            "traces": [],
            "kept_since": {"push.receipt.v1": None},
        }
        return self.known, said | {"verdict": dict(self.verdict)}

    def _devices(self, user: str) -> list[dict[str, Any]]:
        if self.people is not None:
            return self.people.get(user, [])
        return [{"user": user, "app": "news"}, {"user": user, "app": "shop"}]

    def _count(self, *asked: object) -> dict[str, Any] | None:
        self.counts.append(asked)
        return self.counted

    def _rehearse(self, *asked: Any) -> dict[str, Any]:
        if self.no_answer is not None:
            raise self.no_answer
        self.rehearsed.append(asked)
        return {"deliveries": 2, "per_platform": {"apns": 2}, "ends": {}, "held": []}

    def _redrive(self, wanted: Any, since: int | None, until: int | None) -> dict[str, Any]:
        self.redrives.append((wanted, since, until))
        return {"letters": 1}

    def key(self, *scopes: Scope, key_id: str | None = None, **more: Any) -> str:
        """A new key that is valid here; every scope without `scopes`."""
        key_id, text, digest = new_key(key_id)
        record = ApiKey(scopes=scopes or ALL, hashes=(Hash(digest, NOW_MS),), **more)
        self.keyring.apply(key_id.encode(), encode_record(record))
        return text

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.server.port}", headers=headers, trust_env=False, verify=False
        )


@contextlib.asynccontextmanager
async def gateway(**options: Any) -> AsyncIterator[Rig]:
    """Listens until the block ends."""
    rig = Rig(**options)
    await rig.server.start("127.0.0.1", 0)
    try:
        yield rig
    finally:
        await rig.server.close()
