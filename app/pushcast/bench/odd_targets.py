"""`bench isolation`, rows `user/*`: what other users of an app notice of a few whose targets the provider refuses."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pushcast.bench import campaigns
from pushcast.bench.base import Options, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.messages import messages
from pushcast.bench.sink import Simulator, simulator
from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import PushcastError
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.sending.batches import encode_batch

APP: Final = "news"
LANE: Final = Lane.NORMAL
ITEMS: Final = 1_200  # pushes to users whose targets are good
GOOD_PER_SECOND: Final = 20
ARRIVE_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.1
_FCM_CHARACTERS: Final = 163


@dataclass(frozen=True, slots=True)
class Odd:
    """Targets that are refused for their own sake; `address` makes the one of number n, `devices` are one user's.

    The simulators refuse by the beginning of an address (docs/simulators.md).
    """

    row: str
    platform: Platform
    users: int
    devices: int
    address: Callable[[int], str]


# faults.md, R2: FCM targets of a project without an APNs key. 5.2: one user with 25 tokens that are gone.
ODD: Final = (
    Odd("user/none_odd", Platform.FCM, 0, 0, str),
    Odd("user/without_apns_key", Platform.FCM, 5, 1, lambda n: f"thirdparty:x{n}".ljust(_FCM_CHARACTERS, "x")),
    Odd("user/old_tokens", Platform.APNS, 1, 25, lambda n: f"dead0410{n:056d}"),
)


def rows(options: Options) -> list[Row]:
    """Users whose targets are good get 20 pushes a second, each in a record of its own; the latencies are theirs.

    Each second every odd user gets a push as well. Rulings I.19 asks for a p99 below 2 s. Starts its own Kafka.
    """
    asked = [odd for odd in ODD if options.wants(odd.row)]
    if not asked:
        return []
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as name, ExitStack() as stack:
        sinks = {
            platform: stack.enter_context(simulator(platform, Path(name) / platform))
            for platform in sorted({odd.platform for odd in asked})
        }
        app = {str(platform): sink.provider_settings() for platform, sink in sinks.items()}
        cluster = stack.enter_context(bench_cluster(options, {"apps": {APP: app}}))
        stack.enter_context(role(cluster, "settler"))
        for odd in asked:
            items = options.items or ITEMS
            options.say(f"{odd.row}: {items} pushes to users with good targets")
            with role(cluster, "sender", "--platform", odd.platform, "--lane", LANE) as process:
                found.append(_measured(odd, items, cluster, process, sinks[odd.platform]))
    return found


def _measured(odd: Odd, items: int, cluster: BenchCluster, process: ProcessUnderTest, sink: Simulator) -> Row:
    sink.reset()
    start = process.reading()
    campaigns.offer(cluster, topics.send(odd.platform, LANE), items, GOOD_PER_SECOND, partial(_turn, odd))
    process.until(
        lambda: sink.stats()["accepted"] >= items, f"{odd.row}: {items} pushes arrive", ARRIVE_SECONDS, POLL_SECONDS
    )
    stats: dict[str, Any] = sink.stats()
    if stats["accepted"] != items:
        raise PushcastError(f"{odd.row}: {items} pushes became {stats['accepted']}")
    return process.row(odd.row, items, start, {q: stats["latency_ms"][q] for q in ("p50", "p95", "p99")})


def _turn(odd: Odd, number: int) -> Iterator[tuple[bytes, int]]:
    """One push to a user whose target is good, and each second one to every odd user before it."""
    if number % GOOD_PER_SECOND == 0:
        for user in range(odd.users):
            yield _record(odd, _odd(odd, user)), user
    yield _record(odd, _good(odd)), number


def _good(odd: Odd) -> Message:
    now_ms = _now_ms()
    [message] = messages(odd.platform, 1, 1, body_chars=campaigns.BODY_CHARS, now_ms=now_ms)
    return campaigns.marked(message, APP, now_ms)


def _odd(odd: Odd, user: int) -> Message:
    """One push to each device of an odd user."""
    [message] = messages(odd.platform, odd.devices, odd.devices, body_chars=campaigns.BODY_CHARS, now_ms=_now_ms())
    addresses = [odd.address(user * odd.devices + device).encode() for device in range(odd.devices)]
    users, apps, devices = [f"odd-{user}"] * odd.devices, [APP] * odd.devices, message.targets.device
    names = zip(message.notification_ids, users, apps, devices, strict=True)
    hashes = [token_hash(address) for address in addresses]
    ids = [delivery_id(*name) for name in names]
    targets = replace(message.targets, user=users, address=addresses, token_hash=hashes, delivery_id=ids)
    return replace(message, targets=targets)


def _record(odd: Odd, message: Message) -> bytes:
    return encode_batch(SendBatch(LANE, odd.platform, [message]))


def _now_ms() -> int:
    return int(time.time() * 1000)
