"""`pushcast why`: each way a notification can go has its sentence, and every record that says so is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pushcast.audit.answer import GroupProgress, HeldPart, answer
from pushcast.audit.case import Case
from pushcast.audit.hints import UNSEEN_MS, hints, unseen
from pushcast.audit.verdict import WhyVerdict, verdict
from pushcast.audit.why import why_held, zone_in
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, user_row_key
from pushcast.model.user import UserRow
from pushcast.model.words import Lane, Platform, Reason
from pushcast.wire import groups, topics
from pushcast.wire import headers as h
from pushcast.wire.answers.dead_letters import PlainRecord, dead_letter
from pushcast.wire.answers.receipts import Planned, Receipt, encode_planned, encode_receipt
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.schemas import avro_type
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.times import rfc3339
from pushcast.wire.waiting.facts import Facts, encode_facts
from pushcast.wire.waiting.timers import Timer
from unit.send.twin import message, send_batch

LANE = Lane.URGENT
INTAKE = topics.notification(LANE)
SEND = topics.send(Platform.APNS, LANE)
USER, NOTE = "u1", "n1"
DUE_MS = 1_800_000_000_000


def at(topic: str, offset: int, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> PlainRecord:
    return PlainRecord(topic, 3, offset, 1_000 + offset, USER.encode(), value, headers)


def event(offset: int = 7, *headers: tuple[str, bytes], **fields: Any) -> PlainRecord:
    return at(INTAKE, offset, json.dumps({"id": NOTE, "title": "Goal!", **fields}).encode(), headers)


def planned(total: int, reason: str = "", offset: int = 7, run: int = 0) -> PlainRecord:
    record = Planned(LANE, run)
    record.add(offset, NOTE, {"apns": total}, 0, reason)
    return at(topics.PLANNED, offset, encode_planned(record, 1))


def receipt(
    device: str | None,
    outcome: str,
    reason: str | None = None,
    *,
    user: str = USER,
    run: int = 0,
    dry_run: bool = False,
) -> PlainRecord:
    name = (device or "").encode()[:16].ljust(16)
    status = 413 if outcome == "rejected" else None
    value = Receipt(
        name,
        NOTE,
        user,
        "news",
        device,
        "apns",
        LANE,
        "default",
        outcome,
        reason,
        None,
        status,
        1,
        dry_run,
        run,
        3,
        7,
        1,
        2,
    )
    return at(topics.RECEIPT, 1, encode_receipt(value))


def waiting(topic: str, *headers: tuple[str, bytes]) -> PlainRecord:
    batch = message(1, first_user=0)
    batch.notification_ids = [NOTE]
    batch.targets.user, batch.targets.device, batch.targets.delivery_id = [USER], ["d1"], [b"d1".ljust(16)]
    return at(topic, 5, encode_batch(send_batch(batch, lane=LANE)), headers)


def row(device: str, state: str = "active", time_zone: str | None = None) -> PlainRecord:
    value = encode_row(
        DeviceRow("news", device, "apns", "token", b"t", "", bytes(32), state, 1, 1, time_zone=time_zone)
    )
    record = at(topics.DEVICE, 2, value)
    record.key = device_row_key(USER, "news", device)
    return record


def refused(reason: str, message: str) -> PlainRecord:
    letter = dead_letter(event(), InvalidInput(reason, message), stage="plan")
    return at(letter.topic, 0, letter.value, letter.headers)


def say(*records: PlainRecord, device: str | None = None, progress: GroupProgress | None = None) -> str | None:
    case = Case(USER, NOTE, device)
    for record in records:
        case.record(record)
    return answer(case, progress or GroupProgress({INTAKE: 100}))


@pytest.mark.parametrize("epoch", [(), ((h.EPOCH, b"x"),)])
def test_an_event_with_half_of_a_stages_headers_is_told_of_as_it_is_planned(
    epoch: tuple[tuple[str, bytes], ...],
) -> None:
    case = Case(USER, NOTE)
    case.record(event(7, (h.ORIGIN, b"plan-urgent/3"), *epoch))
    assert case.events == {(LANE, 7): False}


def test_a_push_that_was_taken_and_not_seen_has_hints() -> None:
    case = Case(USER, NOTE)
    later: dict[str, Any] = {"options": {"collapse_id": "score"}}
    other = at(INTAKE, 9, json.dumps({"id": "n2", "app": "news", "title": "2:0", **later}).encode())
    of_chat = at(INTAKE, 10, json.dumps({"id": "n3", "app": "chat", "title": "2:0", **later}).encode())
    for record in (event(**later), other, of_chat, receipt("d1", "accepted"), row("d1"), row("d2")):
        case.record(record)
    seen_ms = 1  # of the rows
    assert hints(NOTE, case.accepted, unseen(case.seen, seen_ms + UNSEEN_MS), case.collapsing) == [
        "n2 came at 1970-01-01T00:00:01.009Z with the same collapse id: a device shows the later one"
    ]
    assert hints(NOTE, case.accepted, unseen(case.seen, seen_ms + UNSEEN_MS + 1), [])[0].startswith("news on d1 was")
    for_all = [each._replace(app=None) for each in case.collapsing]
    assert hints(NOTE, [], unseen(case.seen, 10 * UNSEEN_MS), for_all) == [], "nothing was taken"


def test_an_event_before_it_or_of_another_collapse_id_replaces_nothing() -> None:
    case = Case(USER, NOTE)
    for number, name in ((5, "score"), (8, "weather")):
        value = {"id": f"n-{number}", "title": "t", "options": {"collapse_id": name}}
        case.record(at(INTAKE, number, json.dumps(value).encode()))
    case.record(event(options={"collapse_id": "score"}))
    case.record(receipt("d1", "accepted"))
    assert hints(NOTE, case.accepted, {}, case.collapsing) == []


PARKED_FOR = ("push-parked-for", b"paused")
DUE = ("push-due-at", str(DUE_MS).encode())


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (
            (event(), refused("unknown_class", "class 'x'")),
            "no: its event became a dead letter, unknown_class: class 'x'",
        ),
        ((event(), planned(0, "no_devices")), "no: it was planned for no device: no_devices"),
        ((event(), planned(1), receipt("d1", "accepted")), "yes: 1 accepted"),
        ((planned(1), receipt("d1", "accepted")), "yes: 1 accepted"),
        ((event(), planned(1), receipt("d1", "accepted", dry_run=True)), "yes: 1 accepted as a dry run"),
        ((event(), planned(1), receipt("d1", "rejected", "too_large")), "no: 1 rejected (too_large, status 413)"),
        ((event(), planned(1), receipt(None, "suppressed", "no_devices")), "no: 1 suppressed (no_devices)"),
        ((event(), planned(1), receipt("d1", "expired", "expired")), "no: 1 expired (expired)"),
        (
            (event(), planned(2), receipt("d1", "accepted"), receipt("d2", "invalid", "unregistered")),
            "in part: 1 accepted; 1 invalid (unregistered)",
        ),
        (
            (event(), planned(1), waiting(topics.retry("1m"), DUE)),
            "not yet: 1 waiting in push.retry.1m.v1 until 2027-01-15T08:00:00.000Z",
        ),
        ((event(), planned(1), waiting(topics.PARKED, PARKED_FOR)), "not yet: 1 waiting in push.parked.v1 (paused)"),
        ((event(), planned(1), waiting(SEND)), f"not yet: 1 waiting in {SEND}"),
        ((event(), planned(1), waiting(SEND), receipt("d1", "accepted")), "yes: 1 accepted"),
        ((event(), planned(1)), "not yet: 1 on the way or lost: `pushcast audit` judges that"),
        (
            (event(),),
            f"no: pushcast-plan-{LANE} has read its event, but no planned record says so; `pushcast audit` judges that",
        ),
        (
            (event(), planned(1), receipt("d1", "accepted"), receipt("d1", "dead", "unknown_outcome")),
            "yes: 1 accepted",
        ),
        (
            (event(), planned(1), receipt("d1", "dead", "unknown_outcome"), receipt("d1", "accepted", run=1)),
            "yes: 1 accepted",
        ),
        ((), None),
    ],
)
def test_every_end_has_its_sentence(records: tuple[PlainRecord, ...], sentence: str | None) -> None:
    assert say(*records) == sentence


R8 = [
    ((event(), planned(0, "no_devices")), WhyVerdict("not_planned", "no_devices")),
    ((event(), planned(1), receipt(None, "suppressed", "no_devices")), WhyVerdict("not_planned", "no_devices")),
    ((event(), planned(0, "duplicate")), WhyVerdict("not_planned", "duplicate")),
    ((event(), planned(1), waiting(topics.PARKED, PARKED_FOR)), WhyVerdict("waiting", "parked:paused")),
    ((event(), planned(0, "no_devices"), row("d1", "suspended")), WhyVerdict("not_sent", "device_suspended")),
    ((event(), planned(1), receipt("d1", "expired", "expired")), WhyVerdict("expired", "expired")),
    ((event(), planned(1), waiting(topics.retry("1m"), DUE)), WhyVerdict("waiting", "retry", DUE_MS)),
    (
        (event(), refused("unknown_class", "class 'x'")),
        WhyVerdict("dead_letter", "unknown_class", record=f"{topics.dead_letter(INTAKE)}/3/0"),
    ),
    ((event(), planned(1), receipt("d1", "accepted"), waiting(SEND)), WhyVerdict("accepted_by_provider")),
    ((event(), planned(2), receipt("d2", "invalid", "unregistered"), waiting(SEND)), WhyVerdict("waiting", "lag")),
    ((event(), planned(1), receipt("d1", "invalid", "unregistered")), WhyVerdict("invalid", "unregistered")),
    ((event(), planned(1)), WhyVerdict("waiting", "lag")),
    ((event(),), WhyVerdict("unknown")),
    ((), WhyVerdict("unknown")),
]


@pytest.mark.parametrize(("records", "found"), R8)
def test_r8_every_end_has_a_word_and_because_of_what(records: tuple[PlainRecord, ...], found: WhyVerdict) -> None:
    case = Case(USER, NOTE)
    for record in records:
        case.record(record)
    assert verdict(case, GroupProgress({INTAKE: 100})) == found


def test_r8_an_event_that_nobody_has_read_waits_for_its_turn() -> None:
    case = Case(USER, NOTE)
    case.record(event())
    assert verdict(case, GroupProgress()) == WhyVerdict("waiting", "lag")


def test_r8_a_device_that_is_registered_anew_is_suspended_no_more() -> None:
    case = Case(USER, NOTE, "d1")
    for record in (event(), planned(1), row("d1", "suspended")):
        case.record(record)
    assert verdict(case, GroupProgress()) == WhyVerdict("not_sent", "device_suspended")
    case.record(row("d1"))
    assert verdict(case, GroupProgress()) == WhyVerdict("waiting", "lag")


def test_r8_what_the_keeper_has_waits_until_its_time() -> None:
    case = Case(USER, NOTE)
    for record in (event(), planned(0, "scheduled")):
        case.record(record)
    found = verdict(case, GroupProgress(), [HeldPart(DUE_MS, "quiet_hours")])
    assert found == WhyVerdict("waiting", "held:quiet_hours", DUE_MS)


def test_r8_json_names_a_time_and_a_record_only_where_there_is_one() -> None:
    assert WhyVerdict("expired", "expired").to_dict() == {"answer": "expired", "because": "expired"}
    assert WhyVerdict("waiting", "retry", DUE_MS).to_dict()["until"] == "2027-01-15T08:00:00.000Z"
    assert WhyVerdict("dead_letter", "x", record="t/1/2").to_dict()["record"] == "t/1/2"


def test_an_event_that_nobody_has_read_says_how_many_are_before_it_and_that_nobody_reads() -> None:
    progress = GroupProgress({INTAKE: 4}, {groups.plan(LANE): 0})
    assert say(event(), progress=progress) == (
        f"not yet: its event waits in {INTAKE}, 3 records before it, and pushcast-plan-{LANE} has no member"
    )


def test_a_send_topic_without_senders_says_so() -> None:
    group = groups.send(Platform.APNS, LANE)
    assert f"{group} has no member" in str(
        say(event(), planned(1), waiting(SEND), progress=GroupProgress({}, {group: 0}))
    )


def test_one_device_is_asked_about_alone() -> None:
    records = (event(), planned(2), receipt("d1", "accepted"), receipt("d2", "invalid", "unregistered"), row("d2"))
    assert say(*records, device="d1") == "yes: 1 accepted"
    assert say(*records, device="d2") == "no: 1 invalid (unregistered)"


def test_a_device_that_was_not_planned_has_its_state_told() -> None:
    records = (event(), planned(1), receipt("d1", "accepted"))
    assert "there is no device d9 of this user now" in str(say(*records, device="d9"))
    assert "device d9 of news on apns is suspended" in str(say(*records, row("d9", "suspended"), device="d9"))


def test_others_and_what_cannot_be_read_say_nothing() -> None:
    case = Case(USER, NOTE)
    foreign = event()
    foreign.key = b"u2"
    for record in (foreign, receipt("d1", "accepted", user="u2"), planned(1, offset=9), at(INTAKE, 1, b"{n1")):
        case.record(record)
    case.record(at(topics.RECEIPT, 2, b"n1 junk"))
    case.record(at(topics.RECEIPT, 3, b"n1", [(h.ORIGIN, b"x")]))
    assert answer(case, GroupProgress()) is None
    assert case.evidence == []


def test_records_below_a_fence_do_not_count() -> None:
    case = Case(USER, NOTE)
    case.record(event())
    origin = h.origin("plan-urgent", 3, 5)
    case.record(at(topics.PLANNED, 0, None, [*origin, (h.FENCE, b"1")]))
    late = planned(1)
    late.headers = h.origin("plan-urgent", 3, 4)
    case.record(late)
    assert "no planned record" in str(answer(case, GroupProgress({INTAKE: 100})))


def test_the_evidence_names_every_record_in_order_of_time() -> None:
    case = Case(USER, NOTE)
    for record in (event(7, (h.FORWARDED, b"1")), planned(1), receipt("d1", "accepted"), row("d1")):
        case.record(record)
    shown = [each.to_dict() for each in case.evidence]
    assert [(each["topic"], each["offset"]) for each in shown] == [
        (topics.RECEIPT, 1),
        (topics.DEVICE, 2),
        (INTAKE, 7),
        (topics.PLANNED, 7),
    ]
    assert shown[2]["what"] == "the event, forwarded from a wrong partition"
    assert shown[0] == {
        "topic": topics.RECEIPT,
        "partition": 3,
        "offset": 1,
        "at": "1970-01-01T00:00:01.001Z",
        "what": "receipt of d1 on apns: accepted",
    }


def test_a_removed_device_is_no_evidence() -> None:
    case = Case(USER, NOTE)
    gone = row("d1")
    case.record(row("d1"))
    gone.value = None
    case.record(gone)
    assert case.rows == {}
    assert case.evidence == []


@pytest.mark.parametrize(
    ("records", "held", "sentence"),
    [
        (
            (event(), planned(0, "quiet_hours")),
            [HeldPart(DUE_MS, "quiet_hours")],
            f"not yet: held until {rfc3339(DUE_MS)} (quiet_hours)",
        ),
        (
            (event(), planned(0, "scheduled")),
            [HeldPart(DUE_MS, "quiet_hours", "Europe/Berlin")],
            f"not yet: held until {rfc3339(DUE_MS)}, 09:00 Europe/Berlin (quiet_hours)",
        ),
        (
            (event(), planned(0, "scheduled")),
            [HeldPart(0, "cancelled")],
            "not yet: held and about to be let go (cancelled)",
        ),
        (
            (event(), planned(1, "quiet_hours"), receipt("d1", "accepted")),
            [HeldPart(DUE_MS, "quiet_hours")],
            f"in part: 1 accepted; held until {rfc3339(DUE_MS)} (quiet_hours)",
        ),
    ],
)
def test_what_the_keeper_holds_is_told_with_its_time_and_why(
    records: tuple[PlainRecord, ...], held: list[HeldPart], sentence: str
) -> None:
    case = Case(USER, NOTE)
    for each in records:
        case.record(each)
    assert answer(case, GroupProgress({INTAKE: 100}), held) == sentence


def test_what_is_held_without_a_keeper_says_so() -> None:
    case = Case(USER, NOTE)
    for each in (event(), planned(0, "scheduled")):
        case.record(each)
    said = answer(case, GroupProgress({INTAKE: 100}, {groups.KEEP: 0}), [HeldPart(DUE_MS, "scheduled")])
    assert str(said).endswith(", and pushcast-keep has no member")


def test_d10_where_the_user_is_is_said_by_preferences_then_devices_then_the_app() -> None:
    config = Settings.model_validate({"apps": {"news": {"time_zone": "Asia/Tokyo"}}})
    case = Case(USER, NOTE)
    assert zone_in(config, case) == "UTC", "of nobody who has a device nothing is known"
    case.record(row("d"))
    assert zone_in(config, case) == "Asia/Tokyo"
    case.record(row("d", time_zone="Europe/Berlin"))
    assert zone_in(config, case) == "Europe/Berlin"
    chosen = at(topics.DEVICE, 3, encode_user_row(UserRow(at=1, time_zone="America/New_York")))
    chosen.key = user_row_key(USER)
    case.record(chosen)
    assert zone_in(config, case) == "America/New_York"
    chosen.value = None
    case.record(chosen)
    assert zone_in(config, case) == "Europe/Berlin"


def test_why_is_what_the_keeper_waits_for_and_else_what_the_planner_said() -> None:
    timer = Timer("normal", 7, DUE_MS, 1)
    digest = encode_facts(Facts(Reason.DIGEST, "posts", DUE_MS, "news"))
    assert why_held(timer, "quiet_hours") == "quiet_hours"
    assert why_held(msgspec.structs.replace(timer, facts=digest), "quiet_hours") == "digest"
    assert why_held(msgspec.structs.replace(timer, closes="cancelled"), "scheduled") == "cancelled"


def test_e10_the_traces_of_its_sampled_events_are_told_once_each() -> None:
    trace, other = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
    case = Case(USER, NOTE)
    for record in (
        event(1, ("traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode())),
        event(2, ("traceparent", f"00-{other}-00f067aa0ba902b7-00".encode())),  # not sampled
        event(3, trace=f"00-{trace}-b7ad6b7169203331-01"),
        event(4, trace="weather"),
        event(5, id="n2", trace=f"00-{other}-b7ad6b7169203331-01"),  # another notification
    ):
        case.record(record)
    assert case.traces == [trace]
    fields = {"id": NOTE, "title": "Goal!", "created_at": 1, "trace": f"00-{other}-b7ad6b7169203331-01"}
    case.record(at(INTAKE, 6, avro_type("notification").encode(fields)))
    assert case.traces == [trace, other]
