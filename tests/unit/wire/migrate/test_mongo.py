"""Times and numbers in every form that `mongoexport` has written them in."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.wire.migrate import countly, parse
from pushcast.wire.migrate.mongo import plain
from pushcast.wire.migrate.rows import Import, Skipped

HOW = Import("news")
AT = "2026-11-21T09:00:00.000Z"
AT_MS = 1795251600000


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"$date": AT}, AT),
        ({"$date": {"$numberLong": str(AT_MS)}}, AT),
        ({"$date": AT_MS}, AT),
        ({"$numberLong": "1795251600"}, 1795251600),
        ({"$numberInt": "7"}, 7),
        ({"$numberDouble": "1795251600.5"}, 1795251600.5),
        ({"$numberDecimal": "2.5"}, 2.5),
        ({"$oid": "5f7d3a2b9c1e4d0012345678"}, "5f7d3a2b9c1e4d0012345678"),
        ("text", "text"),
        (12, 12),
    ],
)
def test_a_value_is_read_in_each_of_its_forms(written: Any, read: Any) -> None:
    assert plain({"field": written}) == {"field": read}


@pytest.mark.parametrize(
    "written",
    [
        {"$date": {"$numberLong": "soon"}},
        {"$date": -1},
        {"$date": 10**30},
        {"$date": True},
        {"$date": None},
        {"$date": {"$date": {"$date": []}}},
        {"$numberLong": None},
        {"$numberInt": True},
        {"$numberDouble": "NaN"},
        {"$numberDouble": "Infinity"},
        {"$oid": 7},
        {"$ref": "users", "$id": "u-1"},
        {},
    ],
)
def test_what_is_no_value_of_mongodb_stays_as_it_is(written: Any) -> None:
    assert plain({"field": written}) == {"field": written}


@pytest.mark.parametrize("updated", [{"$date": AT}, {"$date": {"$numberLong": str(AT_MS)}}, {"$date": AT_MS}])
def test_an_installation_of_parse_has_its_time_in_each_of_them(updated: Any) -> None:
    row = {"_id": "A1", "deviceType": "android", "deviceToken": "t", "_p_user": "_User$u-2", "_updated_at": updated}
    (found,) = parse.changes_of(row, HOW)
    assert not isinstance(found, Skipped)
    assert found[1]["at"] == AT


def test_an_installation_of_parse_whose_time_is_none_is_left_out() -> None:
    row = {"_id": "A1", "deviceType": "android", "deviceToken": "t", "_updated_at": {"$date": {"$numberLong": "x"}}}
    assert list(parse.changes_of(row, HOW)) == [Skipped.NO_TIME]


@pytest.mark.parametrize("seen", [1795251600, {"$numberLong": "1795251600"}, {"$numberDouble": "1795251600.0"}])
def test_a_user_of_countly_was_last_seen_in_each_of_them(seen: Any) -> None:
    (found,) = countly.changes_of({"_id": "1a", "tk": {"ap": "t"}, "ls": seen}, HOW)
    assert not isinstance(found, Skipped)
    assert found[1]["at"] == "2026-11-21T09:00:00+00:00"
