"""What goes to the keeper because only it can count or pace it: A7 and A8 of reference/time.md, at the planner."""

from __future__ import annotations

import json
from typing import Any, cast

from pushcast.config.classes import Campaign, Class
from pushcast.config.settings import Kafka, Settings
from pushcast.model.words import Lane, Source
from pushcast.plan.carried import Carried
from pushcast.stream.batch import TP, Batch
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.control.control import Rate
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Held, Released, held_of, released_headers
from twins.kafka import OPEN, Produced, record, settled
from twins.plan import CLASSES, T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
KEEP, DUE = topics.keep(Lane.NORMAL), TP(topics.due(Lane.NORMAL), 3)
PROMO = {**CLASSES, "promo": Class(window_seconds=0, per_minute=600)}


def kept(harness: PlanHarness) -> list[Produced]:
    return [each for each in harness.outbox.log if each.topic == KEEP]


def badge(value: object, **changes: Any) -> dict[str, Any]:
    return note(1, app="news", options={"badge": value, **changes.pop("options", {})}, **changes)


async def fed(event: dict[str, Any], classes: dict[str, Class] = CLASSES) -> PlanHarness:
    harness = PlanHarness(classes=classes)
    harness.device(ANN)
    await harness.feed((ANN, event))
    await harness.acknowledge()
    return harness


async def let_go(harness: PlanHarness, event: dict[str, Any], number: int | None, offset: int = 0) -> None:
    released = Released(T0, None, due_at=T0, badge=number)
    headers = released_headers(origin("keep", 3, 1), "normal|0|k", released, "", None)
    tracker = Tracker(offset, OPEN)
    due = record(DUE.topic, 3, offset, ANN.encode(), json.dumps(event).encode(), headers, T0)
    await harness.stage.handle(Batch(DUE, tracker, tracker.hand_over([due], tracker.arrive([due])), lambda: None))
    await settled()
    await harness.acknowledge()


async def test_b1_a_badge_that_counts_up_goes_to_the_keeper_and_comes_back_as_a_number() -> None:
    harness = await fed(badge("+1"))
    [sent] = kept(harness)
    assert held_of(sent.headers) == Held("n-1", T0, T0, app="news", badge="+1")
    assert [row[3] for row in harness.planned()] == ["badge"]
    await let_go(harness, badge("+1"), 4)
    [batch] = harness.batches()
    assert (batch.messages[0].options.badge, batch.source) == (4, Source.DUE)
    assert len(kept(harness)) == 1, "it does not go there again"


async def test_a8_the_keeper_hears_what_becomes_of_what_it_counted_and_of_nothing_else() -> None:
    harness = await fed(badge("+1"))
    await let_go(harness, badge("+1"), 4)
    [told] = [decode_counted(each.value) for each in harness.outbox.log if each.topic == topics.COUNTED]
    assert (told.notification_id, told.app, told.planned) == ("n-1", "news", 1)
    assert harness.batches()[0].messages[0].counted
    harness = await fed(badge(7))
    assert not harness.batches()[0].messages[0].counted
    assert [each for each in harness.outbox.log if each.topic == topics.COUNTED] == []


async def test_equal_texts_with_other_numbers_are_messages_of_their_own() -> None:
    harness = await fed(badge("+1"))
    for offset, number in enumerate((4, 5)):
        await let_go(harness, {**badge("+1"), "id": f"n-{number}"}, number, offset)
    hashes = {batch.messages[0].content_hash for batch in harness.batches()}
    assert len(hashes) == 2


async def test_a_number_goes_its_own_way_unless_the_app_counts() -> None:
    harness = await fed(badge(7))
    assert kept(harness) == []
    assert harness.batches()[0].messages[0].options.badge == 7
    settings = Settings(apps=cast(Any, {"news": {"badges": "counted"}}), kafka=Kafka(partitions=8))
    event = PlanHarness().stage._reading._decoder.decode(ANN, json.dumps(badge(7)).encode(), T0)
    assert Carried(settings).marked(Held("n-1", T0, T0), event) == Held("n-1", T0, T0, app="news", badge="7")


async def test_a_dry_run_moves_no_badge() -> None:
    harness = await fed(badge("+1", options={"dry_run": True}))
    assert kept(harness) == []
    assert harness.batches()[0].messages[0].options.badge is None


async def test_what_counts_up_needs_an_app() -> None:
    harness = await fed(note(1, options={"badge": "+1"}))
    assert harness.dead_letters() == [("invalid_field", 3)]


async def test_what_is_neither_a_number_nor_one_more_is_refused() -> None:
    for value in ("+2", -1, "7", 2**31):
        harness = await fed(badge(value))
        assert harness.dead_letters() == [("invalid_field", 3)], value


async def test_what_waits_for_its_time_carries_its_badge_along() -> None:
    harness = await fed(badge("+1", deliver_at=T0 + 60_000))
    [sent] = kept(harness)
    assert (held_of(sent.headers).badge, held_of(sent.headers).due_at) == ("+1", T0 + 60_000)
    assert [row[3] for row in harness.planned()] == ["scheduled"]


async def test_a_local_time_that_is_over_goes_there_all_the_same() -> None:
    harness = await fed(badge("+1", deliver_local_at="2027-01-15T07:00"))
    [sent] = kept(harness)
    assert held_of(sent.headers).badge == "+1"


