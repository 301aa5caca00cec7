"""The law of bulk requests: each of their notifications is judged as if it had come alone.

What notifications share is checked once (`gateway.alike`), so that a mistake there would let one pass with the rights
of another. The driver runs the gateway's own code; two of its rules are switched off in turn, and the law fails.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pushcast.gateway import alike, notifications
from pushcast.gateway.access import Caller
from pushcast.gateway.http import JSON, Request
from pushcast.gateway.identity import Repeats
from pushcast.gateway.notifications import Notifications
from pushcast.gateway.writing import Writer
from pushcast.wire.control.api_keys import ApiKey, Scope
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from twins.gateway import NOW_MS, PARTITIONS, ProducerTwin, settings_of

SETTINGS: Final = settings_of()
DECODE: Final = NotificationDecoder(SETTINGS.apps, class_rules(SETTINGS.classes)).decode
CALLER: Final = Caller("k", ApiKey((Scope.NOTIFICATIONS_SEND,), (), apps=("news",), classes=("default", "breaking")))
#: Ids that are also apps, classes, fields and pieces of JSON: what is taken out must not be taken for something else.
TEXTS: Final = st.sampled_from(
    [
        *("a", "b", "c" * 60, "news", "shop", "default", "breaking", "id", "user", "title", "device:1", "", ",", ":"),
        *("canary-1", "digest:1", "remove:a", "badge:", "canary:1"),
        *('"', "\\", 'a"', '","id":"b', "\0", "a\n", " ", "ü", "\ud800", "2026-01-01T00:00:00Z"),
    ]
)
#: Near what a push to Apple's devices may have, with an id of one character and of sixty.
LARGE: Final = st.integers(3850, 3990).map("x".__mul__)
ANY: Final = st.one_of(TEXTS, st.integers(-1, 3), st.booleans(), st.none(), st.just({}), st.just(["a", "b"]))
FIELDS: Final = st.one_of(
    st.tuples(st.just("user"), TEXTS),
    st.tuples(st.just("app"), st.sampled_from(["news", "shop", "a"])),
    st.tuples(st.just("class"), st.sampled_from(["default", "breaking", "digest", "a"])),
    st.tuples(st.just("title"), TEXTS),
    st.tuples(st.just("body"), st.one_of(TEXTS, LARGE)),
    st.tuples(st.just("data"), st.dictionaries(TEXTS, TEXTS, max_size=2)),
    st.tuples(st.just("deliver_at"), st.sampled_from([NOW_MS + 1000, NOW_MS - 10**10, "a"])),
    st.tuples(st.just("spread_seconds"), st.sampled_from([1, 60, 10**9])),
    st.tuples(TEXTS, ANY),
)


def written(fields: list[tuple[str, Any]], spaced: bool, plain: bool) -> str:
    """As JSON, fields of one name and all."""
    comma, colon = (", ", ": ") if spaced else (",", ":")
    members = (f"{json.dumps(name)}{colon}{json.dumps(value, ensure_ascii=plain)}" for name, value in fields)
    return "{" + comma.join(members) + "}"


@st.composite
def requests(draw: st.DrawFn) -> list[bytes]:
    """A few contents, each for several users."""
    events: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        others = draw(st.lists(FIELDS, max_size=3))
        before = draw(st.integers(0, len(others)))
        spaced, plain = draw(st.booleans()), draw(st.booleans())
        for _ in range(draw(st.integers(1, 4))):
            own = [("id", draw(TEXTS)), ("user", draw(TEXTS))]
            if draw(st.booleans()):
                own.reverse()
            if draw(st.integers(0, 4)) == 0:
                own.pop()
            events.append(written([*others[:before], *own, *others[before:]], spaced, plain))
    return [event.encode(errors="surrogatepass") for event in draw(st.permutations(events))]


def judged(items: list[bytes]) -> tuple[list[Any], list[dict[str, Any]]]:
    """What is written, and what is answered for those that are not."""
    producer = ProducerTwin()

    async def ask() -> Any:
        writer = Writer(producer, PARTITIONS, 5.0, lambda low, _: low)
        nobody_rehearses: Any = None
        gate = Notifications(SETTINGS, DECODE, writer, Repeats(), nobody_rehearses)
        headers = {"content-type": JSON, "idempotency-key": "k"}
        return await gate.bulk(Request("POST", items=items, headers=headers, now_ms=NOW_MS), CALLER)

    answer = asyncio.run(ask())
    return producer.puts, msgspec.json.decode(answer.body)["results"]


def law(items: list[bytes]) -> None:
    """Together as alone."""
    puts, problems = judged(items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notifications, "split", lambda _: None)
        assert (puts, problems) == judged(items)


def event(note_id: str, **fields: Any) -> bytes:
    return json.dumps({"id": note_id, "user": "u", **fields}).encode()


#: The ids are apps, too: one that the key is for, and one that it is not for.
IDS_OF_APPS: Final = [event("news", app="news", title="t"), event("shop", app="shop", title="t")]
#: Alike, and with the short id alone what a platform takes: somewhere among these is its limit.
IDS_OF_LENGTHS: Final = [
    event(name, app="news", link="https://a", body="x" * size) for size in range(3850, 3990) for name in ("a", "b" * 60)
]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests())
@example(IDS_OF_APPS)
@example(IDS_OF_LENGTHS)
def test_each_of_a_bulk_is_judged_as_if_it_had_come_alone(items: list[bytes]) -> None:
    law(items)


def test_taking_out_every_place_of_an_id_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere(raw: bytes) -> Any:
        found = alike.split(raw)
        return None if found is None else found._replace(rest=raw.replace(b'"%b"' % found.id.encode(), b'"\0"'))

    monkeypatch.setattr(notifications, "split", everywhere)
    with pytest.raises(AssertionError):
        law(IDS_OF_APPS)


def test_sharing_what_depends_on_the_id_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "may_share", lambda _: True)
    with pytest.raises(AssertionError):
        law(IDS_OF_LENGTHS)
