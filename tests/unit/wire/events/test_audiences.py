"""Audiences from JSON: five forms, their limits, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.audience import EVERYBODY, And, FollowedTopic, NamedSegment, Node, Not, Or
from pushcast.model.errors import InvalidInput
from pushcast.wire.events.audiences import expanded, parse_audience, parse_where, where_of

EVERY_LEAF: list[dict[str, Any]] = [
    {"topic": "team/arsenal"},
    {"platform": "fcm"},
    {"locale": "de-at"},
    {"region": "BY"},
    {"country": "DE"},
    {"time_zone": "Europe/Berlin"},
    {"app_version": {">=": "7.1"}},
    {"app_version": {">=": "0"}},
    {"seen_days": {"<=": 30}},
    {"registered_days": {">": 7}},
    {"tag": {"key": "vip", "exists": True}},
    {"tag": {"key": "vip", "in": ["1", "2"]}},
    {"user": ["u-1", "u-2"]},
    {"bucket": {"salt": "b-1", "from": 0, "to": 100}},
    {"segment": "de-users"},
]


def refused(audience: Any, field: str, says: str, reason: str = "invalid_field") -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_audience(audience)
    assert caught.value.reason == reason
    assert caught.value.field == field
    assert says in str(caught.value)


@pytest.mark.parametrize("count", [0, 21])
def test_fact_1_topics_are_1_to_20(count: int) -> None:
    refused({"topics": [f"t{n}" for n in range(count)]}, "audience.topics", "1 to 20")


@pytest.mark.parametrize("count", [1, 20])
def test_fact_1_1_and_20_topics_are_taken(count: int) -> None:
    assert parse_audience({"topics": [f"t{n}" for n in range(count)]})


def test_fact_3_an_audience_is_said_and_has_one_form() -> None:
    refused(None, "audience", '{"all": true}')
    refused({}, "audience", "exactly one")
    refused({"all": True, "topics": ["a"]}, "audience", "exactly one")
    refused({"everyone": True}, "audience", "exactly one")
    refused({"all": False}, "audience.all", "true")
    assert parse_audience({"all": True}) == EVERYBODY


def test_fact_4_a_condition_without_parentheses_has_two_readings() -> None:
    refused({"condition": "'a' in topics || 'b' in topics && 'c' in topics"}, "audience.condition", "add parentheses")


def test_a_condition_reads_as_fcm_does() -> None:
    a, b, c = FollowedTopic("a"), FollowedTopic("b"), FollowedTopic("c")
    assert parse_audience({"condition": "'a' in topics"}) == a
    assert parse_audience({"condition": "!'a' in topics"}) == Not(a)
    assert parse_audience({"condition": "('a' in topics||\"b\" in topics) && !('c' in topics)"}) == And(
        (Or((a, b)), Not(c))
    )
    assert parse_audience({"condition": "'a' in topics && 'b' in topics && 'c' in topics"}) == And((a, b, c))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a in topics",
        "'a' in topic",
        "'a' in topics &&",
        "('a' in topics",
        "'a' in topics)",
        "'' in topics",
        "'a",
        "'a' in topics ; 1",
    ],
)
def test_a_broken_condition_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"audience\.condition"):
        parse_audience({"condition": text})


def test_a_condition_has_64_topics_and_no_endless_parentheses() -> None:
    many = " || ".join(f"'t{n}' in topics" for n in range(65))
    refused({"condition": many}, "audience.condition", "more than 64 topics")
    refused({"condition": "(" * 10_000}, "audience.condition", "parentheses")


def test_fact_8_a_tree_has_64_conditions_8_levels_and_16_kib() -> None:
    refused({"where": {"or": [{"topic": f"t{n}"} for n in range(65)]}}, "audience.where", "65 conditions; at most 64")
    deep: dict[str, Any] = {"topic": "a"}
    for _ in range(8):
        deep = {"not": deep}
    with pytest.raises(InvalidInput, match=r"at most 8|more than 8 levels"):
        parse_audience({"where": deep})
    assert parse_audience({"where": deep["not"]})
    large = {"user": [f"{n:0200}" for n in range(90)]}
    refused({"where": large}, "audience.where", "at most 16384")


def test_a_topic_has_900_bytes_at_most() -> None:
    assert parse_audience({"topics": ["x" * 900]})
    refused({"topics": ["ok", "ü" * 451]}, "audience.topics[1]", "at most 900")


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({"topics": ["a"]}, "audience.where.topics"),
        ({"or": []}, "audience.where.or"),
        ({"topic": 7}, "audience.where.topic"),
        ({"platform": "symbian"}, "audience.where.platform"),
        ({"locale": "@calendar=roc"}, "audience.where.locale"),
        ({"locale": "İ" * 32}, "audience.where.locale"),
        ({"app_version": {">": "7"}}, "audience.where.app_version"),
        ({"app_version": {">=": "7.x"}}, "audience.where.app_version"),
        ({"seen_days": {"<=": True}}, "audience.where.seen_days"),
        ({"tag": {"key": "vip"}}, "audience.where.tag"),
        ({"tag": {"key": "vip", "exists": False}}, "audience.where.tag"),
        ({"user": []}, "audience.where.user"),
        ({"bucket": {"salt": "x", "from": 5, "to": 5}}, "audience.where.bucket"),
        ({"segment": "a/b"}, "audience.where.segment"),
        ({"and": [{"topic": "a"}, {"not": 1}]}, "audience.where.and[1].not"),
        ([], "audience.where"),
    ],
)
def test_a_broken_tree_is_refused_at_its_place(where: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_audience({"where": where})
    assert caught.value.field == field


@pytest.mark.parametrize("leaf", EVERY_LEAF, ids=lambda leaf: next(iter(leaf)))
def test_what_is_written_is_read_as_the_same_tree(leaf: dict[str, Any]) -> None:
    node = parse_where({"and": [leaf, {"not": leaf}, {"or": [leaf]}]}, "where")
    assert parse_where(where_of(node), "where") == node
    assert where_of(parse_where(leaf, "where")) == leaf


def test_segments_are_replaced_by_what_they_stand_for() -> None:
    known: dict[str, Node] = {
        "both": And((NamedSegment("a"), Not(NamedSegment("b")))),
        "a": FollowedTopic("a"),
        "b": FollowedTopic("b"),
    }
    assert expanded(Or((NamedSegment("both"), FollowedTopic("c"))), known.get) == Or(
        (And((FollowedTopic("a"), Not(FollowedTopic("b")))), FollowedTopic("c"))
    )


def test_fact_9_an_unknown_segment_is_named() -> None:
    with pytest.raises(InvalidInput, match="no segment 'x'") as caught:
        expanded(Not(NamedSegment("x")), lambda _: None)
    assert caught.value.reason == "unknown_segment"


def test_a_segment_that_needs_itself_is_refused() -> None:
    known: dict[str, Node] = {"a": NamedSegment("b"), "b": Not(NamedSegment("a"))}
    with pytest.raises(InvalidInput, match=r"a needs b needs a") as caught:
        expanded(NamedSegment("a"), known.get)
    assert caught.value.reason == "invalid_field"


def test_segments_do_not_lift_the_limits() -> None:
    ten = Or(tuple(FollowedTopic(f"t{n}") for n in range(10)))
    with pytest.raises(InvalidInput, match="70 conditions; at most 64"):
        expanded(And((NamedSegment("ten"),) * 7), {"ten": ten}.get)
