"""One predicate: what an audience's tree says of a device, and why a device is left out."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.audience import Node
from pushcast.model.device import DeviceRow
from pushcast.walk.predicate import DAY_MS, Left, Predicate, needles
from pushcast.wire.devices.devices import encode_row, row_columns
from pushcast.wire.events.audiences import parse_audience, parse_where

HORIZON_MS = 1_790_000_000_000


def row(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "app": "news",
        "device": "d-1",
        "platform": "apns",
        "kind": "token",
        "address": b"t",
        "key_id": "",
        "token_hash": b"h" * 16,
        "state": "active",
        "registered_at": HORIZON_MS - DAY_MS,
        "seen_at": HORIZON_MS - DAY_MS,
        "first_at": HORIZON_MS - DAY_MS,
    }
    return encode_row(DeviceRow(**fields | changes))


def left(node: Node, value: bytes, *, user: str = "u-1", push_type: str = "alert") -> Left | None:
    predicate = Predicate(node, app="news", push_type=push_type, horizon_ms=HORIZON_MS)
    found = predicate.left(user, row_columns(value))
    assert found is not None or predicate.may_pass(value), "the prefilter missed a device of the audience"
    return found


def takes(node: Node, value: bytes, user: str = "u-1") -> bool:
    return left(node, value, user=user) is None


def test_fact_2_a_device_of_two_topics_passes_once_for_both() -> None:
    node = parse_audience({"topics": ["team/a", "team/b"]})
    assert takes(node, row(topics=("team/a", "team/b")))
    assert takes(node, row(topics=("x", "team/b")))
    assert not takes(node, row(topics=("team/abc",)))


def test_fact_4_a_condition_with_parentheses() -> None:
    node = parse_audience({"condition": "('a' in topics || 'b' in topics) && 'c' in topics"})
    assert not takes(node, row(topics=("a",)))
    assert takes(node, row(topics=("a", "c")))


def test_fact_5_a_denied_topic_takes_devices_without_any() -> None:
    node = parse_audience({"condition": "!('a' in topics)"})
    assert takes(node, row())
    assert not takes(node, row(topics=("a",)))


@pytest.mark.parametrize(
    ("version", "expected"),
    [("7.1.0", True), ("7.10", True), ("8", True), ("7.0.9", False), (None, False), ("x", False)],
)
def test_fact_7_versions_are_dotted_numbers(version: str | None, expected: bool) -> None:
    assert takes(parse_where({"app_version": {">=": "7.1"}}, "where"), row(app_version=version)) is expected


def test_a_version_that_is_none_is_false_for_every_comparison() -> None:
    for comparison in ("<", ">=", "="):
        assert not takes(parse_where({"app_version": {comparison: "7"}}, "where"), row(app_version="beta"))


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("de", True), ("de-AT", True), ("de_CH", True), ("den", False), ("en", False), (None, False)],
)
def test_a_locale_is_a_prefix_by_subtags(locale: str | None, expected: bool) -> None:
    assert takes(parse_where({"locale": "de"}, "where"), row(locale=locale)) is expected
    assert takes(parse_where({"not": {"locale": "de"}}, "where"), row(locale=locale)) is not expected


def test_what_a_device_reports_of_itself() -> None:
    for name, value in (("country", "DE"), ("region", "BY"), ("time_zone", "Europe/Berlin")):
        node = parse_where({name: value}, "where")
        assert takes(node, row(**{name: value}))
        assert not takes(node, row())
    assert takes(parse_where({"platform": "apns"}, "where"), row())
    assert not takes(parse_where({"platform": "fcm"}, "where"), row())


def test_days_count_from_the_time_of_the_broadcast() -> None:
    young, old = parse_where({"seen_days": {"<=": 1}}, "where"), parse_where({"seen_days": {">": 1}}, "where")
    assert takes(young, row(seen_at=HORIZON_MS - DAY_MS))
    assert not takes(young, row(seen_at=HORIZON_MS - DAY_MS - 1))
    assert takes(old, row(seen_at=HORIZON_MS - DAY_MS - 1))
    assert not takes(parse_where({"registered_days": {">": 0}}, "where"), row(first_at=None))


def test_tags_have_values_or_are_there() -> None:
    vip = row(tags={"vip": "1"})
    assert takes(parse_where({"tag": {"key": "vip", "=": "1"}}, "where"), vip)
    assert takes(parse_where({"tag": {"key": "vip", "exists": True}}, "where"), vip)
    assert takes(parse_where({"tag": {"key": "vip", "in": ["0", "1"]}}, "where"), vip)
    assert not takes(parse_where({"tag": {"key": "vip", "=": "2"}}, "where"), vip)
    assert not takes(parse_where({"tag": {"key": "vip", "exists": True}}, "where"), row())


def test_users_and_buckets_are_the_users() -> None:
    assert takes(parse_where({"user": ["u-1", "u-2"]}, "where"), row(), "u-2")
    assert not takes(parse_where({"user": "u-1"}, "where"), row(), "u-2")
    first_half = parse_where({"bucket": {"salt": "b-1", "from": 0, "to": 5000}}, "where")
    assert takes(first_half, row(), "u-1")  # 1432
    assert not takes(first_half, row(), "u-2")  # 6983


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "suspended"}, Left.INACTIVE),
        ({"state": "gone"}, Left.INACTIVE),
        ({"purpose": "voip"}, Left.PURPOSE),
        ({"first_at": HORIZON_MS + 1}, Left.AFTER_HORIZON),
        ({"first_at": HORIZON_MS}, None),
        ({"first_at": None}, None),  # rows of earlier releases are before every horizon
    ],
)
def test_no_filter_is_hidden(changes: dict[str, Any], expected: Left | None) -> None:
    assert left(parse_audience({"all": True}), row(**changes)) is expected


def test_the_reason_names_the_condition_that_decided() -> None:
    node = parse_where(
        {"and": [{"platform": "apns"}, {"or": [{"topic": "a"}, {"topic": "b"}]}, {"locale": "de"}]}, "where"
    )
    predicate = Predicate(node, app="news", push_type="alert", horizon_ms=HORIZON_MS)
    assert predicate.why("u-1", row_columns(row(topics=("a",)))) == (Left.AUDIENCE, {"locale": "de"})
    assert predicate.why("u-1", row_columns(row(topics=("a",), locale="de"))) == (None, None)


def test_rows_are_sought_by_the_rarest_bytes_that_they_must_hold() -> None:
    both = parse_where({"and": [{"topic": "a"}, {"or": [{"topic": "b"}, {"topic": "c"}]}]}, "where")
    assert needles(both) == {b"\x02a"}
    assert needles(parse_where({"or": [{"topic": "a"}, {"locale": "de"}]}, "where")) is None
    assert needles(parse_where({"not": {"topic": "a"}}, "where")) is None
