"""Short seeded versions of `make faults`, in one world, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from faults.rig import SHORT, Rig, rigged
from faults.scenarios import (
    acl,
    broadcast,
    broker,
    clock,
    disk,
    keep,
    kill,
    overload,
    poison,
    providers,
    recreate,
    storm,
    table,
    zombie,
)

SEED = 7
pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with rigged(SHORT, SEED, broker_properties=acl.BROKER_PROPERTIES) as made:
        yield made


def played(rig: Rig, scenario: ModuleType) -> None:
    verdict = rig.play(scenario.NAME, scenario.story)
    assert not verdict.failures, f"{json.dumps(verdict.to_dict())}\n{rig.crew.complaints()}"


def test_killed_roles_lose_nothing_and_double_no_more_than_was_under_way(rig: Rig) -> None:
    played(rig, kill)


def test_x1_what_waits_while_every_role_is_killed_is_let_go_once(rig: Rig) -> None:
    played(rig, keep)


def test_broadcasts_whose_roles_are_killed_reach_every_device_once(rig: Rig) -> None:
    played(rig, broadcast)


def test_a_zombie_plans_nothing_and_sends_no_more_than_was_under_way(rig: Rig) -> None:
    played(rig, zombie)


def test_roles_that_join_and_leave_lose_and_double_nothing(rig: Rig) -> None:
    played(rig, storm)


def test_every_good_record_among_malformed_ones_is_delivered_and_every_bad_one_a_dead_letter(rig: Rig) -> None:
    played(rig, poison)


def test_a_damaged_table_is_rebuilt_and_no_former_token_is_reached(rig: Rig) -> None:
    played(rig, table)


def test_a_planner_without_room_for_its_table_loses_nothing(rig: Rig) -> None:
    played(rig, disk)


def test_providers_that_misbehave_cost_no_delivery_and_no_good_device(rig: Rig) -> None:
    played(rig, providers)


def test_senders_that_may_not_write_their_outcomes_send_no_more_than_was_in_flight(rig: Rig) -> None:
    played(rig, acl)


def test_topics_that_are_made_anew_are_taken_up_and_nothing_behind_is_lost(rig: Rig) -> None:
    played(rig, recreate)


def test_overload_makes_nothing_doubtful_and_nothing_double(rig: Rig) -> None:
    played(rig, overload)


def test_clocks_that_jump_an_hour_lose_nothing_and_end_nothing_early(rig: Rig) -> None:
    played(rig, clock)


def test_a_broker_that_is_killed_and_comes_back_loses_nothing_and_in_flight_stays_bounded(rig: Rig) -> None:
    played(rig, broker)
