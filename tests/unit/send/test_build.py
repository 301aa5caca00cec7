from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from pushcast.config.settings import Kafka, Settings
from pushcast.config.stages import Retry, Send
from pushcast.handover.exact import Inexact
from pushcast.model.batch import MAX_BATCH_BYTES, MAX_TARGETS
from pushcast.model.words import Lane, Platform
from pushcast.send.budget import Budget
from pushcast.send.build import bounds, build
from pushcast.wire import groups
from unit.send.twin import TwinOutbox, TwinProvider


def test_stages_of_one_process_share_the_budget_they_are_given() -> None:
    settings, budget = Settings(), Budget(10)
    stages = [
        build(
            settings,
            platform=Platform.APNS,
            lane=lane,
            providers={"news": TwinProvider()},
            outbox=TwinOutbox(),
            exact=Inexact(),
            budget=budget,
        )
        for lane in Lane
    ]
    assert {id(stage.budget) for stage in stages} == {id(budget)}
    budget.take(("news", Platform.APNS, Lane.BULK), 4)
    assert [stage.in_flight("news") for stage in stages] == [0, 0, 4]


def test_without_a_budget_the_setting_is_the_bound() -> None:
    settings = Settings(send=Send(max_in_flight=77))
    stage = build(settings, platform=Platform.FCM, lane=Lane.BULK, providers={}, outbox=TwinOutbox(), exact=Inexact())
    assert stage.budget.capacity == 77


def test_every_partition_has_room_for_more_than_one_record_of_the_largest_size() -> None:
    for partitions in (1, 8, 1024):
        for max_in_flight in (1, 10_000, 1_000_000):
            found = bounds(Settings(kafka=Kafka(partitions=partitions), send=Send(max_in_flight=max_in_flight)))
            assert found.targets > MAX_TARGETS
            assert found.bytes > MAX_BATCH_BYTES


def test_memory_over_all_partitions_stays_bounded_when_partitions_grow() -> None:
    found = bounds(Settings(kafka=Kafka(partitions=64)))
    assert found.targets * 64 <= 150_000
    assert found.bytes * 64 <= 64 << 20


def test_the_group_names_platform_and_lane() -> None:
    assert groups.send(Platform.APNS, Lane.BULK) == "pushcast-send-apns-bulk"


@pytest.mark.parametrize(
    ("rungs", "said"), [((10.0, 60.0, 300.0, 1800.0), []), ((1.0, 2.0, 3.0, 899.0), [(900.0, 899.0)])]
)
def test_a_ladder_shorter_than_the_waits_that_a_provider_asks_for_is_said(
    rungs: tuple[float, float, float, float], said: list[tuple[float, float]]
) -> None:
    settings = Settings(retry=Retry(rungs_seconds=rungs))
    with capture_logs() as logs:
        build(settings, platform=Platform.APNS, lane=Lane.BULK, providers={}, outbox=TwinOutbox(), exact=Inexact())
    assert [(each["asked_seconds"], each["longest_rung_seconds"]) for each in logs] == said
