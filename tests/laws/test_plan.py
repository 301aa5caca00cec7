"""What holds for PLAN whatever comes in, and in whatever order and whenever Kafka acknowledges."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.config.stages import Plan
from pushcast.model.batch import MAX_BATCH_BYTES
from pushcast.wire import topics
from twins.kafka import settled
from twins.plan import TOPIC, PlanHarness, note, users_of

USERS = users_of(3, 6)
STRANGERS = users_of(4, 2)
APPS = ["news", "chat"]
CLASSES = ["default", "chat", "hour"]

devices = st.lists(
    st.tuples(
        st.sampled_from([*USERS, STRANGERS[0]]),
        st.sampled_from(["d1", "d2", "d3", "d4"]),
        st.sampled_from(APPS),
        st.sampled_from(["apns", "fcm", "webpush"]),
        st.sampled_from(["t1", "t2", "x" * 3000]),
        st.sampled_from(["active", "active", "suspended"]),
    ),
    max_size=20,
)
events = st.tuples(
    st.sampled_from([*USERS, *STRANGERS]),
    st.integers(0, 12),  # notification id
    st.sampled_from([None, *APPS, "nope"]),
    st.sampled_from(CLASSES),
    st.sampled_from(["short", "other", "long" * 4000]),
    st.sampled_from([None, -1, 1_000]),  # expires in ms
)


@dataclass(frozen=True)
class Feed:
    events: list[Any]


steps = st.one_of(
    st.lists(events, min_size=1, max_size=12).map(Feed),
    st.sampled_from([0.02, 0.05, 2.0]),  # time passes, seconds
    st.integers(0, 1000),  # one acknowledgement, anywhere in what is pending
    st.just("revoke"),
)


def event(drawn: Any, now_ms: int) -> tuple[str, dict[str, Any]]:
    user, number, app, klass, body, expires = drawn
    written = note(number, app=app, body=body, **{"class": klass})
    if expires is not None:
        written |= {"created_at": now_ms - 10, "expires_at": now_ms + expires}
    return user, written


@settings(max_examples=200, deadline=None)
@given(devices, st.lists(steps, max_size=25), st.integers(1, 4))
def test_every_record_ends_once_and_is_done_only_after_all_it_caused(
    rows: list[Any], taken: list[Any], max_targets: int
) -> None:
    asyncio.run(_run(rows, taken, max_targets))


async def _run(rows: list[Any], taken: list[Any], max_targets: int) -> None:
    harness = PlanHarness(Plan(max_targets=max_targets, max_batch_bytes=16_384, max_open_records=100, window_seed=1))
    for user, device, app, platform, token, state in rows:
        harness.device(user, device, app, platform, f"{user if len(token) < 9 else ''}{token}", state)
    fed = 0
    borders: list[int] = []  # first offsets of later assignments
    for step in taken:
        if isinstance(step, Feed):
            await harness.feed(*[event(drawn, harness.now_ms) for drawn in step.events])
            fed += len(step.events)
        elif isinstance(step, float):
            await harness.pass_time(step)
        elif step == "revoke":
            await harness.revoke()
            borders.append(fed)
            assert harness.committable == fed, "revoking leaves nothing open"
        elif harness.outbox.pending:
            harness.outbox.acknowledge(step % len(harness.outbox.pending))
            await settled()
        _nothing_is_done_early(harness)
    await harness.revoke()
    assert harness.committable == fed
    assert harness.fatal == []
    _accounts_balance(harness, fed, borders)


def _nothing_is_done_early(harness: PlanHarness) -> None:
    """Every record below the low watermark has its end in Kafka, and all that its planned record counts."""
    ended = _ends(harness)
    targets = Counter(offset for offset, *_ in harness.targets())
    receipts = Counter(each["source_offset"] for each in harness.receipts())
    for offset in range(harness.committable):
        assert ended[offset] == 1, f"offset {offset} is done and has {ended[offset]} ends"
    for offset, _, planned, _ in harness.planned():
        assert planned == targets[offset] + receipts[offset], "a planned record before its deliveries"


def _ends(harness: PlanHarness) -> Counter[int]:
    ends = Counter(offset for offset, *_ in harness.planned())
    for each in harness.outbox.log:
        if each.topic == topics.dead_letter(TOPIC):
            ends[int(dict(each.headers)["__streams.errors.offset"] or 0)] += 1
        elif each.topic == TOPIC:
            ends[-1] += 1
    # A forwarded record does not say where it was: those without any other end are taken for the forwarded ones.
    forwarded = ends.pop(-1, 0)
    for offset in range(harness.committable):
        if not ends[offset] and forwarded:
            ends[offset] += 1
            forwarded -= 1
    return ends


def _accounts_balance(harness: PlanHarness, fed: int, borders: list[int]) -> None:
    forwarded = sum(each.topic == TOPIC for each in harness.outbox.log)
    assert len(harness.planned()) + len(harness.dead_letters()) + forwarded == fed
    targets = harness.targets()
    reached = [
        (bisect_right(borders, offset), user, message.notification_ids[index], message.app, address)
        for batch in harness.batches()
        for message in batch.messages
        for offset, user, index, address in zip(
            message.targets.source_offset,
            message.targets.user,
            message.targets.notification,
            message.targets.address,
            strict=True,
        )
    ]
    assert len(set(reached)) == len(reached), "within an assignment a notification reaches an address of an app once"
    assert sum(planned for _, _, planned, _ in harness.planned()) == len(targets) + len(harness.receipts())
    for value in harness.outbox.values("push.send."):
        assert len(value) <= MAX_BATCH_BYTES
    for batch in harness.batches():
        assert 1 <= batch.target_count <= harness.settings.plan.max_targets
