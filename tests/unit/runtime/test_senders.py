"""Deliveries that nobody takes are told once (faults.md P2-20: a platform was added while the roles ran)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import structlog
from structlog.testing import LogCapture

from pushcast.kafka.positions import Members, Spot
from pushcast.model.words import Lane
from pushcast.runtime.senders import SenderWatch

FCM = "pushcast-send-fcm-bulk"


class TwinPositions:
    """Two partitions; the group of FCM has committed 3 in each."""

    def __init__(self) -> None:
        self.alive = {FCM: 0}
        self.end = 5

    def members(self, groups: Sequence[str]) -> dict[str, Members]:
        return {group: Members("stable", self.alive.get(group, 1)) for group in groups}

    def starts(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        return dict.fromkeys(spots, 0)

    def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        return dict.fromkeys(spots, self.end)

    def committed(self, group: str, spots: Sequence[Spot]) -> dict[Spot, int]:
        return dict.fromkeys(spots, 3)


@pytest.fixture
def said() -> Iterator[LogCapture]:
    found = LogCapture()
    structlog.configure(processors=[found])
    yield found
    structlog.reset_defaults()


def test_a_group_without_members_is_named_once_with_its_topic_and_what_waits(said: LogCapture) -> None:
    watch = SenderWatch(TwinPositions(), [Lane.BULK], 2)
    watch.look()
    watch.look()
    [line] = said.entries
    assert (line["event"], line["log_level"]) == ("no_sender", "warning")
    assert (line["topic"], line["waiting_records"]) == ("push.send.fcm.bulk.v1", 4)


def test_it_is_named_again_after_it_had_senders_in_between(said: LogCapture) -> None:
    positions = TwinPositions()
    watch = SenderWatch(positions, [Lane.BULK], 2)
    for alive in (0, 1, 0):
        positions.alive[FCM] = alive
        watch.look()
    assert len(said.entries) == 2


def test_where_nothing_waits_nothing_is_said(said: LogCapture) -> None:
    positions = TwinPositions()
    positions.end = 3
    SenderWatch(positions, [Lane.BULK], 2).look()
    assert said.entries == []