async def test_a6_what_waits_for_those_who_are_there_says_so_and_what_has_a_time_of_its_own_does_not() -> None:
    classes = {
        **CLASSES,
        "chat": Class(window_seconds=0, unless_read_seconds=60, unless_read_when="active"),
        "mail": Class(window_seconds=0, unless_read_seconds=60),
    }
    harness = PlanHarness(classes=classes)
    harness.device(ANN)
    kinds: list[dict[str, Any]] = [
        {"class": "chat"},
        {"class": "mail"},
        {"class": "chat", "deliver_at": T0 + 60_000},
        {"class": "chat", "deliver_local_at": "09:00"},
        {"class": "chat", "spread_seconds": 60},
        {"class": "chat", "app": None},
    ]
    await harness.feed(*((ANN, {"app": "news", **note(number), **kind}) for number, kind in enumerate(kinds)))
    await harness.acknowledge()
    helds = [held_of(sent.headers) for sent in kept(harness)]
    assert sorted((held.note_id, held.if_active) for held in helds) == [
        ("n-0", "news"),
        *((f"n-{number}", "") for number in range(1, len(kinds))),
    ]


async def test_a7_what_is_for_an_app_with_a_rate_leaves_through_the_keeper() -> None:
    harness = PlanHarness(apps={"news": {"per_minute": 600}})
    for app in ("news", "chat"):
        harness.device(ANN, app=app)
    await harness.feed(*((ANN, {**note(number), "app": app}) for number, app in enumerate(("news", "chat", None))))
    await harness.acknowledge()
    assert [(held_of(sent.headers).note_id, held_of(sent.headers).pace) for sent in kept(harness)] == [
        ("n-0", "app/news")
    ]


async def test_t3_a_spread_on_the_urgent_lane_is_a_dead_letter() -> None:
    harness = PlanHarness(lane=Lane.URGENT)
    harness.device(ANN)
    await harness.feed((ANN, note(1, spread_seconds=60)))
    await harness.acknowledge()
    assert harness.dead_letters() == [("invalid_field", 3)]


async def test_a7_a_local_time_on_the_lane_bulk_is_spread_over_its_users() -> None:
    due = {}
    for lane, spread in ((Lane.NORMAL, 60), (Lane.BULK, 60), (Lane.BULK, 0)):
        harness = PlanHarness(lane=lane, keep={"bulk_local_spread_seconds": spread})
        harness.device(ANN)
        await harness.feed((ANN, note(1, deliver_local_at="09:00", time_zone="UTC")))
        await harness.acknowledge()
        [sent] = [each for each in harness.outbox.log if each.topic == topics.keep(lane)]
        due[lane, spread] = held_of(sent.headers).due_at
    assert due[Lane.NORMAL, 60] == due[Lane.BULK, 0] < due[Lane.BULK, 60] < due[Lane.BULK, 0] + 60_000


async def test_a_class_with_a_rate_leaves_through_the_keeper_once() -> None:
    event = note(1, **{"class": "promo"})
    harness = await fed(event, PROMO)
    [sent] = kept(harness)
    assert held_of(sent.headers).pace == "class/promo"
    assert [row[3] for row in harness.planned()] == ["pace"]
    await let_go(harness, event, None)
    assert len(harness.batches()) == 1
    assert len(kept(harness)) == 1


async def test_a_campaign_keeps_to_its_rate_and_others_pay_nothing() -> None:
    settings = Settings(campaigns={"xmas": Campaign(per_minute=100)}, classes=dict(PROMO))
    live: dict[str, Rate] = {}
    carried = Carried(settings, live)
    decode = PlanHarness(classes=PROMO).stage._reading._decoder.decode
    xmas, easter, plain = (
        decode(ANN, json.dumps(note(1, **fields)).encode(), T0)
        for fields in ({"campaign": "xmas"}, {"campaign": "easter"}, {})
    )
    assert [carried.waits_for(each) for each in (xmas, easter, plain)] == ["pace", None, None]
    live["easter"] = Rate(5)
    assert carried.waits_for(easter) == "pace"
    assert carried.marked(Held("n-1", T0, T0), xmas).pace == "campaign/xmas"


async def test_s15_an_event_with_a_revision_goes_to_the_keeper_although_its_id_was_seen() -> None:
    harness = PlanHarness(classes=CLASSES)
    harness.device(ANN)
    first = note(1, app="news")
    await harness.feed((ANN, first), (ANN, {**first, "revision": 1}), (ANN, {**first, "revision": 0}))
    await harness.acknowledge()
    [sent] = kept(harness)
    assert held_of(sent.headers) == Held("n-1", T0, T0, revision=1, was_seen=True)
    assert sorted(row[3] for row in harness.planned()) == ["", "duplicate", "revision"]


async def test_a_revision_is_held_for_its_time_as_any_other() -> None:
    harness = await fed({**note(1, app="news"), "revision": 2, "deliver_at": T0 + 60_000})
    [sent] = kept(harness)
    assert held_of(sent.headers) == Held("n-1", T0 + 60_000, T0, revision=2)
    assert [row[3] for row in harness.planned()] == ["scheduled"]
