"""One owner per token on a real Kafka, through kill -9 in the middle of claims (audience fact 37)."""

from __future__ import annotations

import os
import random
import signal
import time

import orjson
import pytest

from flow.kafka_tools import produce
from pushcast.audit.device_rows import device_rows
from pushcast.bench.base import Options
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.model.ids import partition_of, token_hash
from pushcast.wire import groups, topics

PARTITIONS = 4
TOKENS = 600
OWNERS = 3  # devices that have had each token
KILLS = 3
REST_SECONDS = 90.0
SOURCES = (
    (groups.REGISTER, topics.DEVICE_CHANGED),
    (groups.OWN, topics.TOKEN_CLAIM),
    (groups.REGISTER, topics.TOKEN_EVICT),
)


class Phones:
    """Tokens that change hands. `owners`: the user who was registered with each last, by the token's hash."""

    def __init__(self, seed: int) -> None:
        rnd = random.Random(seed)
        now_ms = time.time_ns() // 1_000_000
        self.owners: dict[bytes, str] = {}
        self.events: list[tuple[int, bytes, bytes]] = []
        for number in range(TOKENS):
            token = f"{rnd.getrandbits(256):064x}"
            for turn in range(OWNERS):
                user = f"user-{number}-{turn}"
                event = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": token}
                value = orjson.dumps({**event, "at": now_ms - 60_000 + turn})
                self.events.append((partition_of(user.encode(), PARTITIONS), user.encode(), value))
            self.owners[token_hash(token.encode())] = user
        rnd.shuffle(self.events)


def at_rest(cluster: BenchCluster) -> bool:
    """Asked from the first link of the chain to the last, twice over: nothing moves any more."""
    return all(cluster.committed(group, topic) == cluster.ends(topic) for _ in range(2) for group, topic in SOURCES)


def owners(cluster: BenchCluster) -> dict[bytes, list[str]]:
    """Users by the hash of the token that their device has."""
    found: dict[bytes, list[str]] = {}
    for each in device_rows(cluster.settings):
        if each.row is not None and not each.row.is_gone:
            found.setdefault(each.row.token_hash, []).append(each.user)
    return found


@pytest.mark.timeout(400)
def test_fact_37_every_token_has_its_last_owner_alone_although_the_registrar_is_killed_in_mid_claim() -> None:
    phones, rnd = Phones(7), random.Random(11)
    with bench_cluster(Options(), {"apps": {"news": {}}}, PARTITIONS) as cluster:
        kafka = cluster.settings.kafka.bootstrap_servers
        step = len(phones.events) // (KILLS + 1)
        for kill in range(KILLS):
            with role(cluster, "registrar", "--slot", "o") as process:
                before = sum(cluster.ends(topics.DEVICE))  # the registrar may be through before it is asked again
                produce(kafka, topics.DEVICE_CHANGED, phones.events[kill * step :][:step])
                _wait_for_claims(cluster, process, before, rnd.random() * step)
                os.kill(process.pid, signal.SIGKILL)
        produce(kafka, topics.DEVICE_CHANGED, phones.events[KILLS * step :])
        with role(cluster, "registrar", "--slot", "o") as process:
            process.until(lambda: at_rest(cluster), "every claim is decided", REST_SECONDS, poll_seconds=1.0)
        assert owners(cluster) == {digest: [user] for digest, user in phones.owners.items()}


def _wait_for_claims(cluster: BenchCluster, process: ProcessUnderTest, before: int, more: float) -> None:
    """Until some rows of this round are written, and with them or soon after them some of its claims."""
    process.until(lambda: sum(cluster.ends(topics.DEVICE)) >= before + min(more, 100), "rows are written", REST_SECONDS)
