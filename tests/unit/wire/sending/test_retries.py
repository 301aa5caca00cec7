from __future__ import annotations

from random import Random

import pytest

from pushcast.config.stages import Retry
from pushcast.model.batch import Message, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Content, Options
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder, Round, foreign, pick, retry_record, round_of, rungs_of

LADDER = Ladder(DEFAULT_RUNGS)


def message(notifications: list[int]) -> Message:
    """A target for each entry, which names its notification."""
    targets = Targets()
    for number, notification in enumerate(notifications):
        row = (notification, f"u{number}", "d", bytes([number]) * 16, 0, b"t", "", bytes(16), 1, number, 99, number)
        for column, value in zip(targets.columns(), row, strict=True):
            column.append(value)
    ids = [f"n{index}" for index in range(max(notifications) + 1)]
    times = [1000 + index for index in range(len(ids))]
    return Message("news", "default", Content("t"), Options(), bytes(16), ids, times, [""] * len(ids), targets)


def test_every_round_waits_longer_and_the_fifth_is_the_last() -> None:
    found = [LADDER.rung_after(rounds) for rounds in range(1, 6)]
    assert [rung and rung.delay for rung in found] == ["10s", "1m", "5m", "30m", None]


def test_beyond_the_last_rung_the_last_one_is_used_again() -> None:
    ladder = Ladder(DEFAULT_RUNGS, attempts=8)
    assert [ladder.rung_after(rounds) for rounds in (5, 7, 8)] == [DEFAULT_RUNGS[3], DEFAULT_RUNGS[3], None]


@pytest.mark.parametrize(
    ("rounds", "retry_after", "delay"),
    [(1, 5.0, "10s"), (1, 11.0, "1m"), (1, 300.0, "5m"), (3, 5.0, "5m"), (1, 86_400.0, "30m"), (1, 0.0, "10s")],
)
def test_the_providers_delay_picks_a_rung_that_is_long_enough_and_never_an_earlier_one(
    rounds: int, retry_after: float, delay: str
) -> None:
    rung = LADDER.rung_after(rounds, retry_after)
    assert rung is not None
    assert rung.delay == delay


def test_a_delay_of_the_provider_earns_no_round_beyond_the_last() -> None:
    assert LADDER.rung_after(5, 1.0) is None


def test_jitter_only_adds() -> None:
    dues = [LADDER.due_at(DEFAULT_RUNGS[0], 1000, Random(seed)) for seed in range(50)]
    assert 11_000 <= min(dues) < max(dues) <= 12_000
    assert LADDER.longest_seconds == pytest.approx(1980)


def test_rungs_may_be_short_and_keep_their_names() -> None:
    ladder = Ladder(rungs_of(Retry(rungs_seconds=(1, 1, 2, 2)).rungs_seconds))
    rung = ladder.rung_after(1)
    assert rung == ("10s", 1)
    with pytest.raises(ValueError, match="argument"):
        rungs_of([1.0])


@pytest.mark.parametrize("seconds", [(0, 1, 2, 3), (2, 1, 3, 4), (1, 2, 3, 90_000)])
def test_rungs_that_fall_or_outlast_their_topic_are_refused(seconds: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="rungs_seconds"):
        Retry(rungs_seconds=seconds)


def test_a_picked_message_keeps_its_content_and_only_the_notifications_of_its_targets() -> None:
    whole = message([0, 1, 2, 2, 1])
    part = pick(whole, [3, 4])
    assert part.notification_ids == ["n2", "n1"]
    assert part.created_at == [1002, 1001]
    assert part.targets.notification == [0, 1]
    assert (part.targets.user, part.targets.attempt) == (["u3", "u4"], [3, 4])
    assert (part.content, part.options, part.traces) == (whole.content, whole.options, ["", ""])
    assert whole.targets.notification == [0, 1, 2, 2, 1]


def test_a_retry_record_says_its_round_in_headers_and_holds_the_whole_payload() -> None:
    part = pick(message([0, 0]), [1])
    value, headers = retry_record(
        lane="bulk",
        platform="fcm",
        messages=[part],
        run=2,
        first_seen_at=77,
        rounds_made=3,
        due_at=9_000,
        doubtful=True,
        sent_from="g|5",
        carried=[("traceparent", b"00-1")],
    )
    batch = decode_batch(value)
    assert (batch.lane, batch.platform, batch.run, batch.first_seen_at, batch.messages) == (
        "bulk",
        "fcm",
        2,
        77,
        [part],
    )
    assert dict(headers) == {
        "traceparent": b"00-1",
        "push-platform": b"fcm",
        "push-lane": b"bulk",
        "push-attempt": b"3",
        "push-due-at": b"9000",
        "push-first-seen": b"77",
        "push-sent-from": b"g|5",
        "push-doubtful": b"1",
        "push-run": b"2",
    }
    assert round_of(headers) == Round(3, True, 2)


def test_traces_travel_with_a_delivery_and_the_mark_of_the_writer_does_not() -> None:
    headers = [("traceparent", b"00-1"), ("push-origin", b"plan-bulk/3"), ("push-epoch", b"7"), ("push-attempt", b"1")]
    assert foreign(headers) == [("traceparent", b"00-1")]


def test_a_record_without_headers_is_in_its_first_round() -> None:
    assert round_of([]) == round_of(None) == Round(0, False, 0)


@pytest.mark.parametrize("value", [b"", b"-1", b"x", b"1000001", "²".encode(), b"9" * 30])
def test_a_round_that_is_no_small_number_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidInput, match="push-attempt"):
        round_of([("push-attempt", value)])
