"""Notifications that a frequency cap counts: the keeper is asked before they leave (fact K2 of reference/time.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.config.caps import Cap
from pushcast.config.classes import Class
from pushcast.config.settings import Settings
from pushcast.model.caps import CapRule
from pushcast.model.ids import device_name, device_row_key, user_row_key
from pushcast.model.quiet import DAYS
from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Lane, Reason, Source
from pushcast.wire import topics
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.waiting.facts import decode_facts
from pushcast.wire.waiting.held import held_of
from twins.kafka import Produced, record
from twins.plan import T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
KEEP = topics.keep(Lane.NORMAL)
CLASSES = {
    "promo": Class(window_seconds=0),
    "alarm": Class(window_seconds=0, lane=Lane.URGENT),
    "asked": Class(window_seconds=0, lane=Lane.URGENT, caps="apply"),
    "may": Class(window_seconds=0, may_override=("frequency_cap",)),
    "free": Class(window_seconds=0, caps="ignore"),
    "silent": Class(window_seconds=0, caps="ignore", counted=False),
}
CAP = Cap(name="three", limit=3, window_seconds=86_400)


def harness_of(*caps: Cap) -> PlanHarness:
    harness = PlanHarness(classes=CLASSES, caps=caps or (CAP,))
    harness.device(ANN, time_zone="Europe/Berlin")
    return harness


def kept(harness: PlanHarness) -> list[Produced]:
    return [each for each in harness.outbox.log if each.topic == KEEP]


async def fed(harness: PlanHarness, event: dict[str, Any]) -> None:
    await harness.feed((ANN, event))
    await harness.acknowledge()


async def test_the_keeper_is_asked_with_what_a_cap_has_to_know() -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": "promo", "app": "news"}))
    [sent] = kept(harness)
    held = held_of(sent.headers)
    facts = decode_facts(held.facts)
    assert (held.due_at, facts.gate, facts.klass, facts.app, facts.zone) == (
        T0,
        Reason.FREQUENCY_CAP,
        "promo",
        "news",
        "Europe/Berlin",
    )
    [planned] = harness.planned_records()
    assert (planned.facts[0].held, planned.reason) == (1, ["frequency_cap"])
    assert harness.batches() == []


async def test_k8_a_cap_is_told_how_long_a_local_time_lives_from_when_it_is_due() -> None:
    harness = harness_of()
    local = {"created_at": T0 - 10 * 86_400_000, "deliver_local_at": "2027-01-15T09:00"}  # T0 in Berlin
    await harness.let_go(ANN, note(1, **{"class": "promo"}, **local))
    [sent] = kept(harness)
    assert decode_facts(held_of(sent.headers).facts).expires_at == T0 + 86_400_000


async def test_a_producer_whose_clock_is_ahead_does_not_have_the_keeper_wait_for_it() -> None:
    harness = harness_of()
    value = json.dumps(note(1, **{"class": "promo"})).encode()
    ahead = record(harness.topic, harness.partition, 0, ANN.encode(), value, (), T0 + 5_000)
    await harness.feed(ahead)
    await harness.acknowledge()
    held = held_of(kept(harness)[0].headers)
    assert (held.due_at, held.written_at) == (T0, T0 + 5_000)


@pytest.mark.parametrize("klass", ["alarm", "free"])
async def test_k2_classes_that_ignore_caps_leave_at_once(klass: str) -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": klass}))
    assert kept(harness) == []
    assert len(harness.batches()) == 1


async def test_an_urgent_class_may_be_capped() -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": "asked"}))
    assert len(kept(harness)) == 1


async def test_what_no_cap_counts_leaves_at_once() -> None:
    harness = harness_of(Cap(name="free", classes=("free",), limit=1, window_seconds=60))
    await fed(harness, note(1, **{"class": "promo"}))
    assert len(harness.batches()) == 1


async def test_k3_a_dry_run_is_not_counted() -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": "promo"}, options={"dry_run": True}))
    assert len(harness.batches()) == 1


async def test_what_got_a_slot_leaves() -> None:
    harness = harness_of()
    await harness.let_go(ANN, note(1, **{"class": "promo"}), passed="frequency_cap")
    assert kept(harness) == []
    [batch] = harness.batches()
    assert batch.source == Source.DUE


async def test_what_got_a_slot_leaves_also_when_its_device_comes_while_it_is_looked_up_once_more() -> None:
    harness = PlanHarness(classes=CLASSES, caps=(CAP,))
    await harness.let_go(ANN, note(1, **{"class": "promo"}), passed="frequency_cap")
    harness.device(ANN)
    await harness.pass_time(3)
    await harness.acknowledge()
    assert kept(harness) == []
    assert len(harness.batches()) == 1


def told(harness: PlanHarness) -> list[tuple[str, int | None]]:
    """(notification, how many deliveries) of what the keeper is told."""
    found = [decode_counted(each.value) for each in harness.outbox.log if each.topic == topics.COUNTED]
    return [(each.notification_id, each.planned) for each in found]


async def test_k3_the_keeper_is_told_how_many_deliveries_there_are_of_what_has_a_slot() -> None:
    harness = harness_of()
    harness.device(ANN, "tablet")
    await harness.let_go(ANN, note(1, **{"class": "promo"}), passed="frequency_cap")
    assert told(harness) == [("n-1", 2)]
    [batch] = harness.batches()
    assert batch.messages[0].counted


@pytest.mark.parametrize(("closes", "deliveries"), [("", 2), ("cancelled", 1), ("expired/frequency_cap", 1)])
async def test_k3_the_keeper_is_told_with_the_last_part_how_many_deliveries_all_parts_have(
    closes: str, deliveries: int
) -> None:
    """It counted the last part alone: a token of the first part that was dead gave the slot back, and took the number
    from the badge, while the last part was under way."""
    harness = harness_of()
    harness.device(ANN, "tablet")
    event = note(1, **{"class": "promo", "deliver_local_at": "2027-01-15T09:00"})  # T0 in Berlin
    tablet = device_name(device_row_key(ANN, "news", "tablet"))
    await harness.let_go(ANN, event, passed="frequency_cap", done=tablet, closes=closes)
    assert told(harness) == [("n-1", deliveries)]


async def test_k3_what_ends_at_the_planner_gives_its_slot_back() -> None:
    harness = PlanHarness(classes=CLASSES, caps=(CAP,))
    await harness.let_go(ANN, note(1, **{"class": "promo"}), passed="frequency_cap")
    await harness.pass_time(3)
    await harness.acknowledge()
    assert told(harness) == [("n-1", 0)]


@pytest.mark.parametrize(("klass", "counted"), [("alarm", True), ("silent", False)])
async def test_k2_a_class_that_ignores_caps_is_counted_when_it_is_accepted_unless_it_says_no(
    klass: str, counted: bool
) -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": klass}))
    [batch] = harness.batches()
    assert batch.messages[0].counted is counted
    assert told(harness) == []


async def test_k3_a_dry_run_is_counted_by_nobody() -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": "promo"}, options={"dry_run": True}))
    [batch] = harness.batches()
    assert not batch.messages[0].counted


async def test_a_digest_is_asked_for_as_one() -> None:
    harness = harness_of()
    await harness.let_go(ANN, {**note(1, **{"class": "promo"}), "id": "digest:1"}, passed="digest")
    [sent] = kept(harness)
    held = held_of(sent.headers)
    assert (held.note_id, held.part, held.passed) == ("digest:1", 1, "digest")


@pytest.mark.parametrize(("closes", "outcome"), [("frequency_cap", "suppressed"), ("expired/frequency_cap", "expired")])
async def test_one_too_many_says_so(closes: str, outcome: str) -> None:
    harness = harness_of()
    await harness.let_go(ANN, note(1, **{"class": "promo"}), closes=closes)
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"]) == (outcome, "frequency_cap")


async def test_a0_an_event_of_a_class_that_allows_it_passes_caps_by_its_own_word_and_is_counted_when_accepted() -> None:
    harness = harness_of()
    await fed(harness, note(1, **{"class": "may", "options": {"override": ["frequency_cap"]}}))
    await harness.pass_time(2.5)
    await harness.acknowledge()
    assert kept(harness) == []
    [batch] = harness.batches()
    assert batch.messages[0].counted
    await fed(harness, note(2, **{"class": "promo", "options": {"override": ["frequency_cap"]}}))
    [letter] = [each for each in harness.outbox.log if each.topic.endswith(".dlq")]
    assert dict(letter.headers)["push.errors.field"] == b"options.override"


async def test_in_quiet_hours_no_slot_is_taken() -> None:
    """Caps come after quiet hours: a slot is taken when it is used."""
    harness = harness_of()
    row = UserRow(at=1, quiet_hours=(QuietHours(DAYS, "00:00", "23:59"),))
    harness.table.rows[3][user_row_key(ANN, "")] = encode_user_row(row)
    await fed(harness, note(1, **{"class": "promo"}))
    [sent] = kept(harness)
    assert held_of(sent.headers).facts == b""
    assert [row[3] for row in harness.planned()] == ["quiet_hours"]


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"limit": 0}, "greater than or equal to 1"),
        ({"limit": 101}, "less than or equal to 100"),
        ({"window_seconds": None}, "either window_seconds or calendar"),
        ({"calendar": "day"}, "either window_seconds or calendar"),
        ({"classes": ["promos"]}, "names the class promos"),
        ({"app": "newz"}, "names the app newz"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(tree: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Settings.model_validate({"caps": [{"name": "one", "limit": 1, "window_seconds": 60, **tree}]})


def test_two_caps_have_two_names_and_there_are_at_most_ten() -> None:
    cap = {"name": "one", "limit": 1, "window_seconds": 60}
    with pytest.raises(ValueError, match="two are called one"):
        Settings.model_validate({"caps": [cap, cap]})
    with pytest.raises(ValueError, match="at most 10"):
        Settings.model_validate({"caps": [{**cap, "name": f"c{number}"} for number in range(11)]})


def test_a_cap_is_a_rule() -> None:
    assert CAP.rule == CapRule("three", 3, window_ms=86_400_000)
    week = Cap(name="w", classes=("promo",), app="news", limit=2, calendar="week", on_exceed="hold")
    assert week.rule == CapRule("w", 2, frozenset({"promo"}), "news", 0, "week", "hold")
    assert json.loads(week.model_dump_json())["on_exceed"] == "hold"
