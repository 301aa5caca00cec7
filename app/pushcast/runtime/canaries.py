"""The canaries of a reporter process: it sends those whose partition it has, and tells how they fare."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import structlog

from pushcast.config.providers import CanarySettings
from pushcast.config.settings import Settings
from pushcast.kafka.acks import AckProducer
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.report.canary import Canary, CanaryVerdict, Success, last_success, verdict
from pushcast.report.follow import Follower
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.wire import topics
from pushcast.wire.control.control import CanaryWord, Kind, Subject, encode
from pushcast.wire.json_errors import UNREADABLE

log = structlog.get_logger()

#: Between two looks: whether a period has begun, and whether its push is accepted.
EVERY_SECONDS: Final = 5.0
#: Back from now, in which a success is looked for.
LOOK_BACK_MS: Final = 86_400_000


def canaries_of(settings: Settings) -> list[Canary]:
    """Raises ConfigurationError naming the setting, for a file that cannot be used; its content is not shown."""
    found = []
    for app_name, app in settings.apps.items():
        for platform in app.platforms():
            wanted: CanarySettings | None = getattr(app, platform).canary
            if wanted is not None:
                name = f"apps.{app_name}.{platform}.canary.token_file"
                address = _address(name, platform, wanted)
                every_ms = round(wanted.every_seconds * 1000)
                found.append(Canary(app_name, platform, every_ms, address, wanted.mode == "dry"))
    return found


def _address(name: str, platform: Platform, wanted: CanarySettings) -> dict[str, Any]:
    try:
        text = wanted.token_file.read_text(encoding="utf-8").strip()
        return {"subscription": msgspec.json.decode(text)} if platform is Platform.WEBPUSH else {"token": text}
    except OSError as error:
        raise ConfigurationError(f"{name}: {wanted.token_file}: {error.strerror}") from None
    except UNREADABLE:
        raise ConfigurationError(f"{name}: {wanted.token_file}: neither a token nor a subscription as JSON") from None


class Canaries:
    """Create it on the loop."""

    def __init__(
        self,
        canaries: Sequence[Canary],
        partitions: int,
        producer: AckProducer,
        follower: Follower,
        clock: Clock | None = None,
    ) -> None:
        self._canaries = list(canaries)
        self._partitions = partitions
        self._producer = producer
        self._follower = follower
        self._clock = clock or SystemClock()
        self._sent: dict[str, int] = {}  # by user: the last period
        self._fared: dict[str, Success] = {}
        self._since: dict[str, int] = {}  # by user: when we began to look
        self._never: set[tuple[str, str]] = set()  # of which all that is recorded was read, and no success is among it
        self._said: dict[str, CanaryVerdict] = {}

    async def run(self, every_seconds: float = EVERY_SECONDS) -> None:
        """Until it is cancelled."""
        while True:
            self.say(await asyncio.to_thread(self.look))
            self.send()
            await asyncio.sleep(every_seconds)

    def change(self, canaries: Sequence[Canary]) -> None:
        """These from the next look on. What is known of others is forgotten."""
        kept = {each.user for each in canaries}
        self._canaries = list(canaries)
        for known in (self._fared, self._since, self._said, self._sent):
            for user in known.keys() - kept:
                del known[user]

    def look(self) -> list[tuple[Canary, CanaryVerdict]]:
        """Reads how the canaries of our partitions have fared. Returns those of which that is known. Blocks."""
        now_ms = self._clock.now_ms()
        found, never = [], set[tuple[str, str]]()
        for canary in self._canaries:
            with self._follower.lock:
                store = self._follower.stores.get(canary.partition(self._partitions))
                if store is None:
                    for known in (self._fared, self._since, self._said):  # another reporter tells it from now on
                        known.pop(canary.user, None)
                    continue
                rows = [row for _, row in store.deliveries(canary.user, now_ms - LOOK_BACK_MS, now_ms)]
            success = last_success(rows)
            if success is not None:
                self._fared[canary.user] = success
            elif canary.user not in self._fared and self._follower.whole(canary.partition(self._partitions)):
                never.add((canary.app, str(canary.platform)))
            since_ms = self._since.setdefault(canary.user, now_ms)
            judged = verdict(rows, since_ms, canary.every_ms, now_ms)
            if judged is not None:
                found.append((canary, judged))
        self._never = never
        return found

    def say(self, found: Iterable[tuple[Canary, CanaryVerdict]]) -> None:
        """Writes to push.control.v1 what this process has not said yet: webhooks and the console read it."""
        now_ms = self._clock.now_ms()
        for canary, judged in found:
            if self._said.get(canary.user) == judged:
                continue
            success = self._fared.get(canary.user)
            word = CanaryWord(
                "failed" if judged.failed else "ok",
                now_ms,
                None if success is None else success.at_ms,
                judged.reason,
                f"reporter {os.getpid()}@{socket.gethostname()}"[:500],
            )
            key = Subject(Kind.CANARY, canary.app, canary.platform).key()
            try:
                self._producer.put(topics.CONTROL, 0, key, encode(word))
            except (Full, OutboxFailed) as error:  # the next look tries again
                log.warning("canary_unsaid", app=canary.app, platform=str(canary.platform), problem=str(error))
                continue
            self._said[canary.user] = judged
            if judged.failed:
                log.error("canary_failed", app=canary.app, platform=str(canary.platform), reason=judged.reason)

    def send(self) -> None:
        """Writes the registration and the notification of each period that has begun, once."""
        now_ms = self._clock.now_ms()
        for canary in self._canaries:
            partition, period = canary.partition(self._partitions), canary.period(now_ms)
            if partition not in self._follower.stores or self._sent.get(canary.user) == period:
                continue
            key = canary.user.encode()
            try:
                self._producer.put(topics.DEVICE_CHANGED, partition, key, canary.registration(now_ms))
                self._producer.put(topics.notification(Lane.URGENT), partition, key, canary.notification(now_ms))
            except (Full, OutboxFailed) as error:  # the next look tries again
                log.warning("canary_not_sent", app=canary.app, platform=str(canary.platform), problem=str(error))
                continue
            self._sent[canary.user] = period

    def samples(self) -> Iterable[Sample]:
        """For `Metrics.add_source`."""
        for canary in self._canaries:
            success = self._fared.get(canary.user)
            if success is not None:
                labels = (canary.app, str(canary.platform))
                yield Sample(Name.CANARY_SUCCESS, success.at_ms / 1000, labels)
                yield Sample(Name.CANARY_SECONDS, success.seconds, labels)
        for labels in self._never:
            yield Sample(Name.CANARY_SUCCESS, 0, labels)
