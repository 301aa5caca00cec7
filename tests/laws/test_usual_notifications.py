"""The short way of a notification that has only what nearly all have: it is read as the long way reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import LocalText, Options
from pushcast.wire import notification_rules
from pushcast.wire.class_rules import ClassRule
from pushcast.wire.notification_rules import RawNotification, shared_of

CLASSES = {
    "default": ClassRule(1000),
    "ping": ClassRule(1000, "News for you"),
    "waits": ClassRule(1000, unless_read_seconds=5),
    "kept": ClassRule(1000, tracked=True, removable=True, may_override=frozenset(("quiet_hours",))),
}
texts = st.none() | st.sampled_from(["", "Goal!", "y" * 100, "z" * 70_000])
options = st.fixed_dictionaries(
    {},
    optional={
        "collapse_id": texts,
        "thread_id": texts,
        "sound": texts | st.just({"name": "bell", "critical": True}),
        "priority": st.sampled_from(["high", "normal"]),
        "mutable_content": st.booleans(),
        "interruption_level": st.sampled_from([None, "passive"]),
        "relevance_score": st.sampled_from([None, 0.5, 2.0]),
        "channel_id": texts,
        "analytics_label": st.sampled_from([None, "", "label", "no label"]),
        "badge": st.sampled_from([None, 3, "+1"]),
        "push_type": st.sampled_from(["alert", "background", "voip"]),
        "ttl_seconds": st.sampled_from([None, 0, 60, 2_419_201]),
        "override": st.sampled_from([(), ("quiet_hours",), ("frequency_cap",)]),
    },
)
usual = {
    "klass": st.sampled_from([None, *CLASSES, "nope"]),
    "title": texts,
    "body": texts,
    "data": st.sampled_from([None, {}, {"match": "4711"}, {"n": 1}, {"pc": "ours"}]),
    "options": st.none() | options,
    "created_at": st.sampled_from([None, 5, "soon"]),
}
rest: dict[str, st.SearchStrategy[Any]] = {
    "subtitle": texts,
    "image": st.sampled_from([None, "", "https://example.com/a.png"]),
    "locales": st.sampled_from([None, {}, {"de": {"title": "Tor!"}}, {"de": {}, "DE": {}}]),
    "trace": st.sampled_from([None, "", "t" * 200]),
    "campaign": st.sampled_from([None, "c"]),
    "deliver_at": st.sampled_from([None, 7]),
    "unless_read_seconds": st.sampled_from([None, 0, 9]),
    "revision": st.sampled_from([None, 0, 2]),
    "replay_of": st.sampled_from([None, "n"]),
}


def said(raw: RawNotification) -> Any:
    try:
        return shared_of(raw, CLASSES)
    except InvalidInput as error:
        return error.reason, str(error), error.field


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({"id": st.just("n"), **usual}, optional=rest))
def test_both_ways_say_the_same(fields: dict[str, Any]) -> None:
    raw = RawNotification(
        **{
            **fields,
            "options": msgspec.convert(fields["options"], Options | None),
            "locales": msgspec.convert(fields.get("locales"), dict[str, LocalText] | None),
        }
    )
    short = said(raw)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(notification_rules, "_NO_REST", object())
        assert said(raw) == short


def test_the_short_way_is_asked_of_every_field_that_it_leaves_out() -> None:
    asked = set(RawNotification.__struct_fields__) - set(notification_rules._USUAL)
    assert set(rest) | {"locales"} <= asked
    for name in asked:
        other: dict[str, Any] = {name: "other"}
        assert notification_rules._rest_of(RawNotification("n", **other)) != notification_rules._NO_REST
