"""Topics, a consumer group and a receiver for the tests of webhooks, without Kafka and without HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_END, TopicPartition

from pushcast.config.doors import Webhook
from pushcast.webhook.endpoint import GroupMembership, Ports, WebhookEndpoint
from pushcast.webhook.patience import TAKEN, Said
from pushcast.wire import topics
from pushcast.wire.control.control import WebhookOrder
from twins.leaders import topic_with

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
Spot = tuple[str, int]


@dataclass
class Record:
    """A message as confluent-kafka gives it."""

    at: Spot
    number: int
    content: bytes | None
    name: bytes | None = None

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self.at[0]

    def partition(self) -> int:
        return self.at[1]

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return self.name

    def timestamp(self) -> tuple[int, int]:
        return 1, self.number  # as `offsets_for_times` has it

    def value(self) -> bytes | None:
        return self.content


@dataclass
class Broker:
    """Partitions and what a group has committed. `refuse`: commits that it does not take. `keys`: of records, by
    partition, where they have any."""

    logs: dict[Spot, list[bytes | None]] = field(default_factory=dict)
    committed: dict[Spot, tuple[int, str]] = field(default_factory=dict)
    keys: dict[Spot, list[bytes]] = field(default_factory=dict)
    refuse: Callable[[TopicPartition], bool] = lambda _: False


class Member:
    """A consumer of the group, alone in it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.at: dict[Spot, int] = {}
        self.paused: set[Spot] = set()

    def committed(self, asked: Sequence[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        found = []
        for each in asked:
            offset, metadata = self.broker.committed.get((each.topic, each.partition), (-1001, ""))
            found.append(TopicPartition(each.topic, each.partition, offset, metadata))
        return found

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        for each in offsets:
            if not self.broker.refuse(each):
                self.broker.committed[each.topic, each.partition] = each.offset, each.metadata or ""

    def list_topics(self, topic: str, timeout: float = 0) -> Any:
        return topic_with(topic)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float = 0, cached: bool = False) -> tuple[int, int]:
        return 0, len(self.broker.logs[place.topic, place.partition])

    def offsets_for_times(self, asked: Sequence[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        """Every record was written at the millisecond of its offset."""
        found = []
        for each in asked:
            end = len(self.broker.logs[each.topic, each.partition])
            offset = end if each.offset == OFFSET_END else each.offset if each.offset < end else OFFSET_END
            found.append(TopicPartition(each.topic, each.partition, offset))
        return found

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self.at = {(each.topic, each.partition): each.offset for each in places}

    def seek(self, place: TopicPartition) -> None:
        self.at[place.topic, place.partition] = place.offset

    def pause(self, places: Sequence[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in places}

    def resume(self, places: Sequence[TopicPartition]) -> None:
        self.paused -= {(each.topic, each.partition) for each in places}

    def read(self, spot: Spot, count: int) -> list[Record]:
        """The next records of a partition that is not paused."""
        if spot in self.paused:
            return []
        first, log, keys = self.at[spot], self.broker.logs[spot], self.broker.keys.get(spot)
        self.at[spot] = min(first + count, len(log))
        numbers = range(first, self.at[spot])
        return [Record(spot, number, log[number], None if keys is None else keys[number]) for number in numbers]


@dataclass
class Receiver:
    """Takes requests, or answers as a test says. `requests`: (id, body) of all that came."""

    requests: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[Said] = field(default_factory=list)  # of the next tries; then it takes them

    async def post(self, request_id: str, body: bytes, secrets: Sequence[bytes], now_seconds: float) -> Said:
        self.requests.append((request_id, body))
        return self.answers.pop(0) if self.answers else Said(TAKEN)

    def events(self, stream: str = "deliveries") -> list[dict[str, Any]]:
        """Of requests that it did not know, in their order."""
        found: list[dict[str, Any]] = []
        for body in dict(reversed(self.requests)).values():
            found = json.loads(body)["data"][stream] + found
        return found


def webhook(folder: Path, **more: Any) -> Webhook:
    """An endpoint that wants every delivery."""
    file = folder / "crm.whsec"
    if not file.exists():
        file.write_text(SECRET)
    tree: dict[str, Any] = {
        "url": "https://crm.example/push",
        "secret_file": file,
        "events": ["deliveries.ended"],
        "allowed_hosts": ["crm.example"],
    }
    return Webhook.model_validate(tree | more)


class Rig:
    """An endpoint on a broker, without its thread. `order`: what push.control.v1 says of it."""

    member: Any

    def __init__(self, folder: Path, broker: Broker, receiver: Receiver, **more: Any) -> None:
        self.order: WebhookOrder | None = None
        self.reasons: list[str] = []
        ports = Ports(lambda: self.order, self.reasons.append, lambda: NO_WAY, lambda low, _: low, _raise)
        self.endpoint = WebhookEndpoint("crm", webhook(folder, **more), {}, GroupMembership(None, 10.0), ports)
        self.receiver = receiver
        self.member = Member(broker)
        places = [TopicPartition(*spot) for spot in broker.logs]
        self.endpoint.spots.assigned(self.member, places)

    def read(self, count: int = 1000, spot: Spot = (topics.RECEIPT, 0)) -> None:
        """The endpoint gets the next records."""
        self.endpoint.spots.take(self.member.read(spot, count))

    def post(self, runner: asyncio.Runner, *, later: bool = True) -> None:
        """One turn, as the thread does it. `later`: so long after the last that a failing endpoint is tried again."""
        self.endpoint._obey(self.member)
        if later:
            self.endpoint._patience.again_at = 0.0
        poster: Any = self.receiver
        self.endpoint._post(self.member, runner, poster)
        self.endpoint.spots.pause(self.member, all_of_them=self.endpoint.stands_still)


NO_WAY: Any = None


def _raise(_: str, error: BaseException) -> None:
    raise error
