"""Topics are deleted and made again under running roles: an intake topic and a send topic.

What stood unread in the old log goes with it, and the judge counts that itself: events that no planner had read, and
deliveries that no sender had ended. Everything written afterwards is delivered soon, and nothing twice, although the
new log uses the offsets of the old one again.
"""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from faults.rig import Rig, roles
from pushcast.audit.reader import planner_group
from pushcast.kafka.clients import client_config
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics

NAME = "recreate"
TITLE = "Topics are deleted and made again"
ANSWER_SECONDS = 15.0
IDLE_SECONDS = 30.0
MADE_SECONDS = 30.0
#: Of what is written after the topic is there again.
DELIVERED_SECONDS = 60.0
UNREAD_SECONDS = 1.0
NOTICED_SECONDS = 30.0


def story(rig: Rig) -> None:
    lane = rig.rng.choice(rig.size.lanes)
    rig.wait(0.5, 1.5)
    _intake(rig, lane)
    rig.wait(0.5, 1.5)
    _send(rig, topics.send(rig.rng.choice(rig.world.platforms()), lane))
    rig.numbers |= {"lost_events": rig.lost.events, "lost_deliveries_at_most": rig.lost.deliveries}


def _intake(rig: Rig, lane: Lane) -> None:
    """With events that no planner has read, and otherwise at rest: of what was planned the books are closed."""
    load, topic = rig.load, topics.notification(lane)
    assert load is not None
    planner = f"planner-{lane}"
    rig.crew.stop(planner)
    rig.wait(UNREAD_SECONDS)
    load.pause()
    rig.require(rig.until(lambda: load.idle, IDLE_SECONDS), "Kafka did not take all events")
    unread = rig.auditor.lag(planner_group(lane), topic)
    rig.require(unread > 0, "nothing was unread in the old log")
    rig.require(rig.until(lambda: rig.lag() == unread, DELIVERED_SECONDS), "not all the rest was ended before")
    rig.keep_books(unread)
    rig.lost.events += unread
    _make_anew(rig, topic)
    rig.begin_books()
    rig.crew.start(planner)
    rig.crew.await_ready(planner)
    _goes_on(rig, topic)


def _send(rig: Rig, topic: str) -> None:
    """Under a sender that is running, with deliveries that it has not ended."""
    load = rig.load
    assert load is not None
    senders = roles(rig, "sender")
    for name in senders:
        rig.strike(name, rig.crew.freeze)
    rig.wait(UNREAD_SECONDS)
    load.pause()
    rig.require(rig.until(lambda: load.idle, IDLE_SECONDS), "Kafka did not take all events")
    rig.lost.deliveries += rig.auditor.snapshot().accounts["unaccounted"]
    _make_anew(rig, topic)
    for name in senders:
        rig.crew.thaw(name)
    # A sender that notices ends as one that is killed: nothing is written before it has, so nothing more is in flight.
    noticed = rig.until(lambda: any(name.startswith("sender") for name in rig.crew.deaths), NOTICED_SECONDS)
    rig.require(noticed, f"no sender noticed that {topic} was made anew")
    rig.wait(UNREAD_SECONDS)  # each of its partitions may end it once more
    rig.crew.await_ready(*senders)
    _goes_on(rig, topic)


def _make_anew(rig: Rig, topic: str) -> None:
    settings = rig.world.settings.kafka
    client = client_config(settings.bootstrap_servers, settings.security)
    admin = AdminClient({**client, "log_level": 0})
    admin.delete_topics([topic])[topic].result(ANSWER_SECONDS)

    def made() -> bool:
        try:
            apply(client, load_topology(), settings.partitions, settings.replication_factor)
        except (KafkaException, PushcastError):  # its deletion is under way
            return False
        return topic in admin.list_topics(timeout=ANSWER_SECONDS).topics

    rig.require(rig.until(made, MADE_SECONDS), f"{topic} was not made again")
    rig.auditor.begin_anew(topic)


def _goes_on(rig: Rig, topic: str) -> None:
    load = rig.load
    assert load is not None
    load.resume()
    rig.wait(UNREAD_SECONDS)
    load.pause()
    rig.require(rig.until(lambda: load.idle and rig.drained(), DELIVERED_SECONDS), f"{topic} is not taken up in time")
    load.resume()
