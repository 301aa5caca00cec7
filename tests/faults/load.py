"""Events without end, at a steady rate, the same for the same seed; every one is counted when Kafka has it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from faults.timed import Beside
from pushcast.config.settings import Settings
from pushcast.demo.load import APPS, DeviceOf
from pushcast.demo.produce import produce, producer_of
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics

SLICE_SECONDS = 0.02
Vary = Callable[[str, dict[str, Any], Lane], Iterable[Beside]]
CAMPAIGN = 25  # bulk events that share a content; their users differ
FLUSH_SECONDS = 120.0


class Load(threading.Thread):
    """Writes until it is stopped. Bodies of one user differ, so that a provider can tell a copy from a second push."""

    def __init__(
        self, settings: Settings, devices: Sequence[DeviceOf], lanes: Sequence[Lane], seed: str, rate: int
    ) -> None:
        super().__init__(name="load", daemon=True)
        self._settings = settings
        self._rng = random.Random(f"load/{seed}")
        self._seed = seed
        self._lanes = lanes
        self._rate = rate  # events per second
        self._owners = {app: sorted({d.user for d in devices if d.event["app"] == app}) for app in APPS}
        self._end = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._campaign: list[str] = []
        self._number = 0
        self.vary: Vary = lambda *_: ()  # makes events of another kind; returns what is written behind them
        self.acknowledged = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """The rate is kept over the whole time: what a busy machine held up is made good."""
        producer = producer_of(self._settings, log_level=0)
        last, due = time.monotonic(), 0.0
        try:
            while not self._end.wait(SLICE_SECONDS):
                now = time.monotonic()
                due += (now - last) * self._rate if self._going.is_set() else 0.0
                last = now
                while self._number < due and not self._end.is_set():
                    self._write(producer)
                producer.poll(0)
            deadline = time.monotonic() + FLUSH_SECONDS
            while len(producer) and time.monotonic() < deadline:
                producer.flush(0.5)
        except Exception as error:
            self.failures.append(repr(error))

    def pause(self) -> None:
        """Writes nothing more for now; what is under way may still become acknowledged."""
        self._going.clear()

    def resume(self) -> None:
        """Goes on at the same rate."""
        self._going.set()

    @property
    def idle(self) -> bool:
        """Whether Kafka has all that was written so far."""
        return self.acknowledged + len(self.failures) == self._number

    def give_up(self) -> None:
        """Ends it without waiting. Safe to repeat."""
        self._end.set()

    def stop(self) -> int:
        """Ends it when Kafka has everything; returns how many events that are. Raises PushcastError for a loss."""
        self._end.set()
        self.join(FLUSH_SECONDS + 10)
        if self.failures or self.acknowledged != self._number:
            raise PushcastError(f"{self._number} events written, {self.acknowledged} acknowledged; {self.failures[:3]}")
        return self.acknowledged

    def _write(self, producer: Any) -> None:
        self._number += 1
        lane = self._rng.choice(self._lanes)
        app = self._rng.choice(APPS)
        now_ms = round(time.time() * 1000)
        content = self._number
        user = self._rng.choice(self._owners[app])
        if lane is Lane.BULK:
            app = APPS[0]
            if not self._campaign:
                self._shared = self._number
                self._campaign = self._rng.sample(self._owners[app], min(CAMPAIGN, len(self._owners[app])))
            content, user = self._shared, self._campaign.pop()
        event = {
            "id": f"{self._seed}-{self._number}",
            "app": app,
            "title": "Under fire",
            "body": f"{self._seed}: number {content}",
            "data": {"content": str(content)},
        }
        beside, partitions = list(self.vary(user, event, lane)), self._settings.kafka.partitions
        topic = topics.notification(lane)
        produce(producer, topic, user, orjson.dumps(event), partitions, now_ms, self._delivered)
        for each in beside:
            produce(producer, each.topic, each.user, each.value, partitions, now_ms)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failures.append(str(error))
