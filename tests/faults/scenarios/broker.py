"""The broker is killed under load and comes back after a while; what is in flight stays bounded meanwhile.

With three brokers the leaders go one after the other, and then two at once: with two in-sync replicas demanded, the
one that is left refuses writes, so producers wait.
"""

from __future__ import annotations

from confluent_kafka import KafkaException

from faults.rig import Rig, roles
from pushcast.demo.strikes import figures
from pushcast.model.errors import PushcastError
from pushcast.observe.catalogue import MetricName

NAME = "broker"
TITLE = "SIGKILL the only broker, start it again"
BACK_SECONDS = 240.0  # brokers are controllers too: two of three have to find their quorum again
WATCH_SECONDS = 0.25


class Watched:
    """What the senders held at most, and whether it was ever above their limit."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.in_flight = 0
        self.outbox = 0
        self.within = True

    def look(self) -> None:
        """Asks every role; one that is starting is left out."""
        for name in roles(self._rig, "planner", "sender"):
            try:
                page = figures(self._rig.crew.page(name))
            except (OSError, PushcastError):
                continue
            held = int(page.get(MetricName.IN_FLIGHT, 0))
            self.in_flight = max(self.in_flight, held)
            self.outbox = max(self.outbox, int(page.get(MetricName.OUTBOX_RECORDS, 0)))
            self.within &= held <= page.get(MetricName.IN_FLIGHT_LIMIT, held)

    def during(self, seconds: float) -> None:
        """Looks now and then for so long."""
        for _ in range(max(1, round(seconds / WATCH_SECONDS))):
            self.look()
            self._rig.wait(WATCH_SECONDS)


def story(rig: Rig) -> None:
    """One broker."""
    cluster = rig.cluster
    watched = Watched(rig)
    for seconds in rig.size.outages_seconds:
        rig.wait(0.5, 2.0)
        cluster.kill_broker(0)
        watched.during(seconds)
        cluster.start_broker(0, wait=False)
        rig.require(rig.until(lambda: answers(rig), BACK_SECONDS), "the broker did not come back")
        watched.during(1.0 if rig.size.short else 5.0)
    report(rig, watched)
    rig.numbers["outages_seconds"] = list(rig.size.outages_seconds)


def leaders(rig: Rig) -> None:
    """Three brokers. A coordinator that is away for longer than a session forgets its members: senders get partitions
    anew, and what they had at providers then may be sent again.
    """
    cluster = rig.cluster
    watched = Watched(rig)
    before = dropped(rig)

    def allow_what_was_dropped() -> None:
        rig.numbers["dropped_by_senders"] = dropped(rig) - before
        rig.allowed_copies += dropped(rig) - before

    rig.afterwards(allow_what_was_dropped)
    order = [0, 1, 2]
    rig.rng.shuffle(order)
    gone = [[each] for each in (order[:1] if rig.size.short else order)] + [rig.rng.sample(order, 2)]
    for together in gone:
        rig.wait(1.0, 3.0)
        for index in together:
            cluster.kill_broker(index)
        watched.during(rig.size.outages_seconds[0])
        for index in together:
            cluster.start_broker(index, wait=False)
        rig.require(rig.until(lambda: answers(rig), BACK_SECONDS), f"brokers {together} did not come back")
        watched.during(5.0)
    report(rig, watched)
    rig.numbers["killed"] = gone


def dropped(rig: Rig) -> int:
    """Targets without an outcome whose partitions senders have lost, by all senders since their start."""
    pages = (figures(rig.crew.page(name)) for name in roles(rig, "sender"))
    return sum(int(page.get(MetricName.DROPPED, 0)) for page in pages)


def report(rig: Rig, watched: Watched) -> None:
    """The bound of what is in flight is a promise."""
    rig.require(watched.within, "more in flight than the limit")
    rig.numbers |= {"most_in_flight": watched.in_flight, "most_in_outbox": watched.outbox}


def answers(rig: Rig) -> bool:
    """Whether committed offsets and ends of logs can be asked for."""
    try:
        rig.lag()
    except (KafkaException, PushcastError) as error:
        rig.numbers["last_refusal"] = str(error)
        return False
    return True
