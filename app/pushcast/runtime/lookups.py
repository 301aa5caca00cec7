"""What a door looks up in the topics when somebody asks. Each function blocks."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from pushcast.audit.timers import timers_of
from pushcast.audit.why import note_at, why
from pushcast.config.settings import Settings
from pushcast.gateway.letters import Redrive
from pushcast.gateway.questions import Sources
from pushcast.kafka.intake import rows_of_user
from pushcast.report.coordinator import Coordinator
from pushcast.settle.letters import Filter
from pushcast.settle.manifest import FILE, Manifest
from pushcast.settle.redrive import DeadLetters
from pushcast.settle.shown import described
from pushcast.wire.devices import shown

#: Letters that are written back within a second.
REDRIVEN_PER_SECOND: Final = 500.0


def sources_of(settings: Settings, reports: Coordinator) -> Sources:
    """Functions over the cluster of these settings; `redrive` notes in `data_dir` what it did, as the tool does."""

    def devices(user: str) -> list[dict[str, Any]]:
        return [shown(row) for row in rows_of_user(settings, user)]

    def letters(limit: int) -> list[dict[str, Any]]:
        with DeadLetters(settings) as dead:
            return [described(letter) for letter in islice(dead.letters(Filter()), limit)]

    def timers(user: str) -> list[dict[str, Any]]:
        return [each.to_dict() for each in timers_of(settings, user) if each.timer.waits]

    def redrive(asked: Redrive, since_ms: int | None, until_ms: int | None) -> dict[str, Any]:
        wanted = Filter(
            *(asked.topics, asked.reasons, asked.apps, asked.users, asked.notifications), since_ms, until_ms
        )
        noted = Manifest(settings.data_dir / FILE)
        with DeadLetters(settings) as dead:
            report = dead.redrive(
                wanted, noted, execute=asked.execute, per_second=REDRIVEN_PER_SECOND, include_in_doubt=asked.in_doubt
            )
        return report.to_dict()

    return Sources(
        lambda user, note, device: why(settings, user, note, device),
        devices,
        letters,
        reports,
        lambda topic, partition, offset: note_at(settings, topic, partition, offset),
        timers,
        redrive,
    )
