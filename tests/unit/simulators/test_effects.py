from __future__ import annotations

from random import Random

import pytest

from pushcast.simulators.effects import Effect, Rule, RuleBook


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("ok", Effect("ok")),
        ("status:503", Effect("status", 503)),
        ("status:429:TooManyRequests", Effect("status", 429, "TooManyRequests")),
        ("reason:Unregistered", Effect("status", reason="Unregistered")),
        ("empty:503", Effect("empty", 503)),
        ("html:502", Effect("html", 502)),
        ("latency:250", Effect("latency", delay_seconds=0.25)),
        ("never", Effect("never")),
        ("reset:REFUSED_STREAM", Effect("reset", error_code=7)),
        ("reset:11", Effect("reset", error_code=11)),
        ("partial", Effect("partial", error_code=2)),
        ("drop", Effect("drop")),
        ("fail:3", Effect("fail", 503, count=3)),
        ("fail:3:500", Effect("fail", 500, count=3)),
    ],
)
def test_effects_are_read_from_text(text: str, effect: Effect) -> None:
    assert Effect.parse(text) == effect


@pytest.mark.parametrize("text", ["", "statos:503", "status:9", "status:x", "reset:NO_SUCH", "ok:1", "latency:soon"])
def test_an_unknown_effect_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="is not one of: ok, status"):
        Effect.parse(text)


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "ok", "match": {"tokn": "x"}},
        {"effect": "ok", "chance": 1},
        {"effect": "ok", "probability": 1.5},
        {"match": {}},
    ],
)
def test_a_rule_with_a_typing_mistake_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rule|effect"):
        Rule.parse(rule)


def book(*rules: dict[str, object], seed: int = 0) -> RuleBook:
    made = RuleBook(Random(seed))
    made.replace([Rule.parse(rule) for rule in rules])
    return made


def kinds(rules: RuleBook, count: int, token: bytes = b"aa", app: str = "news") -> list[str | None]:
    found = [rules.find(token, app) for _ in range(count)]
    return [None if effect is None else effect.kind for effect in found]


def test_the_first_rule_that_meets_a_request_decides() -> None:
    rules = book({"match": {"prefix": "aa"}, "effect": "never"}, {"effect": "drop"})
    assert kinds(rules, 1, b"aab") == ["never"]
    assert kinds(rules, 1, b"bab") == ["drop"]


def test_times_and_nth_count_the_requests_that_match() -> None:
    assert kinds(book({"effect": "drop", "times": 2}), 3) == ["drop", "drop", None]
    nth = book({"match": {"nth": 2, "token": "aa"}, "effect": "drop"})
    assert kinds(nth, 1, b"bb") == [None]
    assert kinds(nth, 3) == [None, "drop", None]


def test_a_rule_can_be_for_one_app() -> None:
    rules = book({"match": {"topic": "com.example.news"}, "effect": "drop"})
    assert kinds(rules, 1, app="com.example.shop") == [None]
    assert kinds(rules, 1, app="com.example.news") == ["drop"]


def test_probability_is_seeded() -> None:
    rule: dict[str, object] = {"effect": "status:503", "probability": 0.1}
    first, again, other = (kinds(book(rule, seed=seed), 2_000) for seed in (1, 1, 2))
    assert first == again != other
    assert 120 < first.count("status") < 280


def test_failures_are_counted_per_token() -> None:
    rules = book()
    assert [rules.still_fails(b"a", 2) for _ in range(3)] == [True, True, False]
    assert rules.still_fails(b"b", 1)
