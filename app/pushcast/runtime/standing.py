"""How every group of this release stands, asked of the cluster."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaException

from pushcast.audit.overview import overview
from pushcast.config.settings import Settings
from pushcast.kafka.topics import load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.runtime.hosted import specs_of
from pushcast.runtime.roles import ROLES
from pushcast.wire.topics import DEAD_LETTER_SUFFIX


def standing(settings: Settings) -> dict[str, Any]:
    """Lag, members and oldest record of each group, and the dead letters of the last hour, for JSON. Blocks.

    Raises PushcastError, and TailUnreadable (an OSError) when Kafka does not answer.
    """
    platforms = sorted({platform for app in settings.apps.values() for platform in app.platforms()})
    groups: dict[str, set[str]] = {}
    for spec in (spec for role in ROLES for spec in specs_of(role, settings, list(Lane), platforms)):
        groups.setdefault(spec.group, set()).update(topic for each in spec.subscriptions for topic in each.topics)
    dead = [topic.name for topic in load_topology().all_topics if topic.name.endswith(DEAD_LETTER_SUFFIX)]
    try:
        return overview(settings, groups, dead, round(time.time() * 1000)).to_dict()
    except KafkaException as error:
        raise PushcastError(f"Kafka: {error.args[0].str()}") from error
