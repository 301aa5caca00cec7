"""Laws of REGISTER, whatever the batches, the acknowledgements, the table's lag and the crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.device import DeviceRow
from pushcast.model.ids import is_user_row, partition_of, token_hash
from pushcast.register.context import REASON, STEP
from pushcast.stream.tracker import Record
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.headers import first
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_INVALID
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

USERS = ("user-1", "user-15", "user-7")  # of one partition
HOME = partition_of(b"user-1", PARTITIONS)
VERDICT = "device_unregistered"


class Event(NamedTuple):
    """What happened; `at` in milliseconds before T0."""

    op: str
    user: str
    device: str
    at: int
    token: str
    locale: str | None
    topics: tuple[str, ...] | None


changes = st.builds(
    Event,
    st.sampled_from(["register", "register", "refresh", "unregister", "forget_user"]),
    st.sampled_from(USERS),
    st.sampled_from(["d-1", "d-2"]),
    st.integers(T0 - 5, T0),
    st.sampled_from(["aa" * 32, "bb" * 32]),
    st.sampled_from([None, "de", "fr"]),
    st.sampled_from([None, (), ("t",)]),
)
verdicts = st.builds(
    Event,
    st.sampled_from(["since", "sent"]),
    st.sampled_from(USERS),
    st.sampled_from(["d-1", "d-2"]),
    st.integers(T0 - 5, T0),
    st.sampled_from(["aa" * 32, "bb" * 32]),
    st.none(),
    st.none(),
)
#: After an event: how many outputs are acknowledged, how many records the table applies, whether a batch ends.
steps = st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans())


def as_record(event: Event, offset: int) -> Record:
    if event.op in ("since", "sent"):
        since = event.at if event.op == "since" else None
        verdict = TokenInvalid(
            event.user, "news", event.device, "apns", token_hash(event.token.encode()), VERDICT, 410, since,
            T0 if since is not None else event.at, T0, "0" * 32,
        )  # fmt: skip
        return record(TOKEN_INVALID, HOME, offset, event.user.encode(), encode_token_invalid(verdict))
    body: dict[str, Any] = {"op": event.op, "at": event.at}
    if event.op != "forget_user":
        body |= {"app": "news", "device": event.device}
    if event.op in ("register", "refresh"):
        body |= {"platform": "apns", "token": event.token, "locale": event.locale, "topics": event.topics}
    return record(DEVICE_CHANGED, HOME, offset, event.user.encode(), orjson.dumps(body))


#: Token, registered at, locale, topics, and since when a verdict holds against it.
Row = tuple[str, int, str | None, tuple[str, ...], int | None]


def oracle(events: Sequence[Event]) -> dict[tuple[str, str], Row]:
    """The rows after the events, one by one, in plain words of the contract."""
    rows: dict[tuple[str, str], Row] = {}
    removed: dict[tuple[str, str], int] = {}
    forgotten: dict[str, int] = {}
    for event in events:
        key = (event.user, event.device)
        row = rows.get(key)
        if event.op == "forget_user":
            forgotten[event.user] = max(event.at, forgotten.get(event.user, 0))
            for other in [other for other in rows if other[0] == event.user and rows[other][1] <= event.at]:
                del rows[other]
        elif event.op in ("since", "sent"):
            if row is not None and row[0] == event.token and row[1] <= event.at and row[4] is None:
                rows[key] = (*row[:4], event.at)
        elif row is not None and event.at < row[1]:
            continue
        elif event.op == "unregister":
            rows.pop(key, None)
            removed[key] = max(event.at, removed.get(key, 0))
        elif row is None and event.at <= max(removed.get(key, 0), forgotten.get(event.user, 0)):
            continue
        else:
            locale, topics, since = event.locale, event.topics, None
            if row is not None:
                if row[4] is not None and row[0] == event.token and event.at <= row[4]:
                    since = row[4]
                topics = row[3] if topics is None else topics
                locale = row[2] if locale is None and event.op == "refresh" else locale
            rows[key] = (event.token, event.at, locale, topics or (), since)
    return rows


def rows_of(kafka: TwinKafka) -> dict[tuple[str, str], Row]:
    found = {}
    for key, value in kafka.compacted(HOME).items():
        user, _, device = key.decode().split("\0")
        if is_user_row(key):
            continue
        row = decode_row(value)
        if row.is_gone:
            assert (row.address, row.token_hash, row.topics) == (b"", b"", ())
            continue
        assert (row.state == "suspended") == (row.suspended_reason == VERDICT) == (row.invalid_since is not None)
        found[user, device] = (row.address.decode(), row.registered_at, row.locale, row.topics, row.invalid_since)
    return found


async def drive(harness: Harness, events: Sequence[Event], plan: Sequence[tuple[int, int, bool]]) -> None:
    """Feeds the events in order as the plan says; the rest is acknowledged and applied by the caller."""
    offsets = {topic: harness.next_offset(topic, HOME) for topic in (DEVICE_CHANGED, TOKEN_INVALID)}
    waiting: list[Record] = []

    async def hand_over() -> None:
        if waiting:
            await harness.stage.handle(harness.batch(waiting.copy()))
            waiting.clear()

    for event, (acknowledged, applied, ends) in zip(events, plan, strict=True):
        made = as_record(event, offsets[TOKEN_INVALID if event.op in ("since", "sent") else DEVICE_CHANGED])
        offsets[made.topic] += 1
        if waiting and waiting[0].topic != made.topic:
            await hand_over()
        waiting.append(made)
        if ends:
            await hand_over()
        harness.kafka.acknowledge(acknowledged)
        harness.kafka.tail(HOME, applied)
    await hand_over()


def planned(events: st.SearchStrategy[Event]) -> st.SearchStrategy[list[tuple[Event, tuple[int, int, bool]]]]:
    return st.lists(st.tuples(events, steps), max_size=25)


@settings(max_examples=300, deadline=None)
@given(planned(changes | verdicts))
def test_rows_are_those_of_the_events_one_by_one(plan: list[tuple[Event, tuple[int, int, bool]]]) -> None:
    async def run() -> Harness:
        harness = Harness(TwinKafka(acks=False))
        await drive(harness, [event for event, _ in plan], [step for _, step in plan])
        harness.kafka.acknowledge()
        harness.kafka.tail(HOME)
        return harness

    harness = asyncio.run(run())
    assert rows_of(harness.kafka) == oracle([event for event, _ in plan])
    assert harness.rows_in_flight == 0
    for tp, tracker in harness.trackers.items():
        assert tracker.low == tracker.next_offset, tp


@settings(max_examples=300, deadline=None)
@given(planned(changes), st.integers(0, 25))
def test_replaying_the_end_of_the_log_changes_no_row(
    plan: list[tuple[Event, tuple[int, int, bool]]], start: int
) -> None:
    events = [event for event, _ in plan]
    replayed = events + events[start:]

    async def run() -> Harness:
        harness = Harness()
        await drive(harness, replayed, [(0, index % 3, index % 2 == 0) for index in range(len(replayed))])
        return harness

    assert rows_of(asyncio.run(run()).kafka) == oracle(events)


@settings(max_examples=300, deadline=None)
@given(planned(changes), st.integers(0, 25))
def test_a_crash_loses_nothing(plan: list[tuple[Event, tuple[int, int, bool]]], crash: int) -> None:
    """What Kafka had not acknowledged goes with the process; the next one starts at the commit."""
    events = [event for event, _ in plan]

    async def run() -> TwinKafka:
        kafka = TwinKafka(acks=False)
        first_life = Harness(kafka)
        await drive(first_life, events[:crash], [step for _, step in plan[:crash]])
        committed = first_life.committable(DEVICE_CHANGED, HOME) if first_life.trackers else 0
        survivor = TwinKafka(log=kafka.log)
        survivor.tail(HOME)
        await drive(Harness(survivor), events[committed:], [step for _, step in plan[committed:]])
        return survivor

    assert rows_of(asyncio.run(run())) == oracle(events)


@settings(max_examples=300, deadline=None)
@given(planned(changes | verdicts))
def test_a_verdict_suspends_only_a_row_with_its_token_registered_in_time(
    plan: list[tuple[Event, tuple[int, int, bool]]],
) -> None:
    events = [event for event, _ in plan]
    told = [event for event in events if event.op in ("since", "sent")]

    async def run() -> TwinKafka:
        harness = Harness()
        await drive(harness, events, [step for _, step in plan])
        return harness.kafka

    rows: dict[bytes, DeviceRow] = {}
    for written in asyncio.run(run()).log[DEVICE, HOME]:
        key = written.key or b""
        if first(written.headers, STEP) == b"suspended":
            topic, _, offset = (first(written.headers, "ce_id") or b"").decode().split("/")
            verdict, before = told[int(offset)], rows[key]
            assert topic == TOKEN_INVALID
            assert key == f"{verdict.user}\0news\0{verdict.device}".encode()
            assert before.address == verdict.token.encode()
            assert before.registered_at <= verdict.at
        if is_user_row(key):
            continue
        if written.value is None:
            assert first(written.headers, REASON) == b"user_forgotten"
            del rows[key]
        else:
            rows[key] = decode_row(written.value)
