"""A broker that forbids SEND to write receipts: pushes are bounded, none is repeated, and all ends well afterwards."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from flow.kafka_tools import DEADLINE_SECONDS, produce, read_all, running, seen, until
from flow.test_isolation import APNS, PARTITIONS, SEND, TARGETS, URGENT, batch
from pushcast.audit.places import refused_in
from pushcast.config.settings import Settings
from pushcast.kafka import embedded
from pushcast.kafka.control import ControlTail
from pushcast.kafka.embedded import ports
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.positions import open_positions
from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.cluster import apply
from pushcast.runtime.hosted import host, patient
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import groups, topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.headers import is_probe

HOST = "127.0.0.1"
PROPERTIES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
IN_FLIGHT = 50
EVERYBODY = "User:ANONYMOUS"


class World(NamedTuple):
    kafka: str
    settings: Settings
    simulator: Simulator

    def send(self, *names: str) -> None:
        produce(self.kafka, SEND, [(at % PARTITIONS, None, batch("news", name)) for at, name in enumerate(names)])

    def pushes(self) -> int:
        return int(self.simulator.provider.recorder.accepted)

    def receipts(self) -> Counter[str]:
        """How often each delivery ended."""
        values = [record.value() for record in read_all(self.kafka, topics.RECEIPT, PARTITIONS)]
        return Counter(decode_receipt(value)["delivery_id"] for value in values if value)

    def told(self) -> bool:
        """Whether the commits say how far was sent whose outcome could not be written."""
        positions = open_positions({"bootstrap.servers": self.kafka})
        told = positions.metadata(groups.send(APNS, URGENT), [(SEND, number) for number in range(PARTITIONS)])
        return any(any(refused_in(metadata).values()) for metadata in told.values())

    def markers(self) -> int:
        records = read_all(self.kafka, topics.RECEIPT, PARTITIONS)
        return sum(is_probe(record.value(), record.headers()) for record in records)  # type: ignore[arg-type]

    async def permit(self, permission: AclPermissionType | None) -> None:
        """Everybody may do everything with receipts, and write them or not; None: there are no rules."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        pattern = (ResourceType.TOPIC, topics.RECEIPT, ResourcePatternType.LITERAL, EVERYBODY, "*")
        if permission is None:
            any_of = AclBindingFilter(*pattern, AclOperation.ANY, AclPermissionType.ANY)
            done = list(admin.delete_acls([any_of]).values())
        else:
            allowed = AclBinding(*pattern, AclOperation.ALL, AclPermissionType.ALLOW)
            denied = AclBinding(*pattern, AclOperation.WRITE, permission)
            done = list(admin.create_acls([allowed, denied]).values())
        for future in done:
            await asyncio.wrap_future(future)

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[KafkaOutbox]:
        """One in this process, as `pushcast run sender` puts it together."""
        failures: list[object] = []
        outbox = KafkaOutbox(
            self.kafka,
            loop=asyncio.get_running_loop(),
            on_fatal=failures.append,
            patient=patient(["sender"], [APNS], [URGENT]),
        )
        hosted = host(self.settings, ["sender"], [URGENT], [APNS], None, outbox)
        async with AsyncExitStack() as stack:
            for resource in hosted.resources:
                await resource.start()
                stack.push_async_callback(resource.close)
            tail = ControlTail(self.kafka, None, hosted.control, fatal=lambda *problem: failures.append(problem))
            await tail.start(DEADLINE_SECONDS)
            stack.push_async_callback(tail.close)
            async with running(*hosted.apps):
                yield outbox
            await outbox.close()
        assert failures == []


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[World]:
    data = tmp_path / "kafka"
    data.mkdir()
    (data / "extra.properties").write_text("".join(f"{name}={value}\n" for name, value in PROPERTIES.items()))
    port, _ = ports.choose(2, random.SystemRandom())
    await asyncio.to_thread(embedded.start, data_dir=data, port=port)
    try:
        kafka = f"{HOST}:{port}"
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        async with start("apns", work_dir=tmp_path / "apns") as simulator:
            settings = Settings.model_validate(
                {
                    "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS},
                    "data_dir": tmp_path / "data",
                    "send": {"max_in_flight": IN_FLIGHT},
                    "apps": {"news": {"apns": provider_settings(simulator.describe())}},
                }
            )
            yield World(kafka, settings, simulator)
    finally:
        await asyncio.to_thread(embedded.stop, data)


async def test_who_may_not_write_receipts_sends_no_more_than_is_in_flight_and_goes_on_when_it_may(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        async with here.sender() as outbox:
            here.send("first")
            await until(lambda: len(here.receipts()) == TARGETS, "receipts of what went well")
            await here.permit(AclPermissionType.DENY)
            here.send(*[f"n{number}" for number in range(8)])
            await until(lambda: bool(outbox.refused()), "the refusal is seen")
            await asyncio.sleep(2)
            assert here.pushes() <= TARGETS + IN_FLIGHT, "more left than one bound of what is in flight"
            assert topics.RECEIPT in outbox.refused()[0]
            await seen(here.told, "audit can name what was sent without a receipt")
            await here.permit(None)
            await until(lambda: len(here.receipts()) == 9 * TARGETS, "every delivery has its receipt")
            assert here.pushes() == 9 * TARGETS
            assert set(here.receipts().values()) == {1}
            assert here.markers() >= 1
            await here.permit(AclPermissionType.DENY)
            await until(lambda: not outbox.unacknowledged, "all is written")
        here.send("late")
        async with here.sender() as outbox:  # a new process asks before it sends
            await until(lambda: bool(outbox.refused()), "the brokers say what is forbidden")
            await asyncio.sleep(2)
            assert here.pushes() == 9 * TARGETS, "it sent what it could not write the outcome of"
            await here.permit(None)
            await until(lambda: len(here.receipts()) == 10 * TARGETS, "the late ones go out")
            assert here.pushes() == 10 * TARGETS
