from __future__ import annotations

from pushcast.config.settings import Kafka, Send, Settings
from pushcast.model.batch import MAX_BATCH_BYTES, MAX_TARGETS
from pushcast.model.words import Lane, Platform
from pushcast.send.agent import group_of
from pushcast.send.budget import Budget
from pushcast.send.build import bounds, build
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
            budget=budget,
        )
        for lane in Lane
    ]
    assert {id(stage.budget) for stage in stages} == {id(budget)}
    budget.take(("news", Platform.APNS, Lane.BULK), 4)
    assert [stage.in_flight("news") for stage in stages] == [0, 0, 4]


def test_without_a_budget_the_setting_is_the_bound() -> None:
    settings = Settings(send=Send(max_in_flight=77))
    stage = build(settings, platform=Platform.FCM, lane=Lane.BULK, providers={}, outbox=TwinOutbox())
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
    assert group_of(Platform.APNS, Lane.BULK) == "pushcast-send-apns-bulk"
