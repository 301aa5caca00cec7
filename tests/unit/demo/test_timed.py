"""The part of the demo's load that waits: digests, and more than a cap allows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from pushcast.config.settings import Settings
from pushcast.demo.sections import DEMO_SECTIONS
from pushcast.demo.timed import (
    CAPPED_CLASS,
    CAPPED_EVENTS,
    DAY_HOUR,
    DIGEST_CLASS,
    DIGEST_EVENTS,
    MAX_GROUPS,
    NIGHT_HOUR,
    QUIET_CLASS,
    groups_of,
    make_timed,
    preference,
    timed_count,
    travellers,
)
from pushcast.model.zones import zone_of

USERS = [f"user-{number}" for number in range(50)]


@pytest.mark.parametrize(("events", "users", "groups"), [(0, 9, 0), (199, 9, 0), (800, 9, 4), (8_000, 9, 9)])
def test_a_load_has_a_group_for_some_hundred_events_and_a_user_of_its_own(events: int, users: int, groups: int) -> None:
    assert groups_of(events, users) == groups
    assert groups_of(10**9, 10**9) == MAX_GROUPS


def test_there_are_as_many_as_were_reckoned_each_with_a_content_and_an_id_of_its_own() -> None:
    notes = list(make_timed(10, USERS, 5, seed=1))
    assert len(notes) == timed_count(10)
    assert [note.content for note in notes] == list(range(5, 5 + len(notes)))
    assert len({note.event["id"] for note in notes}) == len(notes)


def test_a_digest_is_of_one_user_and_key_and_of_a_capped_users_events_the_first_arrives() -> None:
    notes = list(make_timed(10, USERS, 1, seed=1))
    digests = Counter((note.user, note.event["digest_key"]) for note in notes if note.event["class"] == DIGEST_CLASS)
    assert set(digests.values()) == {DIGEST_EVENTS}
    assert len(digests) == len({user for user, _ in digests}) == 10
    capped = [note for note in notes if note.event["class"] == CAPPED_CLASS]
    assert set(Counter(note.user for note in capped).values()) == {CAPPED_EVENTS}
    assert [note.arrives for note in capped[:CAPPED_EVENTS]] == [True, False]
    assert not any(note.arrives for note in notes if note.event["class"] == DIGEST_CLASS)


def test_each_traveller_gets_one_and_it_is_night_where_they_are_and_day_where_they_go() -> None:
    notes = [note for note in make_timed(10, USERS, 1, seed=1) if note.event["class"] == QUIET_CLASS]
    assert [note.user for note in notes] == travellers(10, USERS, 1)
    assert all(note.arrives for note in notes)
    for utc_hour in range(24):
        for wanted in (NIGHT_HOUR, DAY_HOUR):
            zone = zone_of(preference(wanted, utc_hour)["time_zone"])
            assert datetime(2026, 12, 1, utc_hour, tzinfo=UTC).astimezone(zone).hour == wanted


def test_the_demos_configuration_has_the_classes_and_the_cap() -> None:
    settings = Settings.model_validate(dict(DEMO_SECTIONS))
    assert settings.classes[DIGEST_CLASS].digest is not None
    assert [cap.rule.limit for cap in settings.caps] == [1]
