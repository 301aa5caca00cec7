"""The short way of a notification that has only what nearly all have: it is read as the long way reads it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Options
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notification_rules import RawNotification, UsualNotification, shared_of, usual_of
from pushcast.wire.events.notifications import NotificationDecoder

FORMS = UsualNotification, RawNotification
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


def said(raw: RawNotification) -> Any:
    try:
        return shared_of(raw, CLASSES)
    except InvalidInput as error:
        return error.reason, str(error), error.field


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({"id": st.just("n"), **usual}))
def test_both_ways_say_the_same_or_the_short_one_nothing(fields: dict[str, Any]) -> None:
    event = UsualNotification(**{**fields, "options": msgspec.convert(fields["options"], Options | None)})
    short = usual_of(event, CLASSES)
    assert short is None or short == said(event.raw())


def test_a_chat_takes_the_short_way() -> None:
    event = UsualNotification("n", None, "chat", None, "Ann", "Hi", {"room": "7"}, Options(thread_id="t"), 5, 6)
    assert usual_of(event, CLASSES) is not None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.booleans(), max_size=80))
def test_what_came_before_an_event_does_not_change_how_it_is_read(unusual: list[bool]) -> None:
    decoder = NotificationDecoder(["chat"], CLASSES)
    for number, more in enumerate(unusual):
        event = {"id": f"n-{number}", "app": "chat", "title": "Hi"} | ({"campaign": "c"} if more else {})
        note = decoder.decode("ann", json.dumps(event).encode(), 1_800_000_000_000)
        assert (note.id, note.campaign) == (f"n-{number}", "c" if more else None)


def test_what_is_usual_is_a_part_of_the_json_form() -> None:
    forms = [{field.name: field for field in msgspec.structs.fields(each)} for each in FORMS]
    for name, field in forms[0].items():
        assert (field.type, field.default) == (forms[1][name].type, forms[1][name].default)
    assert UsualNotification("n", title="t").raw() == RawNotification("n", title="t")
