"""What records of the books do to the sums and rows of a partition."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pushcast.model.ids import broadcast_delivery_id, delivery_id, device_row_key
from pushcast.model.words import Source
from pushcast.report import minutes, rows
from pushcast.report.answers import report_of
from pushcast.report.apply import BookEntry
from pushcast.report.notes import note_hash, outcomes
from pushcast.report.published import value_of
from pushcast.report.questions import HISTORY, ReportQuestions
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg, encode_leg
from pushcast.wire.answers.receipts import Planned, PlannedFacts, encode_planned
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.newer import NewerSchema
from twins.books import CREATED_MS, DAY_MS, Rows, by, engagement, entries, leg, planned, receipt, walked

#: Who opens something; their events lie at these offsets.
USERS = list(enumerate(("u1", "u3")))


def test_planned_and_ended_deliveries_are_counted_by_platform_outcome_and_reason() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2, "fcm": 1}, ""))))
    store.apply(
        topics.RECEIPT,
        entries(
            receipt("n", "u", "a"), receipt("n", "u", "b", "invalid", reason="device_unregistered", ended_at=CREATED_MS)
        ),
    )
    note = store.note("n")
    assert (note.app, note.klass, note.campaign, note.created_at) == ("news", "breaking", "xmas", CREATED_MS)
    assert (note.planned, note.planned_count, note.ended_count) == ({"apns": 2, "fcm": 1}, 3, 2)
    assert note.ended == {"apns\0accepted\0": 1, "apns\0invalid\0device_unregistered": 1}
    assert outcomes(note)["accepted"] == 1
    assert note.within == [1, 1, 1]


def test_the_slowest_delivery_is_told_as_exactly_as_the_percentiles_are() -> None:
    store = Rows()
    times = (100, 200, 118_004)
    store.apply(topics.RECEIPT, entries(*(receipt("n", f"u{ms}", "a", ended_at=CREATED_MS + ms) for ms in times)))
    latency = report_of(store.note("n"), CREATED_MS)["latency_ms"]
    assert latency["max"] == pytest.approx(118_004, rel=latency["relative_error"])
    assert latency["p50"] == pytest.approx(200, rel=latency["relative_error"])
    store.apply(topics.RECEIPT, entries(receipt("m", "u", "a", "dead"), first=3))
    assert report_of(store.note("m"), CREATED_MS)["latency_ms"]["max"] is None


def test_r3_copies_of_receipts_are_told_and_not_counted() -> None:
    store = Rows()
    both = [receipt("n", "u", "a"), receipt("n", "u", "b", "dead")]
    store.apply(topics.RECEIPT, entries(*both, *reversed(both)))
    note = store.note("n")
    assert (note.ended_count, note.copies) == (2, 2)


@pytest.mark.parametrize(
    "headers", [by("plan-urgent/0", 10**30, fence=True), by("x", -(10**30)), [("push-origin", b"x")]]
)
def test_what_an_app_writes_into_the_headers_of_its_events_voids_nothing_and_ends_no_reporter(
    headers: list[tuple[str, bytes]],
) -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a"), receipt("n", "u", "b")))
    told = [engagement("opened", "n", "u", device, CREATED_MS, offset) for offset, device in enumerate("ab")]
    store.apply(topics.ENGAGEMENT, [msgspec.structs.replace(told[0], headers=tuple(headers)), told[1]])
    meta = store.meta(topics.ENGAGEMENT)
    assert (store.note("n").opened, meta.offset, meta.epochs, meta.void) == (2, 2, {}, 0)


def test_r4_a_redrive_moves_the_deliveries_and_their_latency() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a"), receipt("n", "u", "b", "dead")))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "b", run=1, ended_at=CREATED_MS + 60_000), first=2))
    note = store.note("n")
    assert note.ended == {"apns\0accepted\0": 2}
    assert (note.planned_count, note.copies, note.within) == (2, 0, [1, 2, 2])
    assert sum(note.latency.values()) == 2


def test_r12_a_forgotten_user_has_no_history_before_it_and_sums_stay(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {})
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a"), receipt("m", "u", "a", created_at=CREATED_MS + 2)))
    forget = [BookEntry(0, b'{"op":"forget_user"}', (), b"u", CREATED_MS + 1)]
    forget += [
        BookEntry(1, b'{"op":"forget_user"}', (), b"u", CREATED_MS),
        BookEntry(2, b'{"op":"forget_user"', (), b"u", 0),
    ]
    store.apply(topics.DEVICE_CHANGED, forget)
    follower: Any = SimpleNamespace(lock=nullcontext(), stores={0: store}, as_of=lambda _: None, whole=lambda _: True)
    shown = HISTORY.decode(ReportQuestions(follower).history(0, "u", ExampleFilter(0, CREATED_MS * 2), None, 50))
    assert [row.notification for _, _, row in shown.deliveries] == ["m"]
    note = store.note("notification", "n")
    assert note is not None
    assert (note.ended_count, store.forgotten_until("u"), store.forgotten_until("v")) == (1, CREATED_MS + 1, 0)
    store.drop_before(CREATED_MS + DAY_MS)
    assert store.forgotten_until("u") == 0
    store.close()


def test_r1_every_answer_adds_up_and_no_count_falls_while_a_campaign_is_sent() -> None:
    source = random.Random(11)
    users = [f"u{number}" for number in range(200)]
    plans = [planned((number, "n", {"apns": 1}, "")) for number in range(len(users))]
    receipts = [receipt("n", user, "d", source.choice(["accepted", "accepted", "invalid"])) for user in users]
    store, at, before = Rows(), {topics.PLANNED: 0, topics.RECEIPT: 0}, Counter[str]()
    logs = {topics.PLANNED: plans, topics.RECEIPT: receipts}
    while any(at[topic] < len(users) for topic in logs):
        topic = source.choice(list(logs))
        some = logs[topic][at[topic] : at[topic] + source.randint(1, 9)]
        store.apply(topic, entries(*some, first=at[topic]))
        at[topic] += len(some)
        told = report_of(store.note("n"), CREATED_MS)
        assert told["planned"] == told["open"] + sum(told["outcomes"].values())
        counts = Counter(told["outcomes"]) + Counter(planned=told["planned"])
        assert not before - counts
        before = counts
    assert (told["state"], told["open"], told["planned"]) == ("settled", 0, len(users))


def test_what_was_planned_last_of_each_intake_is_known() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""), (5, "m", {}, "no_devices"))))
    store.apply(topics.PLANNED, entries(planned((3, "o", {"apns": 1}, ""), source=Source.DUE), first=1))
    store.apply(topics.PLANNED, entries(planned((6, "n", {"apns": 1}, "")), first=2))
    assert store.meta(topics.PLANNED).passed == {"normal/0": 8, "normal/2": 4}


def test_within_a_run_an_acceptance_is_never_taken_back() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a"), receipt("n", "u", "a", "dead")))
    assert store.note("n").ended == {"apns\0accepted\0": 1}
    store.apply(topics.RECEIPT, entries(receipt("m", "u", "a", "dead"), receipt("m", "u", "a"), first=2))
    assert store.note("m").ended == {"apns\0accepted\0": 1}


def test_the_last_planned_row_of_the_highest_run_counts() -> None:
    store = Rows()
    first, again = planned((7, "n", {"apns": 2}, "")), planned((7, "n", {"apns": 3}, ""))
    later, older = planned((7, "n", {"fcm": 1}, ""), run=1), planned((7, "n", {"apns": 9}, ""))
    store.apply(topics.PLANNED, entries(first, again))
    assert store.note("n").planned == {"apns": 3}
    store.apply(topics.PLANNED, entries(later, older, first=2))
    assert store.note("n").planned == {"fcm": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_a_report_says_when_it_was_planned_first_whatever_order_the_rows_come_in(turned: bool) -> None:
    store = Rows()
    rows_of = [
        planned((7, "n", {"apns": 2}, ""), created_at=CREATED_MS + 90),
        planned((7, "n", {"apns": 3}, ""), run=1, created_at=CREATED_MS),
    ]
    store.apply(topics.PLANNED, entries(*(reversed(rows_of) if turned else rows_of)))
    note = store.note("n")
    assert (note.planned, note.first_planned_at) == ({"apns": 3}, CREATED_MS + 5)
    store.apply(topics.WALKED, entries(leg("b", 0, 4)))
    assert store.note("b", "broadcast").first_planned_at == CREATED_MS


def test_one_id_at_two_offsets_is_planned_once_and_once_a_duplicate() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""), (8, "n", {}, "duplicate"))))
    note = store.note("n")
    assert (note.planned, note.other, note.not_planned) == ({"apns": 2}, 1, {"duplicate": 1})


def test_what_the_keeper_holds_is_held_until_it_is_released_or_closed() -> None:
    store = Rows()
    held = planned((7, "n", {}, "scheduled"), (8, "m", {}, "scheduled"), held=1)
    store.apply(topics.PLANNED, entries(held))
    assert (store.note("n").held, store.note("n").other, store.note("n").not_planned) == (1, 0, {})
    released = planned((0, "n", {"apns": 2}, ""), source=Source.DUE)
    closed = planned((3, "m", {}, "cancelled"), source=Source.KEEP)
    store.apply(topics.PLANNED, entries(released, closed, first=1))
    note = store.note("n")
    assert (note.held, note.planned, store.note("m").held) == (0, {"apns": 2}, 0)


def test_legs_of_a_walk_are_summed_and_a_copy_of_one_is_not() -> None:
    store = Rows()
    store.apply(topics.WALKED, entries(leg("b", 0, 5), leg("b", 1, 3, last=True), leg("b", 1, 3, last=True)))
    store.apply(topics.RECEIPT, entries(walked("b", "u", "a")))
    note = store.note("b", "broadcast")
    assert (note.planned, note.matched, note.ended_count) == ({"apns": 8}, 8, 1)


def test_variants_of_a_split_are_told_apart_with_what_apps_told_of_them() -> None:
    store = Rows()
    legs = leg("b", 0, 2, variants={"a": 1, "b": 1}), leg("b", 1, 3, variants={"a": 3}, last=True)
    store.apply(topics.WALKED, entries(*legs, legs[1]))
    ends = [walked("b", user, "d", variant=variant) for user, variant in (("u1", "a"), ("u2", "a"), ("u3", "b"))]
    store.apply(topics.RECEIPT, entries(*ends[:2], ends[1]))
    store.apply(topics.ENGAGEMENT, [engagement("opened", "b", user, "d", CREATED_MS + 9, at) for at, user in USERS])
    redriven = walked("b", "u1", "d", "dead", variant="a"), walked("b", "u1", "d", variant="a", run=1)
    store.apply(topics.RECEIPT, entries(*redriven, ends[2], first=3))
    assert report_of(store.note("b", "broadcast"), CREATED_MS)["variants"] == {
        "a": {"planned": 4, "outcomes": {"accepted": 2}, "received": 0, "opened": 1},
        "b": {"planned": 1, "outcomes": {"accepted": 1}, "received": 0, "opened": 1},
    }


def test_variants_whose_legs_are_yet_to_be_read_are_planned_all_the_same() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(walked("b", "u", "d", "dead", variant="a")))
    assert report_of(store.note("b", "broadcast"), CREATED_MS)["variants"] == {
        "a": {"planned": 1, "outcomes": {"dead": 1}, "received": 0, "opened": 0}
    }
    store.apply(topics.RECEIPT, entries(walked("c", "u", "d"), first=1))
    assert "variants" not in report_of(store.note("c", "broadcast"), CREATED_MS)


def test_a_notification_and_a_broadcast_with_one_id_are_two() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("x", "u", "a"), walked("x", "u", "b")))
    assert (store.note("x").ended_count, store.note("x", "broadcast").ended_count) == (1, 1)


def test_what_the_keeper_held_of_a_broadcast_is_reported_with_it_and_not_with_a_notification_of_its_id() -> None:
    """Rulings II.8: its release is an account of its own, and the report has both."""
    store = Rows()
    store.apply(topics.WALKED, entries(leg("x", 0, 1, held=2, last=True)))
    assert store.note("x", "broadcast").held == 2
    part = Planned("bulk", 0, Source.DUE)
    part.add(0, "x", {"fcm": 2}, facts=PlannedFacts("news", "breaking", CREATED_MS, broadcast=True))
    held_again = PlannedFacts("news", "breaking", CREATED_MS, held=1, broadcast=True)
    part.add(1, "x", {"fcm": 1}, facts=held_again)
    of_notification = planned((2, "x", {"apns": 5}, ""), source=Source.DUE)
    store.apply(topics.PLANNED, entries(encode_planned(part, CREATED_MS), of_notification))
    own = broadcast_delivery_id("x", device_row_key("u", "news", "a"))
    due = receipt("x", "u", "a", delivery_id=own, source=Source.DUE)
    store.apply(topics.RECEIPT, entries(due, receipt("x", "u", "b", source=Source.DUE)))
    broadcast, notification = store.note("x", "broadcast"), store.note("x")
    assert (broadcast.planned, broadcast.held, broadcast.ended_count) == ({"apns": 1, "fcm": 3}, 1, 1)
    assert (notification.planned, notification.ended_count) == ({"apns": 5}, 1)


def test_records_of_a_writer_that_lost_its_partition_do_not_count() -> None:
    store = Rows()
    store.apply(
        topics.RECEIPT,
        [
            BookEntry(0, receipt("n", "u", "a"), by("send/0", 5)),
            BookEntry(1, None, by("send/0", 7, fence=True)),
            BookEntry(2, receipt("n", "u", "b"), by("send/0", 5)),
            BookEntry(3, receipt("n", "u", "c"), by("send/0", 7)),
            BookEntry(4, receipt("n", "u", "d"), by("settle/0", 1)),
        ],
    )
    meta = rows.meta_of(store[rows.meta_key(topics.RECEIPT)])
    assert (store.note("n").ended_count, meta.void, meta.offset) == (3, 1, 5)


def test_what_cannot_be_read_is_counted_by_reason_and_the_rest_goes_on() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(b"weather", receipt("n", "u", "a"), None))
    meta = rows.meta_of(store[rows.meta_key(topics.RECEIPT)])
    assert (sum(meta.unreadable.values()), meta.offset, store.note("n").ended_count) == (1, 3, 1)


def test_a_record_of_a_later_release_is_waited_for_and_nothing_is_changed() -> None:
    store = Rows()
    with pytest.raises(NewerSchema):
        store.apply(topics.RECEIPT, entries(receipt("n", "u", "a"), b"\xc3\x01" + b"12345678" + b"x"))
    assert store == {}


@pytest.mark.parametrize("frame", [b"\xc3\x01" + b"12345678", b"\0\0\0\0\x07"], ids=["single object", "Confluent"])
def test_an_app_with_a_schema_that_nobody_knows_holds_up_no_reporter(frame: bytes) -> None:
    """It was waited for until Kafka had removed it, and every report of the partition with it."""
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    odd = [BookEntry(0, frame + b"forget_user", (), b"u", CREATED_MS)]
    store.apply(topics.ENGAGEMENT, [*odd, engagement("opened", "n", "u", "a", CREATED_MS, 1)])
    store.apply(topics.DEVICE_CHANGED, odd)
    assert store.note("n").opened == 1
    for topic in (topics.ENGAGEMENT, topics.DEVICE_CHANGED):
        assert store.meta(topic).unreadable == {"unknown_schema": 1}


def test_a_record_that_was_applied_is_left_out_when_it_is_read_again() -> None:
    store = Rows()
    log = entries(receipt("n", "u", "a"), receipt("n", "u", "b"))
    store.apply(topics.RECEIPT, log[:1])
    store.apply(topics.RECEIPT, log)
    note = store.note("n")
    assert (note.ended_count, note.copies) == (2, 0)


def test_what_has_ended_was_planned_also_before_its_planned_record_is_read() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    assert store.note("n").planned_count == 1


def test_a_delivery_is_found_by_its_user_and_day() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "ü", "a")))
    key = rows.delivery_key(CREATED_MS, "ü".encode(), delivery_id("n", "ü", "news", "a"))
    row = rows.delivery_of(store[key])
    assert (row.notification, row.device, row.outcome, row.platform) == ("n", "a", "accepted", "apns")


def test_a_receipt_of_what_the_keeper_held_of_a_broadcast_makes_no_notification_of_its_id() -> None:
    store = Rows()
    own = broadcast_delivery_id("x", device_row_key("u", "news", "a"))
    store.apply(topics.RECEIPT, entries(receipt("x", "u", "a", delivery_id=own, source=Source.DUE)))
    assert store.note("x", "broadcast").ended_count == 1
    assert rows.ended_key(note_hash("notification", "x")) not in store


EXTREMES = (-(2**63), -1, 0, 4_102_444_800_000, 10**15, 2**62)


def whole_answer(store: Rows) -> None:
    """What is asked of a store, without an error."""
    note = store.note("n")
    report_of(note, CREATED_MS)
    value_of(note, 0, 1, CREATED_MS)
    for key, value in store.items():
        if key.startswith(rows.MINUTE):
            minutes.row_of(key, value)


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("what", ["planned at", "planned of", "receipt", "leg"])
def test_a_number_beyond_all_bounds_ends_no_reporter_and_no_answer(what: str, extreme: int) -> None:
    """A stranger's record in our schema, or a producer that gives Kafka microseconds."""
    store, created_at = Rows(), min(extreme, 2**62 - DAY_MS)
    match what:
        case "planned at":
            store.apply(topics.PLANNED, entries(planned((1, "n", {"apns": 1}, ""), created_at=created_at)))
        case "planned of":
            store.apply(topics.PLANNED, entries(planned((extreme, "n", {"apns": 1}, ""))))
        case "receipt":
            value = receipt("n", "u", "a", created_at=created_at, ended_at=created_at)
            store.apply(topics.RECEIPT, entries(value))
        case "leg":
            store.apply(topics.PLANNED, entries(planned((1, "n", {"apns": 1}, ""))))
            store.apply(topics.WALKED, entries(encode_leg(Leg("bulk", 1, "b", 0, "", "u", extreme, extreme))))
    whole_answer(store)


@pytest.mark.parametrize("field", ["klass", "app", "lane", "platform", "outcome", "reason", "variant"])
def test_a_word_with_a_separator_in_it_ends_no_reporter_and_no_answer(field: str) -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", **{field: "a\0b"})))
    whole_answer(store)
