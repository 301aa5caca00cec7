"""Which devices follow which topics, as FCM keeps it.

https://firebase.google.com/docs/reference/fcm/fcmtopics/rest/v1/projects.registrations.topicSubscriptions
"""

from __future__ import annotations

from typing import Any, Final

from pushcast.model.fcm_topics import is_fcm_topic
from pushcast.simulators.fcm import errors
from pushcast.simulators.fcm.target import Subscription

ALREADY_THERE: Final = errors.FcmFault(409, "ALREADY_EXISTS", "The subscription already exists.")
BAD_TOPIC: Final = errors.FcmFault(400, "INVALID_ARGUMENT", "Invalid topic name.")
#: Of all projects together: a simulator is no database.
MAX_SUBSCRIPTIONS: Final = 1_000_000


class Subscriptions:
    """Of all projects of one simulator."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, str], set[str]] = {}  # by project and registration
        self._count = 0

    def clear(self) -> None:
        """Nobody follows anything."""
        self._topics.clear()
        self._count = 0

    def change(self, project: str, asked: Subscription) -> errors.FcmFault | None:
        """None: it is so now."""
        if not is_fcm_topic(asked.topic):
            return BAD_TOPIC
        followed = self._topics.get((project, asked.registration), set())
        if asked.adds:
            if asked.topic in followed:
                return ALREADY_THERE
            if self._count >= MAX_SUBSCRIPTIONS:
                return errors.quota_fault("project", "Topic subscriptions")
            self._topics.setdefault((project, asked.registration), set()).add(asked.topic)
            self._count += 1
            return None
        if asked.topic not in followed:
            return errors.NOT_FOUND
        followed.discard(asked.topic)
        self._count -= 1
        if not followed:
            del self._topics[project, asked.registration]
        return None

    def state(self) -> dict[str, Any]:
        """By topic, how many devices follow it."""
        found: dict[str, int] = {}
        for followed in self._topics.values():
            for topic in followed:
                found[topic] = found.get(topic, 0) + 1
        return dict(sorted(found.items()))

    def of(self, project: str, registration: str) -> frozenset[str]:
        """What one device follows."""
        return frozenset(self._topics.get((project, registration), ()))
