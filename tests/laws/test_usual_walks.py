"""The short ways of a walk and the long one never differ: who gets a broadcast, in which bytes, what its leg says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.ids import device_row_key, user_row_key
from pushcast.model.user import UserRow
from pushcast.walk.course import Course
from pushcast.walk.predicate import Predicate
from pushcast.wire.devices.user_rows import encode_user_row
from unit.walk.twin import T0, Row, course, row, taken

TOPICS = st.lists(st.sampled_from(["a", "b", "ab", "ü", "t" * 90]), max_size=3, unique=True).map(tuple)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "app": st.sampled_from(["news", "chat"]),
        "platform": st.sampled_from(["apns", "fcm"]),
        "state": st.sampled_from(["active", "suspended", "gone", "staged"]),
        "purpose": st.sampled_from([None, "voip"]),
        "first_at": st.sampled_from([None, T0 - 9, T0 + 1]),
        "locale": st.sampled_from([None, "de-AT", "x" * 70]),
        "app_version": st.sampled_from([None, "7.1"]),
        "token": st.sampled_from(["", "same"]),
        "topics": TOPICS,
    },
)
DEVICES = st.dictionaries(st.sampled_from(["a", "b", "c"]), CHANGES | st.none(), min_size=1, max_size=2)
USERS = st.dictionaries(st.sampled_from([f"u-{n}" for n in range(6)]), st.tuples(st.booleans(), DEVICES), max_size=6)
AUDIENCES = st.sampled_from(
    [
        {"all": True},
        {"topics": ["a"]},
        {"topics": ["b", "ü", "t" * 90]},
        {"condition": "'a' in topics || 'ab' in topics"},
        {"condition": "'a' in topics && 'b' in topics"},
        {"where": {"or": [{"topic": "a"}, {"platform": "fcm"}]}},
    ]
)


def rows_of(users: dict[str, tuple[bool, dict[str, dict[str, Any] | None]]]) -> list[Row]:
    """None stands for a row that nobody can read."""
    rows: list[Row] = []
    for user, (has_wishes, devices) in users.items():
        if has_wishes:
            rows.append((user_row_key(user, "news"), encode_user_row(UserRow(at=T0, classes={"default": "off"}))))
        for device, changes in devices.items():
            if changes is None:
                rows.append((device_row_key(user, "news", device), b"\xc3\x01broken"))
            else:
                rows.append(row(user, device, **changes))
    return sorted(rows)


def outcome(made: Course, rows: list[Row]) -> tuple[Any, ...]:
    leg, full = taken(made, *rows)
    return full, leg.planned, leg.matched, leg.users, +leg.left, leg.scanned, leg.to_user


@settings(max_examples=400, deadline=None)
@given(USERS, AUDIENCES, st.booleans(), st.integers(1, 3))
def test_the_short_ways_plan_what_the_long_one_plans(
    users: Any, audience: dict[str, Any], count_only: bool, max_targets: int
) -> None:
    rows = rows_of(users)

    def made() -> Course:
        return course(max_targets=max_targets, count_only=count_only, audience=audience)

    short = outcome(made(), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predicate, "takes_quickly", lambda self, device: False)
        long = made()
        long._asks_nobody = False
        assert short == outcome(long, rows)


def test_an_audience_of_topics_is_asked_without_decoding_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.walk.course.row_columns", None)
    monkeypatch.setattr("pushcast.wire.devices.row_tail.row_columns", None)
    leg, full = taken(course(audience={"topics": ["a", "b"]}), row("u-1", topics=("c", "b")), row("u-2", topics=("c",)))
    assert [each.targets for each in full] == [1]
    assert leg.matched == 1
