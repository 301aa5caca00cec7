"""What a scenario works with: a world, its role processes, a load, seeded moments, and the end of every story.

A story strikes; `play` puts the load around it, then starts everything again, drains and audits.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException

from faults.books import NOTHING, Auditor, Lost, Snapshot, Verdict
from faults.crew import Crew
from faults.load import Load
from pushcast.audit.reader import planner_group
from pushcast.demo.load import make_devices
from pushcast.demo.produce import register, subscribe
from pushcast.demo.sections import PARTITIONS
from pushcast.demo.strikes import Exposure, expose
from pushcast.demo.world import Options, World
from pushcast.kafka.embedded import Cluster
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import groups, topics

TICK_SECONDS = 0.05
#: Between two audits of what has drained and does not balance yet: parked work is not lag.
PARKED_SECONDS = 1.0
#: Before each kill of `kill_each_once`.
BREATH_SECONDS = (0.2, 1.5)
#: Of a sender's page, before a strike against it.
PAGE_TRIES = 4


@dataclass(frozen=True)
class Size:
    """How large a run is. The short one is a test, the long one is `make faults`."""

    partitions: int = PARTITIONS
    devices: int = 4_000
    rate: int = 500  # events per second
    cycles: int = 20
    outages_seconds: tuple[float, ...] = (5.0, 30.0)
    fault_seconds: float = 10.0  # of each provider fault, and between joins and leaves
    invalid_seconds: float = 600.0  # how long every token is called invalid
    good: int = 100_000  # records of the poison scenario
    bad: int = 10_000
    drain_seconds: float = 900.0  # ten minutes of parked work among it
    patience: float = 1.0  # how many times as long everything is waited for: above 1 on a slow machine
    lanes: tuple[Lane, ...] = tuple(Lane)
    platforms: tuple[str, ...] = ("apns", "fcm", "webpush", "expo")
    short: bool = False


LONG = Size()
SHORT = Size(
    partitions=3,  # tools ask about each one after the other
    devices=400,
    rate=200,
    cycles=1,
    outages_seconds=(1.0,),
    fault_seconds=1.0,
    invalid_seconds=2.0,
    good=600,
    bad=180,  # each kind at least once
    drain_seconds=60.0,
    lanes=(Lane.NORMAL,),
    platforms=("apns", "fcm"),
    short=True,
)
#: Of every world under fire, whatever a scenario adds.
SETTINGS: dict[str, dict[str, Any]] = {
    "kafka": {"session_timeout_seconds": 8},
    "devices": {"hold_seconds": 10},
}


class Rig:
    """One world under fire. Several stories may be played in it, one after the other."""

    def __init__(self, world: World, crew: Crew, auditor: Auditor, size: Size, seed: int) -> None:
        self.world = world
        self.crew = crew
        self.auditor = auditor
        self.size = size
        self.seed = seed
        self.rng = random.Random(seed)
        self.devices = [each for each in make_devices(size.devices, seed) if each.event["platform"] in size.platforms]
        self.unregistered: set[tuple[str, str]] = set()  # user and device, by a story
        self.load: Load | None = None
        self.exposures: list[Exposure] = []
        self.numbers: dict[str, Any] = {}
        self.failures: list[str] = []
        self.allowed_copies = 0  # that this scenario explains besides strikes against senders
        self.lost = Lost()
        self._checks: list[Callable[[], None]] = []
        self._tick = threading.Event()
        self._audits = 0
        #: When the last story had come to its end; None after one that broke.
        self._audited: Snapshot | None = NOTHING
        self._before = self._kept = NOTHING

    def play(self, name: str, story: Callable[[Rig], None]) -> Verdict:
        """Load, story, restart, drain, audit. Raises only when the rig itself breaks."""
        self.rng = random.Random(f"story/{name}/{self.seed}")
        self.exposures, self.numbers, self.failures, self.allowed_copies, self._checks = [], {}, [], 0, []
        self.lost = Lost()
        self.crew.deaths.clear()
        self.crew.last_words.clear()
        self._audits = 0
        started = time.monotonic()
        self._before = self.auditor.snapshot() if self._audited is None else self._audited
        self._kept = NOTHING
        self._audited = None
        seed = f"{name}/{self.seed}"
        self.load = Load(self.world.settings, self.devices, self.size.lanes, seed, self.size.rate)
        self.load.start()
        try:
            story(self)
            told = time.monotonic()
            counts, produced = self._settle()
        finally:
            self.load.give_up()
        for check in self._checks:
            check()
        verdict = Verdict(
            name,
            self.seed,
            produced,
            counts,
            self.exposures,
            self.auditor.totals.unbalanced,
            dict(self.crew.deaths),
            time.monotonic() - started,
            {
                **self.numbers,
                "patience": self.size.patience,
                "settled_after_seconds": round(time.monotonic() - told, 1),
                "audits": self._audits,
                **({"written_twice": twice} if (twice := self.auditor.written_twice) else {}),
                **({"last_words": words} if (words := list(self.crew.last_words)) else {}),
                **({"planned_twice_at": copies} if (copies := self.auditor.copies) else {}),
            },
            self.failures,
            self.allowed_copies,
            self.lost,
        )
        verdict.judge()
        return verdict

    def wait(self, low_seconds: float, high_seconds: float | None = None) -> None:
        """Lets the load run for a seeded time; roles that die unasked are started again and counted."""
        self._poll(lambda: False, low_seconds if high_seconds is None else self.rng.uniform(low_seconds, high_seconds))

    def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Polls with the load running, `Size.patience` times as long; False when it did not come true in time."""
        return self._poll(true, seconds * self.size.patience)

    def _poll(self, true: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() >= deadline:
                return False
            self.crew.tend()
            self._tick.wait(TICK_SECONDS)
        return True

    def require(self, holds: bool, text: str) -> None:
        """A promise of this scenario's own."""
        if not holds:
            self.failures.append(text)

    def now_ms(self) -> int:
        """The true time."""
        return round(time.time() * 1000)

    def afterwards(self, check: Callable[[], None]) -> None:
        """Called when everything has drained and was audited: what only holds then."""
        self._checks.append(check)

    @property
    def cluster(self) -> Cluster:
        """The world's own Kafka."""
        assert self.world.cluster is not None
        return self.world.cluster

    def strike(self, name: str, blow: Callable[[str], None]) -> None:
        """A blow against a role; of a sender it is read first what can go twice. A page that does not come in time is
        asked for again: a machine that others keep busy once made a sender take 5 s."""
        if not name.startswith("sender"):
            blow(name)
            return
        struck: list[str] = []

        def strike() -> None:
            struck.append(name)
            blow(name)

        for left in reversed(range(PAGE_TRIES)):
            try:
                self.exposures.append(expose(self.crew.page(name), self.world.simulators.values(), strike))
            except TimeoutError:
                if struck or not left:
                    raise
                self.numbers["late_pages"] = self.numbers.get("late_pages", 0) + 1
            else:
                return

    def kill_each_once(self, names: Iterable[str]) -> int:
        """SIGKILL of these roles, in a seeded order and at seeded moments. Returns how many, when all are ready again.

        Each is started at once: a static member that is back within the session timeout finds its partitions waiting.
        """
        victims = list(names)
        self.rng.shuffle(victims)
        for victim in victims:
            self.wait(*BREATH_SECONDS)
            self.strike(victim, self.crew.kill)
            self.crew.start(victim)
        self.crew.await_ready()
        return len(victims)

    def slow_providers(self, latency_ms: float) -> None:
        """Answers take so long, until the story ends: something is always in flight."""
        for simulator in self.world.simulators.values():
            simulator.control("/state", {"latency": latency_ms}, "PUT")

    def keep_books(self, unread: int) -> None:
        """Takes stock now: what the topics say until here counts, whatever becomes of it. `unread`: events that stand
        in the books without having been read, and are about to go."""
        found = self.auditor.snapshot().since(self._before)
        open_accounts = found.accounts["unaccounted"]
        self.require(open_accounts == unread, f"{unread} events are unread, and the books have {open_accounts} open")
        found.accounts["unaccounted"] = found.accounts["unaccounted_events"] = 0
        self._kept = self._kept.plus(found)

    def begin_books(self) -> None:
        """From here on the topics say nothing any more of what was kept."""
        self._before = self.auditor.snapshot()

    def _settle(self) -> tuple[Snapshot, int]:
        """Everything runs again, nothing is written any more: waits for a balance, for a bounded time."""
        assert self.load is not None
        for simulator in self.world.simulators.values():
            simulator.control("/state", {"network": "up", "latency": None, "service_rate": 0, "frozen": False}, "PUT")
            simulator.fail_sometimes(self.world.options.transient_errors)
        produced = self.load.stop()
        self.crew.start_all()
        self.crew.await_ready()
        deadline = time.monotonic() + self.size.drain_seconds * self.size.patience
        counts: Snapshot | None = None
        while counts is None or (not self._balanced(counts, produced) and time.monotonic() < deadline):
            if counts is not None:
                self.wait(PARKED_SECONDS)
            self._poll(self.drained, max(0.1, deadline - time.monotonic()))
            try:
                self._audits += 1
                now = self.auditor.snapshot()
                counts = self._kept.plus(now.since(self._before))
            except (KafkaException, PushcastError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
        self._audited = now
        return counts, produced

    def _balanced(self, counts: Snapshot, produced: int) -> bool:
        accounts = counts.accounts
        return accounts["unaccounted"] == 0 and produced - accounts["notifications"] == self.lost.events

    def drained(self) -> bool:
        """Whether nothing waits for a stage."""
        try:
            return not self.lag()
        except (KafkaException, PushcastError):  # a broker may be coming back
            return False

    def lag(self) -> int:
        """Records that these roles have not finished. Raises KafkaException, PushcastError."""
        pairs = [("pushcast-settle", topics.retry(delay)) for delay in topics.RETRY_DELAY_SECONDS]
        for lane in self.size.lanes:
            sources = topics.notification(lane), topics.walk(lane), topics.due(lane)
            pairs += [(planner_group(lane), topic) for topic in sources]
            pairs.append((groups.KEEP, topics.keep(lane)))
            pairs.append((groups.SPREAD, topics.broadcast(lane)))
            pairs += [(f"pushcast-send-{each}-{lane}", topics.send(each, lane)) for each in self.world.platforms()]
        return sum(self.auditor.lag(group, topic) for group, topic in pairs)


def silent(_: str) -> None:
    """Says nothing."""


@contextmanager
def rigged(
    size: Size,
    seed: int,
    *,
    brokers: int = 1,
    overrides: dict[str, dict[str, Any]] | None = None,
    broker_properties: dict[str, str] | None = None,
    transient_errors: float = 0.01,
    say: Callable[[str], None] = silent,
) -> Iterator[Rig]:
    """A world with its devices registered and every role ready."""
    merged = {**SETTINGS, "kafka": {**SETTINGS["kafka"], "partitions": size.partitions}}
    for section, values in (overrides or {}).items():
        merged[section] = {**merged.get(section, {}), **values}
    options = Options(
        brokers=brokers,
        broker_properties=broker_properties or {},
        platforms=size.platforms,
        transient_errors=transient_errors,
        overrides=merged,
        supervised=False,
    )
    with World(say, options) as world, Crew(world, size.lanes, size.patience) as crew:
        crew.start_all()
        crew.await_ready()
        auditor = Auditor(world, size.lanes)
        try:
            rig = Rig(world, crew, auditor, size, seed)
            subscribe(world, rig.devices)
            register(world, auditor.books, rig.devices, lambda *_: None, planners=len(size.lanes))
            yield rig
        finally:
            auditor.close()


def roles(rig: Rig, *kinds: str) -> Sequence[str]:
    """Local members of these roles, each once."""
    return list(dict.fromkeys(name for kind in kinds for name in rig.crew.names(kind)))
