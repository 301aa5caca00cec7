"""What a door looks up in the topics when somebody asks. Each function blocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from pushcast.audit.broadcasts import BroadcastBooks
from pushcast.audit.estimate import estimated
from pushcast.audit.rehearsed import rehearse
from pushcast.audit.timers import timers_of
from pushcast.audit.why import note_at, why
from pushcast.config.settings import Settings
from pushcast.gateway.letters import Redrive
from pushcast.gateway.questions import Sources
from pushcast.kafka.intake import own_rows_of_user, rows_of_user
from pushcast.model.words import Lane
from pushcast.report.coordinator import Coordinator
from pushcast.settle.letters import Filter
from pushcast.settle.manifest import FILE, Manifest
from pushcast.settle.redrive import DeadLetters
from pushcast.settle.shown import described
from pushcast.wire.devices.devices import shown
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.events.preferences import shown_preferences

#: How long an audience is counted, while a client waits.
COUNT_SECONDS: Final = 20.0
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

    def preferences(user: str) -> dict[str, dict[str, Any]]:
        wishes = wishes_of(own_rows_of_user(settings, user), _raise)
        every = {"": wishes.everywhere, **wishes.by_app}
        return {app: shown_preferences(row) for app, row in every.items() if row.at is not None}

    def count(broadcast: str, lane: Lane, offset: int, quick: bool) -> dict[str, Any] | None:
        deadline = time.monotonic() + COUNT_SECONDS
        with BroadcastBooks(settings) as broadcasts:
            found = None
            while found is None:
                if time.monotonic() > deadline:
                    return None
                mine = (each for each in broadcasts.spread([lane]) if each.order.broadcast == broadcast)
                found = next((each for each in mine if each.order.intake_offset == offset), None)
            progress = broadcasts.follow(found, max(0.0, deadline - time.monotonic()))
        if not progress.walked:
            return None
        return {**estimated(progress.to_dict(), progress.partitions if quick else 1), "exact": not quick}

    def progress(broadcast: str) -> dict[str, Any] | None:
        with BroadcastBooks(settings) as broadcasts:
            found = broadcasts.find(broadcast)
            return None if found is None else broadcasts.follow(found, 0, once=True).to_dict()

    def broadcasts(lanes: Sequence[Lane]) -> list[dict[str, Any]]:
        with BroadcastBooks(settings) as books:
            return [each.to_dict() for each in books.spread(lanes)]

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
        preferences,
        count,
        progress,
        redrive,
        broadcasts,
        lambda lane, user, value, now_ms: rehearse(settings, lane, user, value, now_ms),
    )


def _raise(error: Exception) -> None:
    raise error
