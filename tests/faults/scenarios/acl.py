"""Everybody loses the permission to write an output of the senders, under load, and gets it back after a while.

A sender stays up meanwhile, says which topic it is refused, and lets nothing leave whose outcome it could not write:
one refusal costs what was in flight when it came. Planners and the settler, which write receipts now and then, may end
and start again.
"""

from __future__ import annotations

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from faults.rig import Rig, roles
from pushcast.demo.strikes import figures
from pushcast.model.errors import PushcastError
from pushcast.observe.catalogue import MetricName
from pushcast.wire import topics

NAME = "acl"
TITLE = "A permission is taken away and given back"
BROKER_PROPERTIES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
EVERYBODY = "User:ANONYMOUS"
ANSWER_SECONDS = 15.0
TOLD_SECONDS = 30.0
DENIED_SECONDS = 5.0
BACK_SECONDS = 60.0


class Permission:
    """To write one topic."""

    def __init__(self, servers: str, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": servers})
        self._pattern = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, EVERYBODY, "*")

    def take(self) -> None:
        """Nobody may write there, and everybody may do all else."""
        rules = [(AclOperation.ALL, AclPermissionType.ALLOW), (AclOperation.WRITE, AclPermissionType.DENY)]
        for future in self._admin.create_acls([AclBinding(*self._pattern, *rule) for rule in rules]).values():
            future.result(ANSWER_SECONDS)

    def give_back(self) -> None:
        every = AclBindingFilter(*self._pattern, AclOperation.ANY, AclPermissionType.ANY)
        for future in self._admin.delete_acls([every]).values():
            future.result(ANSWER_SECONDS)


def story(rig: Rig) -> None:
    senders = roles(rig, "sender")
    cycles, most_sent = max(1, rig.size.cycles // 5), 0
    for _ in range(cycles):
        rig.wait(0.5, 1.5)
        permission = Permission(rig.world.settings.kafka.bootstrap_servers, topics.RECEIPT)
        permission.take()
        try:
            told = rig.until(lambda: all(refused(rig, name) for name in senders), TOLD_SECONDS)
            rig.require(told, f"not every sender says that {topics.RECEIPT} is refused")
            bound, before = in_flight(rig), accepted(rig)
            rig.wait(1.0 if rig.size.short else DENIED_SECONDS)
            sent = accepted(rig) - before
            rig.require(sent <= bound, f"{sent} pushes left while {topics.RECEIPT} was refused, {bound} were in flight")
            most_sent = max(most_sent, sent)
        finally:
            permission.give_back()
        back = rig.until(lambda: not any(refused(rig, name) for name in senders), BACK_SECONDS)
        rig.require(back, "a sender does not go on")
    died = {name: count for name, count in rig.crew.deaths.items() if name.startswith("sender")}
    rig.require(not died, f"senders ended: {died}")
    rig.numbers |= {"refusals": cycles, "most_sent_while_refused": most_sent}


def refused(rig: Rig, name: str) -> bool:
    """Whether this role says that the topic is refused; one that does not answer says nothing."""
    try:
        return any(topics.RECEIPT in problem and "refuses" in problem for problem in rig.crew.problems(name))
    except (OSError, PushcastError):
        return False


def in_flight(rig: Rig) -> int:
    """Deliveries that senders have handed over and that have no outcome in Kafka yet."""
    return sum(int(figures(rig.crew.page(name)).get(MetricName.IN_FLIGHT, 0)) for name in roles(rig, "sender"))


def accepted(rig: Rig) -> int:
    """Pushes that the providers have accepted so far."""
    return sum(int(stats["accepted"]) for stats in rig.world.simulator_stats().values())
